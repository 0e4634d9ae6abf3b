//! Layers one after the other.

use super::{Cache, Layer};
use ironlearn_ir::Var;

/// Layers one after the other.
pub struct Sequential<T = f32> {
    layers: Vec<Box<dyn Layer<T>>>,
}

impl<T> Sequential<T> {
    /// The layers in the order in which data pass through them.
    pub fn new(layers: Vec<Box<dyn Layer<T>>>) -> Self {
        Sequential { layers }
    }

    /// With one more layer at the end.
    pub fn then(mut self, layer: impl Layer<T> + 'static) -> Self {
        self.push(Box::new(layer));
        self
    }

    /// Adds a layer at the end.
    pub fn push(&mut self, layer: Box<dyn Layer<T>>) {
        self.layers.push(layer);
    }
}

impl<T> Default for Sequential<T> {
    fn default() -> Self {
        Sequential { layers: Vec::new() }
    }
}

impl<T> Layer<T> for Sequential<T> {
    fn apply<'g>(&self, x: Var<'g, T>) -> Var<'g, T> {
        let _line = x.tape().enter("");
        self.layers.iter().fold(x, |x, layer| layer.apply(x))
    }

    fn apply_next<'g>(&self, x: Var<'g, T>, cache: &Cache<'g>) -> Option<Var<'g, T>> {
        let _line = x.tape().enter("");
        self.layers.iter().try_fold(x, |x, layer| layer.apply_next(x, cache))
    }
}
