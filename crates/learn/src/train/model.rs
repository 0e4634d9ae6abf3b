//! [`Model`]: what a trainer can train.

use crate::{Network, Scope};
use ironlearn_ir::{Dyn, Real, Var};

/// A model with elements of type `T` that turns a batch of inputs into predictions.
pub trait Model<T> {
    /// The scope that owns its parameters.
    fn scope(&self) -> &Scope;

    /// Predictions `[B, ..]`, logits where the loss wants them, for a batch of inputs `[B, ..]`.
    #[track_caller]
    fn predict<'g>(&self, x: Dyn<'g>) -> Var<'g, T>;
}

impl<T: Real> Model<T> for Network<T> {
    fn scope(&self) -> &Scope {
        Network::scope(self)
    }
    fn predict<'g>(&self, x: Dyn<'g>) -> Var<'g, T> {
        self.forward_node(x)
    }
}
