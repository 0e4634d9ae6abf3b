//! [`OnnxModel`]: a model from a file, its parameters, and its trace.

use super::call::Call;
use super::ops::{Operator, operator, supported};
use super::value::{Value, computed};
use crate::error::{Error, FileError, Place};
use crate::io::onnx::{self, ElementType, External, Graph, Model, Node};
use crate::{Infer, Options, Outputs, Scope};
use ironlearn_ir::{Array, DType, Dyn, Kind, Role, SlotId, Tape, TensorType};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::path::Path;
use std::rc::Rc;

/// An input of a model.
#[derive(Clone, Debug, PartialEq)]
pub struct OnnxInput {
    /// Its name.
    pub name: String,
    /// Its elements.
    pub dtype: DType,
    /// The lengths of its axes; `None` where the model leaves them open.
    pub dims: Vec<Option<usize>>,
}

/// A model from an ONNX file. Its arrays of floats are parameters, which steps can train, but for statistics of batch
/// norms, single numbers and what nodes hold themselves.
///
/// ```
/// use ironlearn::exchange::onnx::{OnnxModel, save};
/// use ironlearn::prelude::*;
///
/// let network = Network::<f32>::builder([2]).linear(4).gelu().linear(1).build(7)?;
/// let file = tempfile::tempdir().unwrap();
/// let path = file.path().join("network.onnx");
/// save(&network, None, &path)?;
/// let model = OnnxModel::read(&path)?;
/// let x = Array::of([3, 2], vec![0.5f32; 6]).unwrap();
/// assert_eq!(model.run(&Options::default(), &[x])?[0].shape().dims(), [3, 1]);
/// assert_eq!(model.scope().store().trainable().len(), 4);
/// # Ok::<(), ironlearn::Error>(())
/// ```
pub struct OnnxModel {
    scope: Scope,
    nodes: Vec<(Node, Operator, i64)>,
    inputs: Vec<OnnxInput>,
    outputs: Vec<String>,
    // In order, so that a model is traced the same way every time.
    parameters: BTreeMap<String, (SlotId, TensorType)>,
    known: BTreeMap<String, Rc<Array>>,
}

impl OnnxModel {
    /// Reads a model, and the files with its weights that stand beside it.
    ///
    /// # Errors
    /// [`Error::File`] where it is damaged, or has operators that are not supported: all of them are named;
    /// [`Error::Io`]; [`Error::Memory`].
    pub fn read(path: &Path) -> Result<OnnxModel, Error> {
        OnnxModel::of(path, onnx::read(path)?)
    }

    /// A model that has been read from this path.
    pub fn of(path: &Path, model: Model) -> Result<OnnxModel, Error> {
        let mut versions = HashMap::new();
        for set in model.opset_import {
            let domain = if set.domain == "ai.onnx" { String::new() } else { set.domain };
            versions.insert(domain, set.version.unwrap_or_default());
        }
        let graph = model.graph.unwrap_or_default();
        let nodes = with_operators(path, &graph, &versions)?;
        let mut read = OnnxModel {
            scope: Scope::root(0),
            nodes,
            inputs: Vec::new(),
            outputs: graph.output.iter().map(|v| v.name.clone()).collect(),
            parameters: BTreeMap::new(),
            known: BTreeMap::new(),
        };
        read.take_arrays(path, &graph)?;
        let constant = |name: &String| read.parameters.contains_key(name) || read.known.contains_key(name);
        let inputs = graph.input.iter().filter(|v| !constant(&v.name));
        read.inputs = inputs.map(|v| input(path, v)).collect::<Result<_, _>>()?;
        read.check_names(path)?;
        Ok(read)
    }

