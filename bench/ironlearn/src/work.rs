//! [`Work`]: what is measured; and the data that it runs on.

use crate::args::Args;
use ironlearn::prelude::*;
use ironlearn::{Cpu, Cuda, Error};
use ironlearn_ir::{ArrayView, Element, Shape, Stored};

/// Runs so many steps, and gives the loss of the last.
type Steps = Box<dyn FnMut(usize) -> Result<f64, Error>>;

/// A job, ready to run.
pub struct Work {
    steps: Steps,
    unit: Unit,
    scope: Scope,
}

/// How a rate is printed.
pub enum Unit {
    /// So many of these a step, per second.
    Rate(&'static str, f64),
    /// Time of so many steps, in units of so many seconds.
    Time(&'static str, f64, f64),
}

impl Work {
    pub fn new(unit: Unit, scope: &Scope, steps: impl FnMut(usize) -> Result<f64, Error> + 'static) -> Work {
        Work { steps: Box::new(steps), unit, scope: scope.clone() }
    }

    pub fn run(&mut self, n: usize) -> Result<f64, Error> {
        (self.steps)(n)
    }

    /// The value in its unit, of steps per second.
    pub fn value(&self, rate: f64) -> f64 {
        match self.unit {
            Unit::Rate(_, each) => rate * each,
            Unit::Time(_, steps, unit) => steps / rate / unit,
        }
    }

    pub fn unit(&self) -> &'static str {
        match self.unit {
            Unit::Rate(name, _) | Unit::Time(name, ..) => name,
        }
    }

    /// FNV-1a of the bits of all state.
    pub fn hash(&self) -> u64 {
        let store = self.scope.store();
        let mut hash = 0xcbf2_9ce4_8422_2325u64;
        let mut add = |bits: u64| {
            for byte in bits.to_le_bytes() {
                hash = (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
            }
        };
        for id in store.ids() {
            let value = store.slot(id).value();
            value.as_slice::<f32>().unwrap_or_default().iter().for_each(|x| add(x.to_bits().into()));
            value.as_slice::<f64>().unwrap_or_default().iter().for_each(|x| add(x.to_bits()));
            value.as_slice::<i64>().unwrap_or_default().iter().for_each(|&x| add(x as u64));
        }
        hash
    }
}

/// The options of every step.
pub fn options(args: &Args) -> Result<Options, Error> {
    let precision = match args.case.split('-').next() {
        Some("bf16") => Precision::Bf16,
        Some("tf32") => Precision::Tf32,
        _ => Precision::Full,
    };
    let options = Options::default().unchecked(args.unchecked).precision(precision);
    if args.cuda {
        let cuda = Cuda::open(0).map_err(|e| Error::usage(e.to_string(), e.hint()))?;
        return Ok(options.cuda(cuda));
    }
    let cpu = Cpu::new(args.threads).map_err(|e| Error::usage(e, "unset IRONLEARN_ISA"))?;
    Ok(options.cpu(cpu))
}

/// The inputs of a job, times `--scale`.
pub fn inputs<T: Real>(args: &Args, name: &str) -> Result<Tensor<T>, Error> {
    let x = data::<f32>(args, name)?;
    Ok(if args.scale == 1.0 { x.cast() } else { (&x * args.scale)?.cast() })
}

/// A file of bench/data.
pub fn data<T: Element>(args: &Args, name: &str) -> Result<Tensor<T>, Error> {
    Tensor::read_npy(args.data.join(format!("{name}.npy")))
}

/// Sets all parameters to the initial values that every framework begins with.
pub fn initial<T: Real>(args: &Args, job: &str, scope: &Scope) -> Result<(), Error> {
    let mut store = scope.store_mut();
    for id in store.trainable() {
        let name = store.slot(id).name.clone();
        let embeds = matches!(&name[..], "token.weight" | "place.weight");
        let file = format!("{job}/{name}");
        let value = if embeds { inputs::<T>(args, &file)? } else { data::<f32>(args, &file)?.cast::<T>() };
        store.set(id, value.into_array()).map_err(|e| Error::usage(e, "write bench/data anew"))?;
    }
    Ok(())
}

/// Images as numbers in [-0.5, 0.5).
pub fn pixels(args: &Args) -> Result<Tensor<f32>, Error> {
    let bytes = data::<u8>(args, "mnist/images")?;
    Tensor::new(
        bytes.shape().clone(),
        bytes.iter().map(|p| args.scale * (f32::from(p) / 256.0 - 0.5)).collect(),
    )
}

/// Batch after batch of an array, without copying, and from the front again after the last whole one.
pub struct Batches<T> {
    values: Vec<T>,
    shape: Shape,
    /// The element that the first batch begins with.
    start: usize,
}

impl<T: Element + Stored> Batches<T> {
    pub fn new(values: Vec<T>, shape: impl Into<Shape>) -> Self {
        Batches { values, shape: shape.into(), start: 0 }
    }

    /// With batches that begin at this element.
    pub fn from(self, start: usize) -> Self {
        Batches { start, ..self }
    }

    pub fn batch(&self, number: usize) -> ArrayView<'_> {
        let each = self.shape.elements();
        let count = (self.values.len() - self.start) / each;
        let at = self.start + number % count * each;
        ArrayView::of(&self.shape, T::wrap_ref(&self.values[at..at + each]))
    }
}
