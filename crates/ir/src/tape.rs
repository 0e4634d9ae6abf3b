//! [`Tape`]: records a computation while the user's code runs once.
//!
//! Mistakes do not stop the trace: each is recorded as a diagnostic with the user's line, the result is
//! guessed or poisoned, and [`Tape::finish`] reports all of them.

use crate::diagnostic::{Diagnostic, Diagnostics, Severity};
use crate::graph::{Graph, Node, Phase, Site};
use crate::prim::{CustomGrad, Op, Source};
use crate::{Array, DType, Dyn, Env, NodeId, Refused, Shape, SlotId, TensorType};
use std::cell::RefCell;
use std::collections::HashMap;
use std::panic::Location;

mod source;

/// What a trace is for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Mode {
    /// Training: dropout drops, batch norm uses and updates the batch's statistics.
    Train,
    /// Inference: no randomness, no updates.
    Infer,
}

/// A recording of one computation.
pub struct Tape {
    mode: Mode,
    inner: RefCell<Inner>,
}

#[derive(Default)]
struct Inner {
    graph: Graph,
    findings: Vec<Diagnostic>,
    frames: Vec<Frame>,
    /// Overrides line and layer while derivatives and updates are recorded.
    site: Option<Site>,
    phase: Option<Phase>,
    refused: Option<Refused>,
    sources: HashMap<Source, NodeId>,
    scalars: HashMap<(DType, u64), NodeId>,
    streams: HashMap<String, u64>,
    shadow: Option<Shadow>,
}

/// A layer that is being traced.
struct Frame {
    layer: u32,
    location: &'static Location<'static>,
}

/// Values of the nodes on a real batch.
struct Shadow {
    env: Env,
    values: Vec<Option<Array>>,
}

/// Leaves the layer when dropped; see [`Tape::enter`].
#[must_use = "the layer is left when this is dropped"]
pub struct Entered<'g> {
    tape: &'g Tape,
}

/// A value on a tape and how it came about: see [`Tape::made_by`].
pub struct Made<'g> {
    /// The value.
    pub value: Dyn<'g>,
    /// The name of the operation that made it.
    pub operation: &'static str,
    /// Its layer, or its line where it is in none.
    pub place: String,
    /// The names of the operations that use it.
    pub users: Vec<&'static str>,
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        self.tape.inner.borrow_mut().frames.pop();
    }
}

impl Tape {
    /// An empty recording.
    pub fn new(mode: Mode) -> Tape {
        let inner =
            Inner { graph: Graph { layers: vec![String::new()], ..Graph::default() }, ..Inner::default() };
        Tape { mode, inner: RefCell::new(inner) }
    }

    /// A recording that also computes every node on real values, so that [`Dyn::peek`] has something to show.
    pub fn with_shadow(mode: Mode, env: Env) -> Tape {
        let tape = Tape::new(mode);
        tape.inner.borrow_mut().shadow = Some(Shadow { env, values: Vec::new() });
        tape
    }