    /// Makes parameters of the graph's arrays.
    fn take_arrays(&mut self, path: &Path, graph: &Graph) -> Result<(), Error> {
        let mut used: HashSet<&str> = HashSet::new();
        let mut statistics: HashSet<&str> = HashSet::new();
        for node in &graph.node {
            used.extend(node.input.iter().map(String::as_str));
            if node.op_type == "BatchNormalization" {
                statistics.extend(node.input.iter().skip(3).map(String::as_str));
            }
        }
        used.extend(graph.output.iter().map(|v| v.name.as_str()));
        let external = External::beside(path);
        for tensor in graph.initializer.iter().filter(|t| used.contains(t.name.as_str())) {
            let array = tensor.array(&external)?;
            let name = &tensor.name;
            if array.dtype().kind() != Kind::Float || array.shape().rank() == 0 {
                self.known.insert(name.clone(), Rc::new(array));
                continue;
            }
            let ty = TensorType::new(array.dtype(), array.shape().clone());
            let role = if statistics.contains(name.as_str()) { Role::Statistic } else { Role::Parameter };
            let slot = self.scope.store_mut().add(name, role, array).map_err(|problem| {
                FileError::new(path, problem).at(Place::Key(name.clone())).hint("save the model again")
            })?;
            self.parameters.insert(name.clone(), (slot, ty));
        }
        Ok(())
    }

    /// An error where a node takes what no node before it gives.
    fn check_names(&self, path: &Path) -> Result<(), Error> {
        let mut there: HashSet<&str> = HashSet::new();
        there.extend(self.inputs.iter().map(|input| input.name.as_str()));
        there.extend(self.parameters.keys().chain(self.known.keys()).map(String::as_str));
        let wrong =
            |problem: String| FileError::new(path, problem).hint("the model is damaged: save it again");
        for (node, ..) in &self.nodes {
            if let Some(name) =
                node.input.iter().find(|name| !name.is_empty() && !there.contains(name.as_str()))
            {
                return Err(
                    wrong(format!("{} takes `{name}`, which nothing before it gives", title(node))).into()
                );
            }
            for name in node.output.iter().filter(|name| !name.is_empty()) {
                if !there.insert(name) {
                    return Err(
                        wrong(format!("{} gives `{name}`, which is there already", title(node))).into()
                    );
                }
            }
        }
        match self.outputs.iter().find(|name| !there.contains(name.as_str())) {
            Some(name) => Err(wrong(format!("the output `{name}` is given by nothing")).into()),
            None => Ok(()),
        }
    }

    /// What goes in.
    pub fn inputs(&self) -> &[OnnxInput] {
        &self.inputs
    }

    /// The names of what comes out.
    pub fn outputs(&self) -> &[String] {
        &self.outputs
    }

    /// How many operations it has.
    pub fn nodes(&self) -> usize {
        self.nodes.len()
    }

    /// The scope that owns the parameters.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// Keeps only these outputs; what the others alone need is not computed.
    ///
    /// # Errors
    /// [`Error::Usage`] where there is no such output.
    pub fn keep(&mut self, outputs: &[&str]) -> Result<(), Error> {
        if let Some(name) = outputs.iter().find(|name| !self.outputs.iter().any(|o| o == *name)) {
            let problem = format!("the model has no output `{name}`");
            return Err(Error::usage(problem, format!("use one of {}", self.outputs.join(", "))));
        }
        self.outputs = outputs.iter().map(|&name| name.to_owned()).collect();
        Ok(())
    }

    /// Gives an input a value for good: it is then no input any more, and may decide about shapes.
    ///
    /// # Errors
    /// [`Error::Usage`] where there is no such input, or it has another type.
    pub fn fix(&mut self, name: &str, value: Array) -> Result<(), Error> {
        let Some(at) = self.inputs.iter().position(|input| input.name == name) else {
            let names: Vec<&str> = self.inputs.iter().map(|input| input.name.as_str()).collect();
            let problem = format!("the model has no input `{name}`");
            return Err(Error::usage(problem, format!("use one of {}", names.join(", "))));
        };
        self.inputs[at].check(&value)?;
        self.inputs.remove(at);
        self.known.insert(name.to_owned(), Rc::new(value));
        Ok(())
    }

