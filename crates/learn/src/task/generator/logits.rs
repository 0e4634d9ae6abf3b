//! How likely each token is to come next.

use super::window::beginning;
use crate::nn::Cache;
use crate::number::number_at;
use crate::task::data::texts::TextForm;
use crate::{Error, Infer, Network, Options, Outputs};
use ironlearn_ir::{Array, DType, Real, Shape, TensorType, Var};
use std::cell::Cell;

/// A network that is asked for the logits of the next token.
pub enum Logits {
    /// It computes the whole context for each token. `in_blocks`: it sees what one with a cache sees.
    Whole { infer: Infer, row: Array, in_blocks: bool },
    /// It goes on from what it has computed of the tokens before.
    Cached(Cached),
}

/// A network that goes on from a cache.
pub struct Cached {
    infer: Infer,
    /// Rows of the lengths that it takes, the longest first.
    rows: Vec<Array>,
    /// Where in the text the sequence begins that the cache knows, and how much of it.
    window: usize,
    known: usize,
}

impl Logits {
    /// Of a network; with a cache where one is wanted and its layers can.
    pub fn of<T: Real>(
        network: &Network<T>,
        form: &TextForm,
        options: &Options,
        is_cached: bool,
    ) -> Result<Logits, Error> {
        let cached = if form.every { Cached::of(network, form.context, options)? } else { None };
        let in_blocks = cached.is_some();
        if let Some(cached) = cached.filter(|_| is_cached) {
            return Ok(Logits::Cached(cached));
        }
        let types = vec![TensorType::new(DType::I64, [1, form.context])];
        let infer = Infer::build(options, network.scope(), types, |_tape, x| {
            Outputs::of("logits", network.forward_node(x[0]))
        })?;
        Ok(Logits::Whole { infer, row: tokens(form.context)?, in_blocks })
    }

    /// The logits after these tokens of a text.
    pub fn after(&mut self, text: &[u32], form: &TextForm, end: u32) -> Result<Vec<f64>, Error> {
        match self {
            Logits::Whole { infer, row, in_blocks } => {
                whole(infer, row, &text[beginning(text.len(), form.context, *in_blocks)..], form, end)
            }
            Logits::Cached(cached) => cached.after(text, form),
        }
    }

    /// Forgets the text that came before.
    pub fn forget(&mut self) {
        if let Logits::Cached(cached) = self {
            cached.known = 0;
        }
    }
}

fn whole(
    infer: &mut Infer,
    row: &mut Array,
    seen: &[u32],
    form: &TextForm,
    end: u32,
) -> Result<Vec<f64>, Error> {
    let places = row.as_slice_mut::<i64>().unwrap_or_default();
    places.fill(i64::from(end));
    // A network that says for each token what follows does not see those after it; others look back from the end.
    let first = if form.every { 0 } else { form.context - seen.len() };
    places[first..].iter_mut().zip(seen).for_each(|(to, &token)| *to = i64::from(token));
    let place = if form.every { seen.len().saturating_sub(1) } else { 0 };
    run(infer, &(&*row,), place, form.vocabulary.len())
}

impl Cached {
    /// None where the layers can't.
    fn of<T: Real>(network: &Network<T>, context: usize, options: &Options) -> Result<Option<Cached>, Error> {
        // What is left when the context is full comes at once, then one token after the other.
        let mut lengths = vec![(context / 2).max(1), 1];
        lengths.dedup();
        let types = |length: usize| {
            vec![TensorType::new(DType::I64, [1, length]), TensorType::new(DType::I32, Shape::scalar())]
        };
        let signatures: Vec<_> = lengths.iter().map(|&length| types(length)).collect();
        let can = Cell::new(true);
        let infer = Infer::build_all(options, network.scope(), &signatures, |tape, x| {
            let cache = Cache::new(network.scope(), Var::of(x[1]), x[0].shape()[1], context);
            let y = network.forward_next(x[0], &cache).unwrap_or_else(|| {
                can.set(false);
                tape.scalar::<T>(0.0)
            });
            Outputs::of("logits", y)
        })?;
        if !can.get() {
            return Ok(None);
        }
        let rows = lengths.iter().map(|&length| tokens(length)).collect::<Result<_, _>>()?;
        Ok(Some(Cached { infer, rows, window: 0, known: 0 }))
    }

    fn after(&mut self, text: &[u32], form: &TextForm) -> Result<Vec<f64>, Error> {
        let window = beginning(text.len(), form.context, true);
        if window != self.window {
            (self.window, self.known) = (window, 0);
        }
        let mut logits = Vec::new();
        while let Some(left @ [_, ..]) = text.get(window + self.known..) {
            let row = self.rows.iter_mut().find(|row| row.shape()[1] <= left.len());
            let row = row.ok_or_else(|| Error::usage("a row without tokens", "give a longer context"))?;
            let places = row.as_slice_mut::<i64>().unwrap_or_default();
            places.iter_mut().zip(left).for_each(|(to, &token)| *to = i64::from(token));
            let count = places.len();
            let start = Array::scalar(self.known as i32);
            logits = run(&mut self.infer, &(&*row, &start), count - 1, form.vocabulary.len())?;
            self.known += count;
        }
        Ok(logits)
    }
}

/// A row of so many tokens.
fn tokens(length: usize) -> Result<Array, Error> {
    Ok(Array::try_zeros(DType::I64, [1, length], "the tokens that the network sees")?)
}

/// The logits `[1, places, count]` or `[1, count]` at a place.
fn run(infer: &mut Infer, batch: &impl crate::Inputs, place: usize, count: usize) -> Result<Vec<f64>, Error> {
    let report = infer.run(batch)?;
    let logits =
        report.get("logits").ok_or_else(|| Error::usage("the network gives nothing", "train it anew"))?;
    Ok((place * count..(place + 1) * count).map(|i| number_at(logits, i)).collect())
}
