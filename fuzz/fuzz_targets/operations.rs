//! Sequences of operations on tensors, with shapes and arguments that the bytes choose: each gives a result or an
//! error that can be read.
#![no_main]

use ironlearn::Error;
use ironlearn::prelude::*;
use ironlearn_fuzz::assert_readable;
use libfuzzer_sys::fuzz_target;

/// The largest tensor that goes into the next operation.
const MOST: usize = 512;

/// Bytes as choices; zeros when they are used up.
struct Choices<'a>(&'a [u8]);

impl Choices<'_> {
    fn byte(&mut self) -> u8 {
        let Some((&first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        first
    }
    /// A length, mostly small.
    fn length(&mut self) -> usize {
        match self.byte() {
            255 => usize::MAX,
            254 => 1 << 40,
            small => usize::from(small % 6),
        }
    }
    /// An axis or position, in reach or not.
    fn signed(&mut self) -> isize {
        match self.byte() as i8 {
            i8::MIN => isize::MIN,
            i8::MAX => isize::MAX,
            small => isize::from(small % 6),
        }
    }
    fn some<T>(&mut self, mut each: impl FnMut(&mut Self) -> T) -> Vec<T> {
        (0..self.byte() % 5).map(|_| each(self)).collect()
    }
    fn value(&mut self) -> f32 {
        match self.byte() as i8 {
            i8::MIN => f32::NAN,
            i8::MAX => f32::INFINITY,
            small => f32::from(small) / 8.0,
        }
    }
    fn tensor(&mut self) -> Tensor<f32> {
        let shape: Vec<usize> = self.some(|c| usize::from(c.byte() % 5));
        let values = (0..shape.iter().product()).map(|_| self.value()).collect();
        Tensor::new(shape, values).expect("as many values as the shape has")
    }
}

fn operation(c: &mut Choices<'_>, x: &Tensor<f32>, y: &Tensor<f32>) -> Result<Tensor<f32>, Error> {
    Ok(match c.byte() % 30 {
        0 => x.add(y)?,
        1 => x.sub(y)?,
        2 => x.mul(y)?,
        3 => x.div(y)?,
        4 => x.rem(y)?,
        5 => x.pow(y)?,
        6 => x.matmul(y)?,
        7 => x.exp(),
        8 => x.neg(),
        9 => x.reshape(c.some(Choices::signed))?,
        10 => x.permute(c.some(Choices::length))?,
        11 => x.transpose()?,
        12 => x.broadcast_to(c.some(|c| usize::from(c.byte() % 6)))?,
        13 => x.flip(c.some(Choices::signed))?,
        14 => {
            let borders = c.some(|c| (c.length(), c.length()));
            x.pad(&borders, c.value())?
        }
        15 => x.unsqueeze(c.signed())?,
        16 => x.squeeze(c.signed())?,
        17 => x.sum(c.some(Choices::signed))?,
        18 => x.argmax(c.signed())?.cast(),
        19 => x.argmin(c.signed())?.cast(),
        20 => x.sort(c.signed())?,
        21 => x.argsort(c.signed())?.cast(),
        22 => x.cumsum(c.signed())?,
        23 => x.cumprod(c.signed())?,
        24 => Tensor::concat(&[x, y], c.signed())?,
        25 => Tensor::stack(&[x, y], c.signed())?,
        26 => {
            let lengths = c.some(Choices::length);
            x.split(&lengths, c.signed())?.pop().unwrap_or_else(|| y.clone())
        }
        27 => {
            let positions = c.some(Choices::signed);
            x.take(&positions, c.signed())?
        }
        28 => x.gather(&y.cast::<i64>(), c.signed())?,
        _ => x.lt(y)?.select(x, y)?,
    })
}

fuzz_target!(|bytes: &[u8]| {
    let mut c = Choices(bytes);
    let (mut x, mut y) = (c.tensor(), c.tensor());
    for _ in 0..6 {
        match operation(&mut c, &x, &y) {
            Ok(next) if next.len() <= MOST => (x, y) = (next, x),
            Ok(_) => y = c.tensor(),
            Err(e) => assert_readable(&e.to_string()),
        }
    }
});