    /// The outputs for inputs of concrete shapes, in the order of [`OnnxModel::inputs`]. Mistakes are recorded on the
    /// tape, each with its node.
    #[track_caller]
    pub fn forward<'g>(&self, tape: &'g Tape, inputs: &[Dyn<'g>]) -> Vec<Dyn<'g>> {
        let _line = tape.enter("");
        if inputs.len() != self.inputs.len() {
            tape.error(
                format!("an ONNX model of {} inputs, found {}", self.inputs.len(), inputs.len()),
                vec![],
            );
            return self.outputs.iter().map(|_| tape.poisoned()).collect();
        }
        let given = self.inputs.iter().zip(inputs).map(|(input, &x)| (input.name.as_str(), Value::Traced(x)));
        let mut there: HashMap<&str, Value<'g>> = given.collect();
        for (name, (slot, ty)) in &self.parameters {
            there.insert(name, Value::Traced(tape.slot(*slot, ty.clone())));
        }
        for (name, array) in &self.known {
            there.insert(name, Value::Known(array.clone()));
        }
        let live = self.live();
        for ((node, operator, opset), _) in self.nodes.iter().zip(live).filter(|(_, live)| *live) {
            let taken = |name: &String| there.get(name.as_str()).cloned();
            let inputs: Vec<_> = node.input.iter().map(taken).collect();
            let results = results(tape, node, *operator, *opset, inputs);
            for (i, name) in node.output.iter().enumerate().filter(|(_, name)| !name.is_empty()) {
                let value = results.get(i).cloned().unwrap_or_else(|| Value::Traced(tape.poisoned()));
                there.insert(name, value);
            }
        }
        let output =
            |name: &String| there.get(name.as_str()).map_or_else(|| tape.poisoned(), |v| v.node(tape));
        self.outputs.iter().map(output).collect()
    }

    /// Which nodes the outputs depend on.
    fn live(&self) -> Vec<bool> {
        let mut needed: HashSet<&str> = self.outputs.iter().map(String::as_str).collect();
        let mut live = vec![false; self.nodes.len()];
        for (i, (node, ..)) in self.nodes.iter().enumerate().rev() {
            live[i] = node.output.iter().any(|name| needed.contains(name.as_str()));
            if live[i] {
                needed.extend(node.input.iter().map(String::as_str));
            }
        }
        live
    }

    /// The outputs for these inputs, in the order of [`OnnxModel::outputs`]. Where there are several batches of the
    /// same shapes, an [`Infer`] that calls [`OnnxModel::forward`] is built once and run many times.
    ///
    /// # Errors
    /// [`Error::Usage`] where an input does not fit, or a node cannot be computed for these shapes.
    pub fn run(&self, options: &Options, inputs: &[Array]) -> Result<Vec<Array>, Error> {
        if inputs.len() != self.inputs.len() {
            let problem = format!("{} inputs for a model of {}", inputs.len(), self.inputs.len());
            return Err(Error::usage(problem, "give an array for each input"));
        }
        self.inputs.iter().zip(inputs).try_for_each(|(input, value)| input.check(value))?;
        let signature: Vec<TensorType> =
            inputs.iter().map(|x| TensorType::new(x.dtype(), x.shape().clone())).collect();
        let names: Vec<String> = (0..self.outputs.len()).map(|i| i.to_string()).collect();
        let mut infer = Infer::build(options, &self.scope, signature, |tape, x: Vec<Dyn<'_>>| {
            let results = self.forward(tape, &x);
            results.into_iter().zip(&names).fold(Outputs::default(), |all, (y, name)| all.and(name, y))
        })?;
        let views: Vec<_> = inputs.iter().map(Array::view).collect();
        let report = infer.run(&&views[..])?;
        let missing = || Error::usage("the model gives no such output", "save it again");
        names
            .iter()
            .map(|name| Ok(report.get(name).ok_or_else(missing)?.try_to_array("an output")?))
            .collect()
    }
}

impl OnnxInput {
    /// An error where a value is of another type or shape.
    fn check(&self, value: &Array) -> Result<(), Error> {
        let fits = value.shape().rank() == self.dims.len()
            && value.shape().iter().zip(&self.dims).all(|(n, dim)| dim.is_none_or(|dim| dim == *n));
        if value.dtype() == self.dtype && fits {
            return Ok(());
        }
        Err(Error::usage(
            format!("the input `{}` is {}{}", self.name, value.dtype(), value.shape()),
            format!("give {self}"),
        ))
    }
}

/// Name and type, `any` where a length is open.
impl fmt::Display for OnnxInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dims: Vec<String> = self.dims.iter().map(|d| d.map_or("any".into(), |n| n.to_string())).collect();
        write!(f, "`{}`: {}[{}]", self.name, self.dtype, dims.join(", "))
    }
}

