//! Layers without parameters, with a place in a network: so that messages and profiles can name them.

use super::{Cache, Layer};
use crate::Scope;
use ironlearn_ir::Var;
use std::rc::Rc;

/// A layer with the path that its operations carry.
pub(super) struct Placed<L> {
    path: Rc<str>,
    layer: L,
}

impl<L> Placed<L> {
    pub fn new(scope: &Scope, layer: L) -> Box<Placed<L>> {
        Box::new(Placed { path: scope.path().clone(), layer })
    }
}

impl<T, L: Layer<T>> Layer<T> for Placed<L> {
    fn apply<'g>(&self, x: Var<'g, T>) -> Var<'g, T> {
        let _layer = x.tape().enter(&self.path);
        self.layer.apply(x)
    }

    fn apply_next<'g>(&self, x: Var<'g, T>, cache: &Cache<'g>) -> Option<Var<'g, T>> {
        let _layer = x.tape().enter(&self.path);
        self.layer.apply_next(x, cache)
    }
}
