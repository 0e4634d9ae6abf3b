//! [`IntegerNetwork`]: layers with integer parameters.

use super::layer::{Assembly, Kind, Layer};
use crate::{Error, LayerSpec, Scope};
use ironlearn_ir::{Array, DType, Role, Shape, SlotId, TensorType};

/// What rows of the data hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IntegerInput {
    /// `u8`, such as pictures: `x` stands for `((x − mean) >> 1)·2⁻⁶`, with a mean of 0 until
    /// [`IntegerNetwork::centre`].
    Bytes,
    /// `i8` from −127 on, times 2 to the power of this exponent.
    Mantissas {
        /// The exponent.
        exponent: i32,
    },
}

/// The exponent of bytes, halved: `x` is `(x − mean)/128`.
const BYTES_EXPONENT: i32 = -6;

/// A sequence of layers with weights of 16 bits, trained by an [`IntegerStep`](super::IntegerStep).
pub struct IntegerNetwork {
    pub(super) scope: Scope,
    pub(super) input: IntegerInput,
    pub(super) inputs: Shape,
    pub(super) layers: Vec<Layer>,
    pub(super) classes: usize,
    /// The mean of bytes, `i32`, of the shape of a row.
    pub(super) mean: Option<SlotId>,
    /// The exponents of mantissas between layers and of the logits, `i32`, and 1 where they are known.
    pub(super) frozen: SlotId,
}

impl IntegerNetwork {
    /// A network for rows of bytes of this shape, or of whole numbers where the first layer is an embedding. It ends
    /// with a linear layer that has an output for each class.
    ///
    /// # Errors
    /// [`Error::Usage`] naming the layer that cannot be trained in integers, and why.
    pub fn from_specs(
        inputs: impl Into<Shape>,
        specs: &[LayerSpec],
        seed: u64,
    ) -> Result<IntegerNetwork, Error> {
        Self::with_input(IntegerInput::Bytes, inputs, specs, seed)
    }

    /// A network for rows of such numbers; see [`IntegerNetwork::from_specs`].
    pub fn with_input(
        input: IntegerInput,
        inputs: impl Into<Shape>,
        specs: &[LayerSpec],
        seed: u64,
    ) -> Result<IntegerNetwork, Error> {
        let (scope, inputs) = (Scope::root(seed), inputs.into());
        let hint =
            "layers count from 0; train the network in floats and quantize it where it needs other layers";
        let usage = |problem: String| Error::usage(problem, hint);
        let mut assembly = Assembly::new(&inputs);
        for (i, spec) in specs.iter().enumerate() {
            assembly.add(&scope.at(i), spec).map_err(usage)?;
        }
        let classes = assembly.finish().map_err(usage)?;
        let embedded = matches!(assembly.layers.first(), Some(Layer { kind: Kind::Embedding(_), .. }));
        let has_mean = input == IntegerInput::Bytes && !embedded;
        let zeros = |shape: Shape| Array::try_zeros(DType::I32, shape, "an integer network");
        let mut store = scope.store_mut();
        let mut add = |name: &str, shape: Shape| -> Result<SlotId, Error> {
            let value = zeros(shape)?;
            store.add(name, Role::Statistic, value).map_err(usage)
        };
        let mean = has_mean.then(|| add("input.mean", inputs.clone())).transpose()?;
        let frozen = add("exponents", [2, assembly.narrowed + 1].into())?;
        drop(store);
        Ok(IntegerNetwork { scope, input, inputs, layers: assembly.layers, classes, mean, frozen })
    }

    /// The store with everything that a checkpoint has to hold.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// The number of classes.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// Takes the mean of all bytes of these rows for the middle, or, `each`, a mean for every place of a row.
    ///
    /// # Errors
    /// [`Error::Usage`] where the network does not take bytes, or rows of another shape.
    pub fn centre(&self, rows: &Array, each: bool) -> Result<(), Error> {
        let misfit = || {
            let problem =
                format!("{} {} is no batch of bytes with rows {}", rows.dtype(), rows.shape(), self.inputs);
            Error::usage(problem, "give rows of `u8` of the shape that the network was made for")
        };
        let slot = self.mean.ok_or_else(misfit)?;
        let bytes = rows.as_slice::<u8>().filter(|b| !b.is_empty()).ok_or_else(misfit)?;
        if rows.shape().rank() != self.inputs.rank() + 1 || rows.shape()[1..] != self.inputs[..] {
            return Err(misfit());
        }
        let width = self.inputs.elements();
        let mut sums = vec![0u64; width];
        for row in bytes.chunks_exact(width) {
            sums.iter_mut().zip(row).for_each(|(sum, &x)| *sum += u64::from(x));
        }
        let mean = |sum: u64, n: usize| ((sum + n as u64 / 2) / n as u64) as i32;
        let all = mean(sums.iter().sum(), bytes.len());
        let means = sums.iter().map(|&sum| if each { mean(sum, bytes.len() / width) } else { all });
        self.set(slot, Array::of(self.inputs.clone(), means.collect::<Vec<i32>>()))
    }

    /// Sets the value of a slot.
    pub(super) fn set(&self, slot: SlotId, value: Result<Array, String>) -> Result<(), Error> {
        let set = value.and_then(|value| self.scope.store_mut().set(slot, value));
        set.map_err(|problem| Error::usage(problem, "use a store of the same network"))
    }

    /// The types of a batch and of its classes.
    pub fn signature(&self, batch: usize) -> Vec<TensorType> {
        let index = |below: usize| if below <= 256 { DType::U8 } else { DType::I32 };
        let x = match (&self.layers[0].kind, self.input) {
            (Kind::Embedding(weights), _) => index(weights.shape[0]),
            (_, IntegerInput::Bytes) => DType::U8,
            (_, IntegerInput::Mantissas { .. }) => DType::I8,
        };
        let rows: Shape = [&[batch], &self.inputs[..]].concat().into();
        vec![TensorType::new(x, rows), TensorType::new(index(self.classes), [batch])]
    }

    /// How often sums become mantissas, the logits counted.
    pub(super) fn narrowed(&self) -> usize {
        1 + self.layers.iter().filter(|layer| layer.kind.narrows()).count()
    }

    /// The exponent of the input's mantissas.
    pub(super) fn input_exponent(&self) -> i32 {
        match self.input {
            IntegerInput::Bytes => BYTES_EXPONENT,
            IntegerInput::Mantissas { exponent } => exponent,
        }
    }
}
