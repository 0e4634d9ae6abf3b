//! [`Array`]: an owned row-major array whose element type is known at run time. The interpreter computes
//! with it, files are read into it, state slots are given out as it.

use crate::memory::{self, Refused};
use crate::{Complex32, Complex64, DType, Shape, bf16, f16};
use std::fmt::Display;

macro_rules! data {
    ($($variant:ident($t:ty)),* $(,)?) => {
        /// Elements of one type, owned.
        #[derive(Clone, Debug, PartialEq)]
        #[allow(missing_docs)]
        pub enum Data { $($variant(Vec<$t>)),* }

        /// Elements of one type, borrowed.
        #[derive(Clone, Copy, Debug, PartialEq)]
        #[allow(missing_docs)]
        pub enum DataRef<'a> { $($variant(&'a [$t])),* }

        impl Data {
            /// `n` zeros.
            pub fn zeros(dtype: DType, n: usize) -> Data {
                match dtype { $(DType::$variant => Data::$variant(vec![Default::default(); n])),* }
            }
            /// `n` zeros, or why there is no room for them: for `what`.
            pub fn try_zeros(dtype: DType, n: usize, what: impl Display) -> Result<Data, Refused> {
                match dtype { $(DType::$variant => memory::zeros(n, what).map(Data::$variant)),* }
            }
            /// Writes elements of the same type over those from `at` on.
            ///
            /// # Errors
            /// Where they are of another type, or more than there is room for.
            pub fn put(&mut self, at: usize, x: DataRef<'_>) -> Result<(), String> {
                let (n, room) = (x.len(), self.len());
                let misfit = || format!("{n} elements of `{}` do not go to element {at} of {room}", x.dtype());
                match (self, x) {
                    $((Data::$variant(all), DataRef::$variant(x)) => {
                        all.get_mut(at..at + n).ok_or_else(misfit)?.copy_from_slice(x);
                        Ok(())
                    })*
                    _ => Err(misfit()),
                }
            }
            /// The element type.
            pub fn dtype(&self) -> DType {
                match self { $(Data::$variant(_) => DType::$variant),* }
            }
            /// The number of elements.
            pub fn len(&self) -> usize {
                match self { $(Data::$variant(v) => v.len()),* }
            }
            /// True where there are no elements.
            pub fn is_empty(&self) -> bool {
                self.len() == 0
            }
            /// Makes every element 0.
            pub fn fill_zero(&mut self) {
                match self { $(Data::$variant(v) => v.fill(Default::default())),* }
            }
            /// Takes over the elements of data of the same type and length; gives false, and does nothing, where
            /// the other has another type or length.
            pub fn copy_from(&mut self, other: DataRef<'_>) -> bool {
                match (self, other) {
                    $((Data::$variant(to), DataRef::$variant(from)) if to.len() == from.len() => {
                        to.copy_from_slice(from);
                        true
                    })*
                    _ => false,
                }
            }
            /// The elements, borrowed.
            pub fn view(&self) -> DataRef<'_> {
                match self { $(Data::$variant(v) => DataRef::$variant(v)),* }
            }
        }

        impl<'a> DataRef<'a> {
            /// The element type.
            pub fn dtype(self) -> DType {
                match self { $(DataRef::$variant(_) => DType::$variant),* }
            }
            /// The number of elements.
            pub fn len(self) -> usize {
                match self { $(DataRef::$variant(v) => v.len()),* }
            }
            /// True where there are no elements.
            pub fn is_empty(self) -> bool {
                self.len() == 0
            }
            /// Some of the elements; none where there are not so many.
            pub fn part(self, range: std::ops::Range<usize>) -> DataRef<'a> {
                match self { $(DataRef::$variant(v) => DataRef::$variant(v.get(range).unwrap_or_default())),* }
            }
            /// A copy that is owned.
            pub fn to_owned(self) -> Data {
                match self { $(DataRef::$variant(v) => Data::$variant(v.to_vec())),* }
            }
            /// A copy that is owned, or why there is no room for it: for `what`.
            pub fn try_to_owned(self, what: impl Display) -> Result<Data, Refused> {
                match self { $(DataRef::$variant(v) => memory::copied(v, what).map(Data::$variant)),* }
            }
        }

        $(impl Stored for $t {
            fn wrap(v: Vec<$t>) -> Data { Data::$variant(v) }
            fn wrap_ref(v: &[$t]) -> DataRef<'_> { DataRef::$variant(v) }
            fn unwrap(d: Data) -> Result<Vec<$t>, Data> {
                match d { Data::$variant(v) => Ok(v), other => Err(other) }
            }
            fn slice<'a>(d: DataRef<'a>) -> Option<&'a [$t]> {
                match d { DataRef::$variant(v) => Some(v), _ => None }
            }
            fn slice_mut(d: &mut Data) -> Option<&mut [$t]> {
                match d { Data::$variant(v) => Some(v), _ => None }
            }
        })*
    };
}

/// How the elements of one type go into and out of [`Data`]; part of [`Element`](crate::Element).
pub trait Stored: Copy + 'static {
    /// Owned elements as [`Data`].
    fn wrap(v: Vec<Self>) -> Data;
    /// Borrowed elements as [`DataRef`].
    fn wrap_ref(v: &[Self]) -> DataRef<'_>;
    /// The elements, or the data back where it holds another type.
    fn unwrap(d: Data) -> Result<Vec<Self>, Data>;
    /// The elements, or `None` where the data holds another type.
    fn slice<'a>(d: DataRef<'a>) -> Option<&'a [Self]>;
    /// The elements, or `None` where the data holds another type.
    fn slice_mut(d: &mut Data) -> Option<&mut [Self]>;
}