/// A node as messages name it.
fn title(node: &Node) -> String {
    let name = if node.name.is_empty() { node.output.first().unwrap_or(&node.name) } else { &node.name };
    format!("{} `{name}`", node.op_type)
}

/// The nodes of a graph with the functions that compute them; or all those for which there is none.
fn with_operators(
    path: &Path,
    graph: &Graph,
    versions: &HashMap<String, i64>,
) -> Result<Vec<(Node, Operator, i64)>, Error> {
    let (mut nodes, mut unknown) = (Vec::new(), Vec::new());
    for node in &graph.node {
        let domain = if node.domain == "ai.onnx" { "" } else { &node.domain };
        let opset = versions.get(domain).copied().unwrap_or(1);
        match operator(domain, &node.op_type) {
            Some(operator) => nodes.push((node.clone(), operator, opset)),
            None if domain.is_empty() => unknown.push(title(node)),
            None => unknown.push(format!("{domain}.{}", title(node))),
        }
    }
    if unknown.is_empty() {
        return Ok(nodes);
    }
    let count = unknown.len();
    unknown.truncate(20);
    let more =
        if count > unknown.len() { format!(", and {} more", count - unknown.len()) } else { String::new() };
    Err(FileError::new(path, "operators that are not supported")
        .found(unknown.join(", ") + &more)
        .hint(format!("supported are {}", supported().join(", ")))
        .into())
}

fn input(path: &Path, value: &onnx::ValueInfo) -> Result<OnnxInput, Error> {
    let wrong = |problem: String| {
        FileError::new(path, problem)
            .at(Place::Key(value.name.clone()))
            .hint("save the model with inputs that are tensors of numbers")
    };
    let tensor = value.r#type.as_ref().and_then(|t| t.tensor_type.as_ref());
    let tensor = tensor.ok_or_else(|| wrong("an input that is no tensor".into()))?;
    let number = tensor.elem_type.unwrap_or_default();
    let dtype = ElementType::dtype(number).ok_or_else(|| {
        wrong(format!("an input of {}, a type that is not read", ElementType::name(number)))
    })?;
    let dims = tensor.shape.iter().flat_map(|shape| &shape.dim);
    let dims = dims.map(|d| d.dim_value.and_then(|n| usize::try_from(n).ok())).collect();
    Ok(OnnxInput { name: value.name.clone(), dtype, dims })
}

/// The results of a node; a mistake is recorded where there are none.
#[track_caller]
fn results<'g>(
    tape: &'g Tape,
    node: &Node,
    operator: Operator,
    opset: i64,
    inputs: Vec<Option<Value<'g>>>,
) -> Vec<Value<'g>> {
    if inputs.iter().flatten().any(Value::is_poison) {
        return Vec::new();
    }
    let title = title(node);
    let _layer = tape.enter(&title);
    let types: Vec<String> =
        inputs.iter().map(|v| v.as_ref().map_or("none".into(), |v| v.ty().to_string())).collect();
    let found = known_results(node, operator, opset, &inputs).and_then(|known| match known {
        Some(known) => Ok(known),
        None => operator(&Call { tape, node, opset, inputs }),
    });
    found.unwrap_or_else(|problem| {
        tape.error(format!("{title}: {problem}"), vec![format!("its inputs: {}", types.join(", "))]);
        Vec::new()
    })
}

/// The results where all inputs are known, and few.
fn known_results<'g>(
    node: &Node,
    operator: Operator,
    opset: i64,
    inputs: &[Option<Value<'g>>],
) -> Result<Option<Vec<Value<'g>>>, String> {
    let known = |value: &Option<Value<'g>>| match value {
        None => Some(None),
        Some(value) => Some(Some(value.few()?.clone())),
    };
    let Some(known) = inputs.iter().map(known).collect::<Option<Vec<_>>>() else { return Ok(None) };
    let arrays = computed(|tape| {
        let inputs = known.iter().map(|array| array.clone().map(Value::Known)).collect();
        operator(&Call { tape, node, opset, inputs })
    })?;
    Ok(arrays.map(|arrays| arrays.into_iter().map(Value::known).collect()))
}