    /// What the trace is for.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Enters a layer: until the guard is dropped nodes carry its path and the line where the outermost
    /// layer was entered. An empty path only fixes the line, as composed functions do.
    #[track_caller]
    pub fn enter(&self, path: &str) -> Entered<'_> {
        let mut inner = self.inner.borrow_mut();
        let location = inner.frames.last().map_or(Location::caller(), |f| f.location);
        let layer = if path.is_empty() {
            inner.frames.last().map_or(0, |f| f.layer)
        } else {
            let known = inner.graph.layers.iter().position(|l| l == path);
            known.unwrap_or_else(|| {
                inner.graph.layers.push(path.to_string());
                inner.graph.layers.len() - 1
            }) as u32
        };
        inner.frames.push(Frame { layer, location });
        Entered { tape: self }
    }

    /// The path of the layer that is being traced; empty outside of layers.
    pub fn layer(&self) -> String {
        let inner = self.inner.borrow();
        inner.frames.last().map_or(String::new(), |f| inner.graph.layers[f.layer as usize].clone())
    }

    #[track_caller]
    pub(crate) fn here(&self) -> Site {
        let inner = self.inner.borrow();
        let phase = inner.phase.unwrap_or(Phase::Forward);
        if let Some(site) = inner.site {
            return Site { phase, ..site };
        }
        match inner.frames.last() {
            Some(f) => Site { location: f.location, layer: f.layer, phase },
            None => Site { location: Location::caller(), layer: 0, phase },
        }
    }

    /// Records a mistake at the caller's line.
    #[track_caller]
    pub fn error(&self, message: impl Into<String>, notes: Vec<String>) {
        self.record(Severity::Error, self.here(), message.into(), notes);
    }

    /// Records that there was no memory for what is needed: a mistake that is nobody's.
    #[track_caller]
    pub fn refuse(&self, refused: Refused) {
        self.error(refused.to_string(), vec![]);
        self.inner.borrow_mut().refused.get_or_insert(refused);
    }

    /// What there was no memory for, if anything.
    pub fn refused(&self) -> Option<Refused> {
        self.inner.borrow().refused.clone()
    }

    /// Records a warning at the caller's line.
    #[track_caller]
    pub fn warn(&self, message: impl Into<String>, notes: Vec<String>) {
        self.record(Severity::Warning, self.here(), message.into(), notes);
    }

    /// True where a mistake has been recorded.
    pub fn has_errors(&self) -> bool {
        self.inner.borrow().findings.iter().any(|d| d.severity == Severity::Error)
    }

    pub(crate) fn record(&self, severity: Severity, site: Site, message: String, notes: Vec<String>) {
        let mut inner = self.inner.borrow_mut();
        let layer = inner.graph.layers[site.layer as usize].clone();
        inner.findings.push(Diagnostic { severity, message, location: site.location, layer, notes });
    }

    pub(crate) fn add(&self, op: Op, inputs: Vec<NodeId>, ty: TensorType, site: Site) -> Dyn<'_> {
        let mut inner = self.inner.borrow_mut();
        let id = NodeId(inner.graph.nodes.len() as u32);
        inner.graph.nodes.push(Node { op, inputs, ty, site });
        let Inner { graph, shadow, .. } = &mut *inner;
        if let Some(shadow) = shadow {
            let value = crate::interpreter::eval_node(graph, id, &shadow.env, &shadow.values);
            shadow.values.push(value.ok());
        }
        Dyn::new(self, id)
    }

    /// Records an operation. Where the operands do not fit, the mistake is recorded at the caller's line.
    #[track_caller]
    pub fn push<'g>(&'g self, op: impl Into<Op>, inputs: &[Dyn<'g>]) -> Dyn<'g> {
        let (op, site) = (op.into(), self.here());
        if inputs.iter().any(|x| !std::ptr::eq(x.tape(), self)) {
            let message = format!("{}: operands come from different tapes", op.name());
            self.record(
                Severity::Error,
                site,
                message,
                vec!["a value lives on the tape it was traced on".into()],
            );
            return self.poison(site);
        }
        let ids: Vec<NodeId> = inputs.iter().map(|x| x.id()).collect();
        if ids.iter().any(|&id| self.is_poison(id)) {
            return self.poison(site);
        }
        if let Some(arity) = op.arity().filter(|&n| n != ids.len()) {
            let message = format!("{}: needs {arity} operands, found {}", op.name(), ids.len());
            self.record(Severity::Error, site, message, inputs.iter().map(|x| x.describe()).collect());
            return self.poison(site);
        }
        let inferred = {
            let inner = self.inner.borrow();
            let types: Vec<&TensorType> = ids.iter().map(|&id| &inner.graph.node(id).ty).collect();
            op.primitive().infer(&types)
        };
        match inferred {
            Ok(ty) => self.add(op, ids, ty, site),
            Err(misfit) => {
                let notes = inputs.iter().map(|x| x.describe()).collect();
                self.record(Severity::Error, site, format!("{}: {}", op.name(), misfit.message), notes);
                match misfit.guess.filter(|ty| crate::shape::checked_len(&ty.shape).is_some()) {
                    Some(ty) => self.stand_in(ty),
                    None => self.poison(site),
                }
            }
        }
    }

    fn poison(&self, site: Site) -> Dyn<'_> {
        self.add(Source::Poison.into(), vec![], TensorType::new(DType::F32, Shape::scalar()), site)
    }

    pub(crate) fn is_poison(&self, id: NodeId) -> bool {
        matches!(self.inner.borrow().graph.node(id).op, Op::Source(Source::Poison))
    }

    /// A value that could not be computed, after a mistake has been recorded.
    #[track_caller]
    pub fn poisoned(&self) -> Dyn<'_> {
        self.poison(self.here())
    }

    /// A value of a type, to go on with after a mistake has been recorded.
    #[track_caller]
    pub fn stand_in(&self, ty: TensorType) -> Dyn<'_> {
        self.add(Source::Placeholder.into(), vec![], ty, self.here())
    }

    /// The type of a node.
    pub fn type_of(&self, id: NodeId) -> TensorType {
        self.inner.borrow().graph.node(id).ty.clone()
    }

    /// A node in words: type, operation, line.
    pub(crate) fn describe(&self, id: NodeId) -> String {
        let inner = self.inner.borrow();
        let node = inner.graph.node(id);
        format!("{} made by {} at {}", node.ty, node.op.name(), node.site.location)
    }

    /// Sets the next value of a state slot; committed with all others at the end of the step. A second
    /// assignment to a slot is a mistake.
    #[track_caller]
    pub fn assign(&self, slot: SlotId, value: Dyn<'_>) {
        let read = self.inner.borrow().sources.get(&Source::Slot(slot)).copied();
        let held = read.map(|id| self.type_of(id)).filter(|ty| *ty != value.ty() && !value.is_poison());
        if self.inner.borrow().graph.updates.iter().any(|u| u.0 == slot) {
            self.error(format!("slot {} is assigned twice in one step", slot.0), vec![]);
        } else if let Some(held) = held {
            let message = format!("slot {} holds {held} and cannot be assigned {}", slot.0, value.ty());
            self.error(message, vec![value.describe()]);
        } else {
            self.inner.borrow_mut().graph.updates.push((slot, value.id()));
        }
    }

    /// Names a result of the step.
    #[track_caller]
    pub fn output(&self, name: &str, value: Dyn<'_>) {
        if self.inner.borrow().graph.outputs.iter().any(|o| o.0 == name) {
            self.error(format!("two outputs are named `{name}`"), vec![]);
        } else {
            self.inner.borrow_mut().graph.outputs.push((name.to_string(), value.id()));
        }
    }

    /// A value that must be finite for the step's updates to be committed.
    pub fn watch(&self, value: Dyn<'_>) {
        self.inner.borrow_mut().graph.watched.push(value.id());
    }

    /// A gradient that must be finite for the step's updates to be committed.
    pub fn watch_gradient(&self, slot: SlotId, gradient: Dyn<'_>) {
        self.watch(gradient);
        self.inner.borrow_mut().graph.gradients.push((slot, gradient.id()));
    }

    /// `value`, with the gradients that `rule` gives, for the variables `wrt`, from the gradient of the
    /// result. The rule must give one gradient, of the variable's type, for each.
    #[track_caller]
    pub fn custom_grad<'g>(
        &'g self,
        value: Dyn<'g>,
        wrt: &[Dyn<'g>],
        rule: impl FnOnce(Dyn<'g>) -> Vec<Dyn<'g>>,
    ) -> Dyn<'g> {
        let site = self.here();
        let placeholder = self.add(Source::Placeholder.into(), vec![], value.ty(), site);
        let grads = rule(placeholder);
        let end = NodeId(self.inner.borrow().graph.nodes.len() as u32);
        let fits = grads.len() == wrt.len() && grads.iter().zip(wrt).all(|(g, x)| g.ty() == x.ty());
        if !fits {
            let list = |v: &[Dyn<'g>]| v.iter().map(|d| d.ty().to_string()).collect::<Vec<_>>().join(", ");
            let message =
                format!("custom_grad: the rule gives ({}) for variables ({})", list(&grads), list(wrt));
            self.record(Severity::Error, site, message, vec![]);
            return value;
        }
        let op =
            CustomGrad { placeholder: placeholder.id(), end, grads: grads.iter().map(|g| g.id()).collect() };
        let inputs: Vec<Dyn<'g>> = std::iter::once(value).chain(wrt.iter().copied()).collect();
        self.push(op, &inputs)
    }

    /// Runs `f` with the site of a node, and a phase, put on everything that it records.
    pub(crate) fn on_behalf_of<R>(&self, id: Option<NodeId>, phase: Phase, f: impl FnOnce() -> R) -> R {
        let before = {
            let mut inner = self.inner.borrow_mut();
            let before = (inner.site, inner.phase);
            if let Some(id) = id {
                inner.site = Some(inner.graph.node(id).site);
            }
            inner.phase = Some(phase);
            before
        };
        let result = f();
        let mut inner = self.inner.borrow_mut();
        (inner.site, inner.phase) = before;
        result
    }

    /// Runs `f` with everything that it records marked as part of the optimizer's update.
    pub fn updating<R>(&self, f: impl FnOnce() -> R) -> R {
        self.on_behalf_of(None, Phase::Update, f)
    }

    /// Puts another operation in the place of one that gives the same and more.
    pub(crate) fn replace(&self, id: NodeId, op: Op) {
        self.inner.borrow_mut().graph.nodes[id.index()].op = op;
    }

    /// The values that operations of these names have made on the way to `result`.
    pub fn made_by<'g>(&'g self, operations: &[&str], result: Dyn<'g>) -> Vec<Made<'g>> {
        let graph = &self.inner.borrow().graph;
        let mut needed = vec![false; graph.nodes.len()];
        needed[result.id().index()] = true;
        for id in graph.ids().rev() {
            if needed[id.index()] {
                graph.node(id).inputs.iter().for_each(|x| needed[x.index()] = true);
            }
        }
        let place = |id: NodeId| match graph.layer(id) {
            "" => graph.node(id).site.location.to_string(),
            layer => format!("layer `{layer}`"),
        };
        let of = |id: NodeId| Made {
            value: Dyn::new(self, id),
            operation: graph.node(id).op.name(),
            place: place(id),
            users: graph.nodes.iter().filter(|n| n.inputs.contains(&id)).map(|n| n.op.name()).collect(),
        };
        let wanted = |id: &NodeId| needed[id.index()] && operations.contains(&graph.node(*id).op.name());
        graph.ids().filter(wanted).map(of).collect()
    }

    /// The graph so far.
    pub(crate) fn with_graph<R>(&self, f: impl FnOnce(&Graph) -> R) -> R {
        f(&self.inner.borrow().graph)
    }

    /// The value of a node in a shadow trace.
    pub(crate) fn shadow_value(&self, id: NodeId) -> Option<Array> {
        self.inner.borrow().shadow.as_ref().and_then(|s| s.values.get(id.index()).cloned().flatten())
    }

    /// The recording, with its warnings, or everything that is wrong with it.
    pub fn finish(self) -> Result<(Graph, Diagnostics), Diagnostics> {
        let inner = self.inner.into_inner();
        let mut findings = Diagnostics(inner.findings);
        if let Some(node) = Tape::escaped(&inner.graph).filter(|_| !findings.has_errors()) {
            findings.0.push(Diagnostic {
                severity: Severity::Error,
                message: "a value made inside of a scan's body or a custom rule is used outside of it".into(),
                location: node.site.location,
                layer: inner.graph.layers[node.site.layer as usize].clone(),
                notes: vec!["give it back from the body, as a carry or to be stacked".into()],
            });
        }
        if findings.has_errors() { Err(findings) } else { Ok((inner.graph, findings)) }
    }
}