data! {
    Bool(bool), U8(u8), I8(i8), I16(i16), I32(i32), I64(i64), U32(u32),
    F16(f16), Bf16(bf16), F32(f32), F64(f64), C64(Complex32), C128(Complex64),
}

/// An owned row-major array.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    shape: Shape,
    data: Data,
}

/// A borrowed row-major array.
#[derive(Clone, Copy, Debug)]
pub struct ArrayView<'a> {
    shape: &'a Shape,
    data: DataRef<'a>,
}

impl Array {
    /// An array, or the reason why the shape does not hold these elements.
    pub fn new(shape: impl Into<Shape>, data: Data) -> Result<Array, String> {
        let shape = shape.into();
        match crate::shape::checked_len(&shape) {
            Some(n) if n == data.len() => Ok(Array { shape, data }),
            _ => Err(format!("the shape {shape} does not hold {} elements", data.len())),
        }
    }

    /// An array of elements of a Rust type; see [`Array::new`].
    pub fn of<T: Stored>(shape: impl Into<Shape>, data: Vec<T>) -> Result<Array, String> {
        Array::new(shape, T::wrap(data))
    }

    /// A scalar.
    pub fn scalar<T: Stored>(x: T) -> Array {
        Array { shape: Shape::scalar(), data: T::wrap(vec![x]) }
    }

    /// An array of zeros. Ends the program where memory is refused: for small ones, and for tests.
    pub fn zeros(dtype: DType, shape: impl Into<Shape>) -> Array {
        let shape = shape.into();
        let data = Data::zeros(dtype, shape.elements());
        Array { shape, data }
    }

    /// An array of zeros, or why there is no room for it: for `what`.
    pub fn try_zeros(dtype: DType, shape: impl Into<Shape>, what: impl Display) -> Result<Array, Refused> {
        let shape = shape.into();
        let n = crate::shape::checked_len(&shape).unwrap_or(usize::MAX);
        let data = Data::try_zeros(dtype, n, format_args!("{what}, {dtype}{shape}"))?;
        Ok(Array { shape, data })
    }

    /// The element type.
    pub fn dtype(&self) -> DType {
        self.data.dtype()
    }
    /// The lengths along the axes.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }
    /// The elements, in row-major order.
    pub fn data(&self) -> &Data {
        &self.data
    }
    /// The elements, in row-major order.
    pub fn data_mut(&mut self) -> &mut Data {
        &mut self.data
    }
    /// Shape and elements apart.
    pub fn into_parts(self) -> (Shape, Data) {
        (self.shape, self.data)
    }
    /// The same array, borrowed.
    pub fn view(&self) -> ArrayView<'_> {
        ArrayView { shape: &self.shape, data: self.data.view() }
    }
    /// The elements as a slice of a Rust type, or `None` where the array holds another type.
    pub fn as_slice<T: Stored>(&self) -> Option<&[T]> {
        T::slice(self.data.view())
    }
    /// The elements as a slice of a Rust type, or `None` where the array holds another type.
    pub fn as_slice_mut<T: Stored>(&mut self) -> Option<&mut [T]> {
        T::slice_mut(&mut self.data)
    }
    /// The same elements under another shape with as many.
    pub fn reshaped(self, shape: impl Into<Shape>) -> Result<Array, String> {
        Array::new(shape, self.data)
    }
}

impl<'a> ArrayView<'a> {
    /// A view of elements that the shape is known to hold; asserted in debug builds.
    pub fn of(shape: &'a Shape, data: DataRef<'a>) -> ArrayView<'a> {
        debug_assert_eq!(shape.elements(), data.len());
        ArrayView { shape, data }
    }
    /// A view, or the reason why the shape does not hold these elements.
    pub fn new(shape: &'a Shape, data: DataRef<'a>) -> Result<ArrayView<'a>, String> {
        if shape.elements() == data.len() {
            Ok(ArrayView { shape, data })
        } else {
            Err(format!("the shape {shape} does not hold {} elements", data.len()))
        }
    }
    /// The element type.
    pub fn dtype(self) -> DType {
        self.data.dtype()
    }
    /// The lengths along the axes.
    pub fn shape(self) -> &'a Shape {
        self.shape
    }
    /// The elements, in row-major order.
    pub fn data(self) -> DataRef<'a> {
        self.data
    }
    /// The elements as a slice of a Rust type, or `None` where the view holds another type.
    pub fn as_slice<T: Stored>(self) -> Option<&'a [T]> {
        T::slice(self.data)
    }
    /// An owned copy. Ends the program where memory is refused: for small ones, and for tests.
    pub fn to_array(self) -> Array {
        Array { shape: self.shape.clone(), data: self.data.to_owned() }
    }
    /// An owned copy, or why there is no room for it: for `what`.
    pub fn try_to_array(self, what: impl Display) -> Result<Array, Refused> {
        let what = format_args!("{what}, {}{}", self.dtype(), self.shape);
        Ok(Array { shape: self.shape.clone(), data: self.data.try_to_owned(what)? })
    }
}
