//! Where the values of a trace come from: inputs, slots, the control block, constants, random bits.

use super::Tape;
use crate::prim::{Constant, Control, Iota, RandomBits, Source};
use crate::{Array, DType, Dyn, Element, Real, Shape, SlotId, TensorType, Var};
use std::sync::Arc;

impl Tape {
    #[track_caller]
    fn source(&self, source: Source, ty: TensorType) -> Dyn<'_> {
        if let Some(&id) = self.inner.borrow().sources.get(&source) {
            return Dyn::new(self, id);
        }
        let value = self.add(source.clone().into(), vec![], ty, self.here());
        self.inner.borrow_mut().sources.insert(source, value.id());
        value
    }

    /// The next input of the step.
    #[track_caller]
    pub fn input_of(&self, ty: TensorType) -> Dyn<'_> {
        let index = {
            let mut inner = self.inner.borrow_mut();
            inner.graph.inputs.push(ty.clone());
            inner.graph.inputs.len() as u32 - 1
        };
        self.source(Source::Input(index), ty)
    }

    /// The next input of the step, of a Rust type.
    #[track_caller]
    pub fn input<T: Element>(&self, shape: impl Into<Shape>) -> Var<'_, T> {
        Var::of(self.input_of(TensorType::new(T::DTYPE, shape)))
    }

    /// The committed value of a state slot.
    #[track_caller]
    pub fn slot(&self, slot: SlotId, ty: TensorType) -> Dyn<'_> {
        self.source(Source::Slot(slot), ty)
    }

    /// Makes a value stand for the committed value of a slot from here on: what reads the slot, such as the
    /// parameter of a layer, gets `value`, which has to be of the slot's type.
    pub fn stand_for(&self, slot: SlotId, value: Dyn<'_>) {
        self.inner.borrow_mut().sources.insert(Source::Slot(slot), value.id());
    }

    /// A field of the control block.
    #[track_caller]
    pub fn control(&self, field: Control) -> Dyn<'_> {
        self.source(Source::Control(field), TensorType::new(field.dtype(), Shape::scalar()))
    }

    /// A scalar constant of an element type; integers by the rules of [`crate::prim::cast`].
    #[track_caller]
    pub fn scalar_of(&self, dtype: DType, x: f64) -> Dyn<'_> {
        let key = (dtype, x.to_bits());
        if let Some(&id) = self.inner.borrow().scalars.get(&key) {
            return Dyn::new(self, id);
        }
        let array = crate::dispatch!(dtype, T => Array::scalar(crate::prim::cast::from_f64::<T>(x)));
        let value = self.constant_of(array);
        self.inner.borrow_mut().scalars.insert(key, value.id());
        value
    }

    /// A scalar constant.
    #[track_caller]
    pub fn scalar<T: Real>(&self, x: f64) -> Var<'_, T> {
        Var::of(self.scalar_of(T::DTYPE, x))
    }

    /// A constant array.
    #[track_caller]
    pub fn constant_of(&self, array: Array) -> Dyn<'_> {
        self.push(Constant(Arc::new(array)), &[])
    }

    /// A constant array of a Rust type; its shape must hold the values.
    #[track_caller]
    pub fn constant<T: Element>(&self, shape: impl Into<Shape>, values: Vec<T>) -> Var<'_, T> {
        match Array::of(shape, values) {
            Ok(array) => Var::of(self.constant_of(array)),
            Err(message) => {
                self.error(format!("constant: {message}"), vec![]);
                Var::of(self.stand_in(TensorType::new(T::DTYPE, Shape::scalar())))
            }
        }
    }

    /// The index along an axis, as a tensor of this type.
    #[track_caller]
    pub fn iota_of(&self, ty: TensorType, axis: usize) -> Dyn<'_> {
        self.push(Iota { ty, axis }, &[])
    }

    /// Uniform random bits of a shape whose first axis counts rows of the batch. They depend on the run's
    /// seed, the step, the layer path, how often that layer has asked before, and the element's position.
    #[track_caller]
    pub fn random_bits(&self, shape: impl Into<Shape>) -> Var<'_, u32> {
        let path = self.layer();
        let count = {
            let mut inner = self.inner.borrow_mut();
            let count = inner.streams.entry(path.clone()).or_insert(0);
            *count += 1;
            *count
        };
        let stream = crate::prim::stream_of(&path, count);
        let fields = [Control::Seed, Control::Step, Control::FirstRow].map(|c| self.control(c));
        Var::of(self.push(RandomBits { shape: shape.into(), stream }, &fields))
    }
}
