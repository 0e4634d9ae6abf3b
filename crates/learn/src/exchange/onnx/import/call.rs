//! [`Call`]: a node of a model with its inputs, as an operator sees it.

use super::value::{Value, floats, whole};
use crate::io::onnx::{Attribute, ElementType, External, Node};
use ironlearn_ir::{Array, DType, Dyn, Shape, Tape};

/// The results of an operator, or why it gives none.
pub(super) type Found<'g> = Result<Vec<Value<'g>>, String>;

/// A node of a model with its inputs.
pub(super) struct Call<'a, 'g> {
    pub tape: &'g Tape,
    pub node: &'a Node,
    /// The version of the operators of its domain.
    pub opset: i64,
    /// Those that are left out are `None`.
    pub inputs: Vec<Option<Value<'g>>>,
}

/// One result.
pub(super) fn one(y: Dyn<'_>) -> Found<'_> {
    Ok(vec![y.into()])
}

impl<'g> Call<'_, 'g> {
    pub fn value(&self, i: usize) -> Result<&Value<'g>, String> {
        self.inputs.get(i).and_then(Option::as_ref).ok_or_else(|| format!("input {i} is missing"))
    }

    /// An input.
    pub fn x(&self, i: usize) -> Result<Dyn<'g>, String> {
        Ok(self.value(i)?.node(self.tape))
    }

    /// An input that may be left out.
    pub fn maybe(&self, i: usize) -> Option<Dyn<'g>> {
        self.inputs.get(i)?.as_ref().map(|value| value.node(self.tape))
    }

    /// All inputs.
    pub fn all(&self) -> Result<Vec<Dyn<'g>>, String> {
        (0..self.inputs.len()).map(|i| self.x(i)).collect()
    }

    /// An input whose numbers have to be known; none where it is left out.
    pub fn known(&self, i: usize) -> Result<Option<&Array>, String> {
        match self.inputs.get(i).and_then(Option::as_ref) {
            None => Ok(None),
            Some(Value::Known(array)) => Ok(Some(array)),
            Some(Value::Traced(_)) => Err(format!(
                "its input {i} (`{}`) has to be known when the model is built, and is computed from the inputs; \
                 fix it with OnnxModel::fix, or export the model with shapes that do not depend on the data",
                self.node.input.get(i).map_or("", String::as_str)
            )),
        }
    }

    /// The same as whole numbers.
    pub fn numbers(&self, i: usize) -> Result<Option<Vec<i64>>, String> {
        Ok(self.known(i)?.map(whole))
    }

    /// The same as one float.
    pub fn constant(&self, i: usize) -> Result<Option<f64>, String> {
        Ok(self.known(i)?.and_then(|array| floats(array).first().copied()))
    }

    /// Whether a result of this index is wanted.
    pub fn wants(&self, i: usize) -> bool {
        self.node.output.get(i).is_some_and(|name| !name.is_empty())
    }

    pub fn attribute(&self, name: &str) -> Option<&Attribute> {
        self.node.attribute.iter().find(|a| a.name == name)
    }

    pub fn int(&self, name: &str, otherwise: i64) -> i64 {
        self.attribute(name).and_then(|a| a.i).unwrap_or(otherwise)
    }

    pub fn flag(&self, name: &str) -> bool {
        self.int(name, 0) != 0
    }

    pub fn ints(&self, name: &str) -> Option<&[i64]> {
        self.attribute(name).map(|a| &a.ints[..])
    }

    pub fn float(&self, name: &str, otherwise: f64) -> f64 {
        self.attribute(name).and_then(|a| a.f).map_or(otherwise, f64::from)
    }

    pub fn floats(&self, name: &str) -> Vec<f64> {
        self.attribute(name).map_or_else(Vec::new, |a| a.floats.iter().map(|&x| x.into()).collect())
    }

    pub fn text(&self, name: &str, otherwise: &str) -> String {
        self.attribute(name).map_or_else(|| otherwise.into(), |a| String::from_utf8_lossy(&a.s).into_owned())
    }

    /// Refuses an attribute that asks for what is not there.
    pub fn refuse(&self, names: &[&str]) -> Result<(), String> {
        match names.iter().find(|name| self.attribute(name).is_some()) {
            Some(name) => Err(format!("its attribute {name} is not supported")),
            None => Ok(()),
        }
    }

    /// An element type that an attribute names.
    pub fn element(&self, name: &str, otherwise: DType) -> Result<DType, String> {
        let Some(number) = self.attribute(name).and_then(|a| a.i) else { return Ok(otherwise) };
        ElementType::dtype(number)
            .ok_or_else(|| format!("there are no arrays of {}", ElementType::name(number)))
    }

    /// An array that an attribute holds.
    pub fn array(&self, name: &str) -> Result<Option<Array>, String> {
        let Some(tensor) = self.attribute(name).and_then(|a| a.t.as_ref()) else { return Ok(None) };
        if tensor.data_location == Some(1) {
            return Err(format!("its attribute {name} stands in another file"));
        }
        tensor.array(&External::beside(std::path::Path::new("model"))).map(Some).map_err(|e| e.to_string())
    }

    /// Axes that stand in an attribute or, in later versions, an input.
    pub fn axes(&self, input: usize) -> Result<Option<Vec<i64>>, String> {
        match self.ints("axes") {
            Some(axes) => Ok(Some(axes.to_vec())),
            None => self.numbers(input),
        }
    }
}

/// An axis counted from the start, where it is one of so many.
pub(super) fn axis(axis: i64, rank: usize) -> Result<usize, String> {
    let at = if axis < 0 { axis + rank as i64 } else { axis };
    usize::try_from(at)
        .ok()
        .filter(|&a| a < rank)
        .ok_or_else(|| format!("there is no axis {axis} among {rank}"))
}

/// How many axes stand before a border between them: that after the last one too, and −1 is that before the last.
pub(super) fn border(axis: i64, rank: usize) -> Result<usize, String> {
    if axis == rank as i64 { Ok(rank) } else { self::axis(axis, rank) }
}

/// Axes counted from the start, in ascending order.
pub(super) fn sorted_axes(axes: &[i64], rank: usize) -> Result<Vec<usize>, String> {
    let mut axes = axes.iter().map(|&a| axis(a, rank)).collect::<Result<Vec<_>, _>>()?;
    axes.sort_unstable();
    match axes.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(format!("the axis {} stands twice among its axes", pair[0])),
        None => Ok(axes),
    }
}

/// Lengths as a shape.
pub(super) fn shape_of(dims: &[i64]) -> Result<Shape, String> {
    let wrong = || format!("{dims:?} is no shape");
    let dims = dims.iter().map(|&n| usize::try_from(n).ok()).collect::<Option<Vec<_>>>().ok_or_else(wrong)?;
    Shape::new(&dims)
}

/// A tensor of the same elements; a mistake where there are more or fewer.
pub(super) fn reshaped<'g>(x: Dyn<'g>, shape: &Shape) -> Result<Dyn<'g>, String> {
    if x.shape().elements() != shape.elements() {
        return Err(format!("{} has other elements than {shape}", x.shape()));
    }
    Ok(x.reshape(shape))
}

/// Repeated to a shape by NumPy's rule.
pub(super) fn broadcast<'g>(x: Dyn<'g>, shape: &Shape) -> Result<Dyn<'g>, String> {
    match x.shape().broadcast(shape) {
        Some(common) if common == *shape => Ok(x.broadcast_to(shape)),
        _ => Err(format!("{} does not broadcast to {shape}", x.shape())),
    }
}
