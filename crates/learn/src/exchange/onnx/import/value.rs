//! [`Value`]: what an operator takes and gives: numbers that are known, or a node of the trace.

use ironlearn_ir::prim::cast::convert;
use ironlearn_ir::{Array, Dyn, Env, Mode, Shape, Tape, TensorType, dispatch, interpret};
use std::rc::Rc;

/// The most elements that are computed while a model is traced: shapes and the like have few.
pub(super) const MOST_KNOWN: usize = 1 << 12;

/// What an operator takes and gives.
#[derive(Clone)]
pub(super) enum Value<'g> {
    /// Numbers that are known when the model is traced.
    Known(Rc<Array>),
    /// A node of the trace.
    Traced(Dyn<'g>),
}

impl<'g> From<Dyn<'g>> for Value<'g> {
    fn from(node: Dyn<'g>) -> Value<'g> {
        Value::Traced(node)
    }
}

impl<'g> Value<'g> {
    /// Whole numbers along one axis.
    pub fn ints(values: Vec<i64>) -> Value<'g> {
        Value::known(Array::of([values.len()], values).unwrap_or_else(|_| Array::scalar(0i64)))
    }

    pub fn known(array: Array) -> Value<'g> {
        Value::Known(Rc::new(array))
    }

    /// As a node.
    pub fn node(&self, tape: &'g Tape) -> Dyn<'g> {
        match self {
            Value::Known(array) => tape.constant_of(Array::clone(array)),
            Value::Traced(node) => *node,
        }
    }

    pub fn ty(&self) -> TensorType {
        match self {
            Value::Known(array) => TensorType::new(array.dtype(), array.shape().clone()),
            Value::Traced(node) => node.ty(),
        }
    }

    pub fn shape(&self) -> Shape {
        self.ty().shape
    }

    /// Whether a mistake was made on the way to it.
    pub fn is_poison(&self) -> bool {
        matches!(self, Value::Traced(node) if node.is_poison())
    }

    /// The numbers, where they are known and not many.
    pub fn few(&self) -> Option<&Rc<Array>> {
        match self {
            Value::Known(array) if array.shape().elements() <= MOST_KNOWN => Some(array),
            _ => None,
        }
    }
}

/// Numbers of an array as whole ones.
pub(super) fn whole(array: &Array) -> Vec<i64> {
    dispatch!(array.dtype(), T => {
        array.as_slice::<T>().unwrap_or_default().iter().map(|&x| convert(x)).collect()
    })
}

/// Numbers of an array as floats.
pub(super) fn floats(array: &Array) -> Vec<f64> {
    dispatch!(array.dtype(), T => {
        array.as_slice::<T>().unwrap_or_default().iter().map(|&x| convert(x)).collect()
    })
}

/// What a function of known numbers gives; none where that takes more than a moment.
pub(super) fn computed(
    f: impl for<'t> FnOnce(&'t Tape) -> Result<Vec<Value<'t>>, String>,
) -> Result<Option<Vec<Array>>, String> {
    let tape = Tape::new(Mode::Infer);
    let (mut results, mut names) = (Vec::new(), Vec::new());
    for (i, value) in f(&tape)?.into_iter().enumerate() {
        results.push(match value {
            Value::Known(array) => Some(Array::clone(&array)),
            Value::Traced(node) => {
                names.push(i);
                tape.output(&i.to_string(), node);
                None
            }
        });
    }
    let (graph, _) = tape.finish().map_err(|found| {
        found.0.first().map_or_else(|| "it cannot be computed".into(), |first| first.message.clone())
    })?;
    if graph.nodes.iter().any(|node| node.ty.shape.elements() > MOST_KNOWN) {
        return Ok(None);
    }
    let values = interpret(&graph, &Env::default())?;
    for (i, (_, id)) in names.into_iter().zip(&graph.outputs) {
        results[i] = values[id.index()].clone();
    }
    Ok(results.into_iter().collect())
}
