//! Embedding: a learned vector for each whole number.

use crate::{Init, Param, Scope};
use ironlearn_ir::{Dyn, Int, Real, Var};
use std::rc::Rc;

/// Rows of a table picked by index: `[..]` to `[.., dimension]`. An index outside of the vocabulary is an
/// error when the step runs.
#[derive(Clone, Debug)]
pub struct Embedding<T = f32> {
    path: Rc<str>,
    weight: Param<T>,
}

impl<T: Real> Embedding<T> {
    /// `vocabulary` vectors of length `dimension`, from N(0, 1).
    #[track_caller]
    pub fn new(scope: &Scope, vocabulary: usize, dimension: usize) -> Self {
        let weight = scope.param("weight", [vocabulary, dimension], &Init::Normal(1.0));
        Embedding { path: scope.path().clone(), weight }
    }

    /// The table, `[vocabulary, dimension]`.
    pub fn weight(&self) -> &Param<T> {
        &self.weight
    }

    /// The vectors of these indices (`u8`, `i32`, `u32`, `i64`).
    #[track_caller]
    pub fn apply<'g, I: Int>(&self, index: Var<'g, I>) -> Var<'g, T> {
        self.apply_node(index.node())
    }

    /// The same for a node whose element type is known at run time.
    #[track_caller]
    pub(super) fn apply_node<'g>(&self, index: Dyn<'g>) -> Var<'g, T> {
        let _layer = index.tape().enter(&self.path);
        Var::of(self.weight.read(index.tape()).node().gather(index, 0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::tests::{eval, set};
    use ironlearn_ir::Mode;

    #[test]
    fn rows_by_index() {
        let s = Scope::root(0);
        let layer = Embedding::<f64>::new(&s, 3, 2);
        set(&s, "weight", &[0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
        let y = eval(&s, Mode::Infer, [1, 2], &[2.0, 0.0], |x| layer.apply(x.cast::<i32>()));
        assert_eq!(y.shape().dims(), [1, 2, 2]);
        assert_eq!(y.as_slice::<f64>().unwrap(), [4.0, 5.0, 0.0, 1.0]);
    }
}
