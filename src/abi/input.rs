//! What the host passes in: the only place where its pointers are read.

use std::ffi::{CStr, c_char};

use super::HELIO_STRLEN;
use crate::failure::Failure;
use crate::status::Status;

/// No struct of this library will ever be larger.
const LARGEST_STRUCT: u32 = 4096;

/// A struct that begins with its own size and only ever grows at its end.
///
/// # Safety
/// The type is `repr(C)`, begins with `struct_size: u32`, and is valid when all of its bytes are zero.
pub(super) unsafe trait Sized32: Sized + Copy {
    /// The bytes it had in the first release.
    const FIRST_SIZE: usize;
    const NAME: &'static str;
    /// Set every `…_len` to HELIO_STRLEN.
    fn set_lengths(&mut self);
}

/// Read a struct of whatever size the host has.
///
/// # Safety
/// `pointer` is NULL or points to a struct of as many bytes as its first field says.
pub(super) unsafe fn read_struct<T: Sized32>(pointer: *const T) -> Result<Option<T>, Failure> {
    if pointer.is_null() {
        return Ok(None);
    }
    // SAFETY: the struct begins with its size, by the contract of this function.
    let size = unsafe { pointer.cast::<u32>().read_unaligned() };
    if size > LARGEST_STRUCT || (size as usize) < T::FIRST_SIZE {
        let message =
            format!("{}.struct_size is {size}: make the struct with {}_init(&opts, sizeof opts)", T::NAME, T::NAME);
        return Err(Failure::argument(message));
    }
    let size = size as usize;
    // SAFETY: `size` bytes are readable, by the contract of this function.
    let bytes = unsafe { std::slice::from_raw_parts(pointer.cast::<u8>(), size) };
    if bytes.iter().skip(size_of::<T>()).any(|byte| *byte != 0) {
        let message = format!("{} has fields that this version does not know and that are not zero", T::NAME);
        return Err(Failure::new(Status::Unsupported, message));
    }
    // SAFETY: `Sized32` says that all bytes zero is a valid value.
    let mut value: T = unsafe { std::mem::zeroed() };
    // SAFETY: both are at least so many bytes long and do not overlap.
    unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), (&raw mut value).cast::<u8>(), size.min(size_of::<T>())) };
    Ok(Some(value))
}

/// Zero the host's struct, set its size and its lengths. Nothing happens for NULL or a size that is none.
///
/// # Safety
/// `pointer` is NULL or `size` bytes can be written there.
pub(super) unsafe fn init_struct<T: Sized32>(pointer: *mut T, size: u32) {
    if pointer.is_null() || size > LARGEST_STRUCT || (size as usize) < T::FIRST_SIZE {
        return;
    }
    // SAFETY: `Sized32` says that all bytes zero is a valid value.
    let mut value: T = unsafe { std::mem::zeroed() };
    value.set_lengths();
    let count = (size as usize).min(size_of::<T>());
    // SAFETY: `size` bytes can be written, by the contract of this function; `count` is no more than both sizes.
    unsafe {
        std::ptr::write_bytes(pointer.cast::<u8>(), 0, size as usize);
        std::ptr::copy_nonoverlapping((&raw const value).cast::<u8>(), pointer.cast::<u8>(), count);
        pointer.cast::<u32>().write_unaligned(size);
    }
}

/// Bytes with a length, or up to their NUL; `None` for NULL. `what` names them.
///
/// # Safety
/// `text` is NULL, or `len` bytes are readable there, or (HELIO_STRLEN) a string that ends in NUL.
pub(super) unsafe fn bytes<'a>(text: *const c_char, len: usize, what: &str) -> Result<Option<&'a [u8]>, Failure> {
    if text.is_null() {
        return Ok(None);
    }
    if len != HELIO_STRLEN && isize::try_from(len).is_err() {
        return Err(Failure::argument(format!("the length of the {what} is {len}: no text is so long")));
    }
    // SAFETY: by the contract of this function; the length is one that a slice can have.
    Ok(Some(unsafe {
        match len {
            HELIO_STRLEN => CStr::from_ptr(text).to_bytes(),
            len => std::slice::from_raw_parts(text.cast(), len),
        }
    }))
}

/// Text with a length, or up to its NUL; `None` for NULL. `what` names it.
///
/// # Safety
/// As for [`bytes`].
pub(super) unsafe fn text<'a>(text: *const c_char, len: usize, what: &str) -> Result<Option<&'a str>, Failure> {
    // SAFETY: the same contract.
    unsafe { bytes(text, len, what) }?.map(|bytes| crate::call::utf8(bytes, what)).transpose()
}
