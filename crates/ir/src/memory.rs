//! Memory that can be refused: every large allocation of Iron Learn is made here, or by a fallible function of the
//! standard library, and what is refused is an error that says what it was for.
//!
//! *Large* is what grows with data, shapes or files: elements of tensors, batches, pictures, texts of files. What
//! grows with the description of a network alone (nodes, names, messages) is small, and made as everywhere in Rust.

use bytemuck::Zeroable;
use std::cell::Cell;
use std::fmt;

/// Memory that was asked for and not given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// How much.
    pub bytes: u64,
    /// What for.
    pub what: String,
}

impl Refused {
    /// So many elements of a type, for this.
    pub fn elements<T>(n: usize, what: impl fmt::Display) -> Refused {
        Refused { bytes: (n as u64).saturating_mul(size_of::<T>() as u64), what: what.to_string() }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "out of memory: {} bytes for {}", self.bytes, self.what)
    }
}

impl std::error::Error for Refused {}

impl From<Refused> for String {
    fn from(refused: Refused) -> String {
        refused.to_string()
    }
}

/// Room for `n` elements.
pub fn room<T>(n: usize, what: impl fmt::Display) -> Result<Vec<T>, Refused> {
    let mut v = Vec::new();
    match v.try_reserve_exact(n) {
        Ok(()) => Ok(v),
        Err(_) => Err(Refused::elements::<T>(n, what)),
    }
}

/// `n` zeros, which the system gives out without writing them.
pub fn zeros<T: Zeroable>(n: usize, what: impl fmt::Display) -> Result<Vec<T>, Refused> {
    bytemuck::try_zeroed_vec(n).map_err(|()| Refused::elements::<T>(n, what))
}

/// `n` times the same.
pub fn filled<T: Clone>(x: T, n: usize, what: impl fmt::Display) -> Result<Vec<T>, Refused> {
    let mut v = room(n, what)?;
    v.resize(n, x);
    Ok(v)
}

/// A copy.
pub fn copied<T: Copy>(x: &[T], what: impl fmt::Display) -> Result<Vec<T>, Refused> {
    let mut v = room(x.len(), what)?;
    v.extend_from_slice(x);
    Ok(v)
}

thread_local! {
    static IN_LIBRARY: Cell<bool> = const { Cell::new(false) };
}

/// Runs code of a library that cannot say that memory was refused, after `bytes`, the most that it takes, were
/// shown to be there: they are asked for and given back.
pub fn for_library<R>(bytes: usize, what: impl fmt::Display, f: impl FnOnce() -> R) -> Result<R, Refused> {
    /// Sets the mark back, also where `f` panics.
    struct Before(bool);
    impl Drop for Before {
        fn drop(&mut self) {
            IN_LIBRARY.set(self.0);
        }
    }
    drop(std::hint::black_box(room::<u8>(bytes, what)?));
    let _before = Before(IN_LIBRARY.replace(true));
    Ok(f())
}

/// Whether this thread runs code of such a library; for tests that refuse memory.
#[doc(hidden)]
pub fn is_in_library() -> bool {
    IN_LIBRARY.get()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_machine_has_is_refused_with_its_size_and_its_purpose() {
        let expected = Refused { bytes: 1 << 62, what: "all".into() };
        assert_eq!(room::<u32>(1 << 60, "all"), Err(expected.clone()));
        assert_eq!(zeros::<f32>(1 << 60, "all"), Err(expected.clone()));
        assert_eq!(filled(1u32, 1 << 60, "all"), Err(expected.clone()));
        assert_eq!(for_library(1 << 62, "all", || 1), Err(expected));
        assert_eq!(room::<u64>(usize::MAX, "all").unwrap_err().bytes, u64::MAX);
    }

    #[test]
    fn what_is_there_is_given() {
        assert_eq!(zeros::<f32>(3, ""), Ok(vec![0.0; 3]));
        assert_eq!(filled(7, 2, ""), Ok(vec![7; 2]));
        assert_eq!(copied(&[1, 2], ""), Ok(vec![1, 2]));
        assert_eq!(for_library(10, "", is_in_library), Ok(true));
        assert!(!is_in_library());
    }
}
