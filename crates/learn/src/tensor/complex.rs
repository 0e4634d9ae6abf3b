//! Parts of complex numbers.

use super::Tensor;
use crate::Error;
use ironlearn_ir::{Complex32, Complex64, ComplexElement};

/// A complex type that can be taken apart.
pub trait Parts: ComplexElement {
    /// Real and imaginary part.
    fn parts(self) -> (Self::Part, Self::Part);
    /// The number with these parts.
    fn of_parts(re: Self::Part, im: Self::Part) -> Self;
    /// The number with the other sign of the imaginary part.
    fn conjugate(self) -> Self;
}
macro_rules! parts {
    ($($t:ident $part:ty;)*) => {$(impl Parts for $t {
        fn parts(self) -> ($part, $part) { (self.re, self.im) }
        fn of_parts(re: $part, im: $part) -> $t { $t::new(re, im) }
        fn conjugate(self) -> $t { self.conj() }
    })*};
}
parts! { Complex32 f32; Complex64 f64; }

impl<T: Parts> Tensor<T> {
    /// The complex numbers with these parts.
    ///
    /// ```
    /// # use ironlearn::Tensor;
    /// use ironlearn_ir::Complex32;
    /// let z = Tensor::<Complex32>::from_parts(&Tensor::from([3.0]), &Tensor::from([-4.0]))?;
    /// assert_eq!(z.abs(), Tensor::from([5.0]));
    /// # Ok::<(), ironlearn::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Usage`] where the shapes differ.
    pub fn from_parts(re: &Tensor<T::Part>, im: &Tensor<T::Part>) -> Result<Tensor<T>, Error> {
        if re.shape() != im.shape() {
            return Err(Error::usage(
                format!("from_parts: real parts {} and imaginary parts {} differ", re.shape(), im.shape()),
                "give one imaginary part for each real part",
            ));
        }
        Ok(Tensor::trusted(
            re.shape().clone(),
            re.iter().zip(im.iter()).map(|(re, im)| T::of_parts(re, im)).collect(),
        ))
    }

    /// The real parts.
    pub fn real(&self) -> Tensor<T::Part> {
        self.cast()
    }

    /// The imaginary parts.
    pub fn imag(&self) -> Tensor<T::Part> {
        Tensor::trusted(self.shape().clone(), self.iter().map(|z| z.parts().1).collect())
    }

    /// The conjugates: imaginary parts with the other sign.
    pub fn conj(&self) -> Tensor<T> {
        Tensor::trusted(self.shape().clone(), self.iter().map(T::conjugate).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_conjugates_and_products() {
        let z = Tensor::from([Complex64::new(1.0, 2.0), Complex64::new(-3.0, 0.5)]);
        assert_eq!(z.real(), Tensor::from([1.0, -3.0]));
        assert_eq!(z.imag(), Tensor::from([2.0, 0.5]));
        let square = (&z * z.conj()).unwrap();
        assert_eq!(square.real(), Tensor::from([5.0, 9.25]));
        assert_eq!(square.imag(), Tensor::from([0.0, 0.0]));
        assert_eq!(z.sum([0]).unwrap().item().unwrap(), Complex64::new(-2.0, 2.5));
        assert_eq!(z.prod([0]).unwrap().item().unwrap(), Complex64::new(-4.0, -5.5));
        assert_eq!(Tensor::<Complex64>::from_parts(&z.real(), &z.imag()).unwrap(), z);
        assert!(Tensor::<Complex64>::from_parts(&z.real(), &Tensor::from([1.0])).is_err());
    }
}
