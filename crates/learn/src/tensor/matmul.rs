//! Matrix products.

use super::Tensor;
use super::eager::{broadcast, run};
use crate::Error;
use ironlearn_ir::prim::Dot;
use ironlearn_ir::{Array, Num, Shape};

impl<T: Num> Tensor<T> {
    /// The matrix product of the last two axes, `[.., m, k] · [.., k, n] = [.., m, n]`; leading axes
    /// broadcast. As in NumPy, a vector on the left is a row, one on the right a column, and the axis of
    /// length 1 vanishes from the result. Narrow types are accumulated in, and give, their accumulator type:
    /// `i8`, `u8`, `i16` in `i32`, `f16`, `bf16` in `f32`; integers wrap there.
    ///
    /// ```
    /// # use ironlearn::Tensor;
    /// let x = Tensor::from([[100i8, 100], [1, 2]]);
    /// assert_eq!(x.matmul(&Tensor::from([[100], [100]]))?, Tensor::from([[20_000i32], [300]]));
    /// # Ok::<(), ironlearn::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Usage`] where the inner lengths differ, the leading axes do not broadcast, or a side is a
    /// scalar.
    pub fn matmul(&self, y: &Tensor<T>) -> Result<Tensor<T::Acc>, Error> {
        let (row, column) = (self.rank() == 1, y.rank() == 1);
        let fail = |what: &str, help: &str| {
            Err(Error::usage(format!("matmul: {} · {}: {what}", self.shape(), y.shape()), help))
        };
        if self.rank() == 0 || y.rank() == 0 {
            return fail("a scalar has no rows or columns", "use `mul`");
        }
        let a = if row { self.unsqueeze(0)? } else { self.clone() };
        let b = if column { y.unsqueeze(1)? } else { y.clone() };
        let (x, y) = (a.view(), b.view());
        let (lead_x, [m, k]) = split(x.shape());
        let (lead_y, [inner, n]) = split(y.shape());
        if k != inner {
            let what = format!("the inner lengths {k} and {inner} differ");
            return fail(
                &what,
                "transpose a side, so that the last axis of the left is the second last of the right",
            );
        }
        let Some(lead) = lead_x.broadcast(&lead_y) else {
            let help = "counted from the third last axis, lengths must be equal or 1";
            return fail("the leading axes do not broadcast to each other", help);
        };
        // A matrix on the right is shared by all leading axes without being repeated.
        let array = if lead_y.rank() == 0 {
            run(Dot { batch: vec![], contract: vec![(lead_x.rank() + 1, 0)] }, &[x, y])?
        } else {
            let full = |matrix: [usize; 2]| Shape::from([lead.dims(), &matrix].concat());
            let (wide_x, wide_y) = (broadcast(x, &full([m, k]))?, broadcast(y, &full([k, n]))?);
            let operands = [wide_x.as_ref().map_or(x, Array::view), wide_y.as_ref().map_or(y, Array::view)];
            run(Dot::matmul(lead.rank() + 2), &operands)?
        };
        let rank = array.shape().rank();
        let vanishing: Vec<usize> =
            [(row, rank - 2), (column, rank - 1)].iter().filter(|v| v.0).map(|v| v.1).collect();
        let shape = array.shape().without(&vanishing);
        Tensor::new(shape, Tensor::from_array(array)?.into_vec())
    }
}

/// The leading axes, and the last two.
fn split(shape: &Shape) -> (Shape, [usize; 2]) {
    let lead = shape.rank() - 2;
    (shape[..lead].into(), [shape[lead], shape[lead + 1]])
}

#[cfg(test)]
mod tests {
    use super::*;
    use ironlearn_ir::{Complex32, bf16};

    #[test]
    fn vectors_are_rows_and_columns() {
        let (m, v) = (Tensor::from([[1.0, 2.0], [3.0, 4.0]]), Tensor::from([10.0, 1.0]));
        assert_eq!(m.matmul(&v).unwrap(), Tensor::from([12.0, 34.0]));
        assert_eq!(v.matmul(&m).unwrap(), Tensor::from([13.0, 24.0]));
        assert_eq!(v.matmul(&v).unwrap().item().unwrap(), 101.0);
    }

    #[test]
    fn leading_axes_broadcast() {
        let x = Tensor::arange(0, 12, 1).unwrap().reshape([2, 1, 2, 3]).unwrap();
        let y = Tensor::arange(0, 9, 1).unwrap().reshape([3, 3, 1]).unwrap();
        let z = x.matmul(&y).unwrap();
        assert_eq!(z.shape().dims(), [2, 3, 2, 1]);
        for (a, b, i) in (0..12).map(|n| (n / 6, n / 2 % 3, n % 2)) {
            let expected = (0..3).map(|k| ((a * 2 + i) * 3 + k) * (b * 3 + k)).sum::<usize>();
            assert_eq!(z.get(&[a, b, i, 0]), Some(expected as i32));
        }
        let shared = x.matmul(&Tensor::from([[1], [1], [1]])).unwrap();
        assert_eq!((shared.shape().dims(), shared.to_vec()), (&[2, 1, 2, 1][..], vec![3, 12, 21, 30]));
        assert_eq!(Tensor::from([1, 1]).matmul(&x).unwrap().shape().dims(), [2, 1, 3]);
    }

    #[test]
    fn narrow_and_complex_products() {
        let ones = Tensor::<bf16>::ones([1, 1000]).unwrap();
        assert_eq!(ones.matmul(&ones.transpose().unwrap()).unwrap(), Tensor::from([[1000.0f32]]));
        let i = Tensor::from([[Complex32::new(0.0, 1.0)]]);
        assert_eq!(i.matmul(&i).unwrap(), Tensor::from([[Complex32::new(-1.0, 0.0)]]));
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let zeros = |shape: &[usize]| Tensor::<f32>::zeros(shape).unwrap();
        let fail = |a: &[usize], b: &[usize]| zeros(a).matmul(&zeros(b)).unwrap_err().to_string();
        let e = fail(&[2, 3], &[2, 3]);
        assert!(
            e.contains("matmul: [2, 3] · [2, 3]: the inner lengths 3 and 2") && e.contains("transpose"),
            "{e}"
        );
        assert!(fail(&[2, 1, 1], &[3, 1, 1]).contains("leading"));
        assert!(fail(&[], &[1]).contains("scalar"));
        assert_eq!(zeros(&[2, 0]).matmul(&zeros(&[0, 3])).unwrap(), zeros(&[2, 3]));
        assert_eq!(zeros(&[0, 2, 2]).matmul(&zeros(&[1, 2, 3])).unwrap().shape().dims(), [0, 2, 3]);
    }
}
