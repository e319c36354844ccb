//! The border that no panic crosses.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Run the body of an exported function. A panic in it becomes `fallback`; what it left behind is guarded by locks
/// that are read again after a panic, and by values that are dropped.
pub(super) fn guard<T>(fallback: T, body: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or(fallback)
}
