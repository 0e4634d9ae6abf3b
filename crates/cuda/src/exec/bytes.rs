//! Elements as bytes, for copies to and from the device.

use ironlearn_ir::{ArrayView, Data, DataRef, Stored, TensorType, dispatch};
use std::{mem, slice};

/// The bytes of some elements.
pub fn of(data: DataRef<'_>) -> &[u8] {
    macro_rules! bytes {
        ($($variant:ident),*) => {
            match data {
                // SAFETY: elements are plain numbers without padding.
                $(DataRef::$variant(v) => unsafe { slice::from_raw_parts(v.as_ptr().cast(), mem::size_of_val(v)) }),*
            }
        };
    }
    bytes!(Bool, U8, I8, I16, I32, I64, U32, F16, Bf16, F32, F64, C64, C128)
}

/// The bytes of some elements, to be written with what the device has made of the same type.
pub fn of_mut(data: &mut Data) -> &mut [u8] {
    macro_rules! bytes {
        ($($variant:ident),*) => {
            match data {
                $(Data::$variant(v) => {
                    let bytes = mem::size_of_val(&v[..]);
                    // SAFETY: elements are plain numbers without padding; kernels write 0 or 1 as truth values.
                    unsafe { slice::from_raw_parts_mut(v.as_mut_ptr().cast(), bytes) }
                }),*
            }
        };
    }
    bytes!(Bool, U8, I8, I16, I32, I64, U32, F16, Bf16, F32, F64, C64, C128)
}

/// Bytes that the device has written, as elements. `None` where there are too few, or not where such elements can be.
pub fn view<'a>(bytes: &'a [u8], ty: &'a TensorType) -> Option<ArrayView<'a>> {
    let n = ty.shape.elements();
    dispatch!(ty.dtype, T => {
        let fits = bytes.len() >= n * size_of::<T>() && (bytes.as_ptr() as usize).is_multiple_of(align_of::<T>());
        if !fits {
            return None;
        }
        // SAFETY: long enough, aligned, and written with valid elements of the type: see `of_mut`.
        let elements = if n == 0 { &[][..] } else { unsafe { slice::from_raw_parts(bytes.as_ptr().cast::<T>(), n) } };
        Some(ArrayView::of(&ty.shape, Stored::wrap_ref(elements)))
    })
}
