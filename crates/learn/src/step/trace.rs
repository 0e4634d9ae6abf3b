//! Tracing a user's closure: its outputs, and everything that is wrong with it as one error.

use super::compile::{Options, mistakes};
use crate::{Error, Scope, Signature};
use ironlearn_ir::{ControlBlock, Diagnostics, Dyn, Element, Env, Graph, Mode, Tape, TensorType, Var};

/// What a traced closure gives: a loss, or other named values, or both.
#[derive(Clone, Default)]
pub struct Outputs<'g> {
    loss: Option<Dyn<'g>>,
    named: Vec<(String, Dyn<'g>)>,
}

impl<'g> Outputs<'g> {
    /// A loss, which training makes small.
    pub fn loss<T: Element>(loss: Var<'g, T>) -> Outputs<'g> {
        Outputs { loss: Some(loss.node()), named: Vec::new() }
    }

    /// A value by name, without a loss.
    pub fn of(name: &str, value: impl Into<Dyn<'g>>) -> Outputs<'g> {
        Outputs { loss: None, named: Vec::new() }.and(name, value)
    }

    /// With one more value.
    pub fn and(mut self, name: &str, value: impl Into<Dyn<'g>>) -> Outputs<'g> {
        self.named.push((name.to_string(), value.into()));
        self
    }

    /// Names the outputs on the tape.
    #[track_caller]
    pub(crate) fn record(&self, tape: &Tape) {
        if let Some(loss) = self.loss {
            tape.output("loss", loss);
        }
        for (name, value) in &self.named {
            tape.output(name, *value);
        }
    }

    /// The loss; a mistake is recorded where there is none that can be differentiated.
    #[track_caller]
    pub(crate) fn scalar_loss(&self, tape: &Tape) -> Option<Dyn<'g>> {
        match self.loss {
            Some(loss) if loss.is_poison() => None,
            Some(loss) if loss.shape().elements() == 1 && loss.dtype().is_float() => Some(loss),
            Some(loss) => {
                let message = format!("the loss is {}, and has to be one float", loss.ty());
                tape.error(message, vec![loss.describe(), "take its mean: `.mean_all()`".into()]);
                None
            }
            None => {
                tape.error("a training step needs a loss", vec!["give one: `Outputs::loss(…)`".into()]);
                None
            }
        }
    }
}

impl<'g, T: Element> From<Var<'g, T>> for Outputs<'g> {
    fn from(loss: Var<'g, T>) -> Outputs<'g> {
        Outputs::loss(loss)
    }
}

/// A tape for a trace; with a shadow where the options have a batch of this signature.
pub(crate) fn tape_for(options: &Options, scope: &Scope, mode: Mode, signature: &impl Signature) -> Tape {
    match &options.shadow {
        Some(batch) if fits(signature, batch) => {
            let control = ControlBlock { seed: scope.seed() as i64, ..ControlBlock::default() };
            Tape::with_shadow(mode, Env::new(batch.clone(), &scope.store(), control))
        }
        _ => Tape::new(mode),
    }
}

/// The inputs of a signature, made at the caller's line.
#[track_caller]
pub(crate) fn inputs<'g, S: Signature>(tape: &'g Tape, signature: &S) -> S::Vars<'g> {
    let _line = tape.enter("");
    signature.vars(tape)
}

/// What was traced, with warnings; or all mistakes of the model and of the trace.
pub(crate) fn finished(tape: Tape, scope: &Scope) -> Result<(Graph, Diagnostics), Error> {
    scope.check_memory()?;
    if let Some(refused) = tape.refused() {
        return Err(refused.into());
    }
    let mut found = scope.mistakes();
    let traced = tape.finish();
    if let Err(more) = &traced {
        found.extend(more.0.iter().map(ToString::to_string));
    }
    traced.ok().filter(|_| found.is_empty()).ok_or_else(|| mistakes(&found))
}

/// True where the batch has the types of the signature.
fn fits(signature: &impl Signature, batch: &[ironlearn_ir::Array]) -> bool {
    let tape = Tape::new(Mode::Infer);
    let _ = signature.vars(&tape);
    let Ok((graph, _)) = tape.finish() else { return false };
    let types = batch.iter().map(|a| TensorType::new(a.dtype(), a.shape().clone()));
    graph.inputs.iter().cloned().eq(types)
}
