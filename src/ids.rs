//! Tables by a request's number. The library issues these numbers one after the other, so nobody can choose them such
//! that they collide: the hash need not withstand an attack.

use std::collections::HashMap;

/// What belongs to each request.
pub type ById<T> = HashMap<u64, T, foldhash::fast::RandomState>;
