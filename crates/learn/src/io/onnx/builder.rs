//! [`Builder`]: a graph of ONNX operators as it grows.

use super::{Attribute, Element, ElementType, Graph, Node, Tensor};
use ironlearn_ir::ArrayView;
use std::cell::RefCell;
use std::collections::HashMap;

/// A value of a graph.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Value(usize);

/// A graph to which operators are added, each after those whose results it takes.
#[derive(Default)]
pub(crate) struct Builder(RefCell<Parts>);

#[derive(Default)]
struct Parts {
    graph: Graph,
    names: Vec<String>,
    /// Single numbers, which many operators share.
    scalars: HashMap<(ElementType, Vec<u8>), Value>,
    /// What names of operators begin with.
    scope: String,
}

impl Parts {
    fn value(&mut self, name: String) -> Value {
        self.names.push(name);
        Value(self.names.len() - 1)
    }
}

impl Builder {
    /// Begins the names of what follows with this, which no other scope has.
    pub fn enter(&self, scope: String) {
        self.0.borrow_mut().scope = scope;
    }

    /// A value that comes from outside.
    pub fn input(&self, name: &str) -> Value {
        self.0.borrow_mut().value(name.to_owned())
    }

    /// The result of an operator.
    pub fn node(&self, op: &str, inputs: &[Value], attribute: Vec<Attribute>) -> Value {
        let parts = &mut *self.0.borrow_mut();
        let name = format!("{}/{}_{op}", parts.scope, parts.graph.node.len());
        let input = inputs.iter().map(|v| parts.names[v.0].clone()).collect();
        let (output, op_type) = (vec![name.clone()], op.to_owned());
        parts.graph.node.push(Node {
            input,
            output,
            name: name.clone(),
            op_type,
            attribute,
            ..Node::default()
        });
        parts.value(name)
    }

    /// The results of an operator that has so many; the first of `inputs` are given, those that are `None` left out.
    pub fn nodes(
        &self,
        op: &str,
        inputs: &[Option<Value>],
        attribute: Vec<Attribute>,
        outputs: usize,
    ) -> Vec<Value> {
        let parts = &mut *self.0.borrow_mut();
        let name = format!("{}/{}_{op}", parts.scope, parts.graph.node.len());
        let known = |v: &Option<Value>| v.map_or_else(String::new, |v| parts.names[v.0].clone());
        let input = inputs.iter().map(known).collect();
        let output: Vec<String> = (0..outputs).map(|i| format!("{name}_{i}")).collect();
        let values = output.iter().map(|name| parts.value(name.clone())).collect();
        parts.graph.node.push(Node {
            input,
            output,
            name,
            op_type: op.to_owned(),
            attribute,
            ..Node::default()
        });
        values
    }

    /// The result of an operator that has no attributes.
    pub fn op(&self, op: &str, inputs: &[Value]) -> Value {
        self.node(op, inputs, Vec::new())
    }

    /// An array that is known.
    pub fn constant<T: Element>(&self, name: &str, dims: &[usize], values: &[T]) -> Value {
        let parts = &mut *self.0.borrow_mut();
        let name = format!("{}/{}_{name}", parts.scope, parts.graph.initializer.len());
        parts.graph.initializer.push(Tensor::of(name.clone(), dims, values));
        parts.value(name)
    }

    /// An array that is known, of a type that is found out when the program runs.
    pub fn array(&self, name: &str, array: ArrayView<'_>) -> Value {
        let parts = &mut *self.0.borrow_mut();
        let name = format!("{}/{}_{name}", parts.scope, parts.graph.initializer.len());
        parts.graph.initializer.push(Tensor::of_array(name.clone(), array));
        parts.value(name)
    }

    /// A number that is known.
    pub fn scalar<T: Element + std::fmt::Display>(&self, value: T) -> Value {
        let name = format!("{:?}/{value}", T::TYPE).to_lowercase();
        let tensor = Tensor::of(name.clone(), &[], &[value]);
        let parts = &mut *self.0.borrow_mut();
        let key = (T::TYPE, tensor.raw_data.clone());
        if let Some(&known) = parts.scalars.get(&key) {
            return known;
        }
        parts.graph.initializer.push(tensor);
        let value = parts.value(name);
        parts.scalars.insert(key, value);
        value
    }

    /// One number where they are all the same, else one for each channel, which has so many axes after it.
    pub fn along<T: Element + std::fmt::Display + PartialEq>(
        &self,
        name: &str,
        values: &[T],
        axes_after: usize,
    ) -> Value {
        match values {
            [first, rest @ ..] if rest.iter().all(|x| x == first) => self.scalar(*first),
            _ => {
                let axes = std::iter::repeat_n(1, axes_after);
                let dims: Vec<usize> = [values.len()].into_iter().chain(axes).collect();
                self.constant(name, &dims, values)
            }
        }
    }

    /// As numbers of this type.
    pub fn cast(&self, x: Value, to: ElementType) -> Value {
        self.node("Cast", &[x], vec![Attribute::int("to", to.number())])
    }

    /// Numbers for axes, as an operator takes them.
    pub fn axes(&self, values: &[i64]) -> Value {
        self.constant("axes", &[values.len()], values)
    }

    /// Ends the graph: `value` becomes the result of this name.
    pub fn finish(self, value: Value, output: &str) -> Graph {
        self.enter(output.to_owned());
        let result = self.op("Identity", &[value]);
        let Parts { mut graph, names, .. } = self.0.into_inner();
        if let Some(node) = graph.node.last_mut().filter(|node| node.output[0] == names[result.0]) {
            node.output[0] = output.to_owned();
        }
        graph
    }
}
