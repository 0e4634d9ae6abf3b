//! char-lm: a transformer over characters, 4 blocks with 4 heads, width 128, context 64, batch 32.

use crate::args::Args;
use crate::work::{Batches, Unit, Work, data, initial, options};
use ironlearn::Error;
use ironlearn::prelude::*;

const VOCABULARY: usize = 65;
const WIDTH: usize = 128;
const CONTEXT: usize = 64;
const BATCH: usize = 32;

/// A pre-norm block.
struct Block {
    norms: [LayerNorm; 2],
    attention: MultiHeadAttention,
    up: Linear,
    down: Linear,
}

impl Block {
    fn new(scope: &Scope) -> Block {
        Block {
            norms: ["norm0", "norm1"].map(|name| LayerNorm::new(&scope.at(name), WIDTH)),
            attention: MultiHeadAttention::new(&scope.at("attention"), WIDTH, 4).causal(),
            up: Linear::new(&scope.at("up"), WIDTH, 4 * WIDTH),
            down: Linear::new(&scope.at("down"), 4 * WIDTH, WIDTH),
        }
    }

    fn apply<'g>(&self, x: Var<'g, f32>) -> Var<'g, f32> {
        let x = x + self.attention.apply(self.norms[0].apply(x));
        x + self.down.apply(self.up.apply(self.norms[1].apply(x)).gelu())
    }
}

pub fn char_lm(args: &Args) -> Result<Work, Error> {
    let scope = Scope::root(0);
    let token = Embedding::<f32>::new(&scope.at("token"), VOCABULARY, WIDTH);
    let place = Embedding::<f32>::new(&scope.at("place"), CONTEXT, WIDTH);
    let blocks: Vec<Block> = (0..4).map(|i| Block::new(&scope.at(format!("block{i}")))).collect();
    let norm = LayerNorm::<f32>::new(&scope.at("norm"), WIDTH);
    let out = Linear::<f32>::new(&scope.at("out"), WIDTH, VOCABULARY);
    initial::<f32>(args, "char-lm", &scope)?;

    let text = data::<u8>(args, "char-lm/text")?.into_vec();
    // Targets begin one character later; the last batch has to have them too.
    let x = Batches::new(text[..text.len() - 1].to_vec(), [BATCH, CONTEXT]);
    let y = Batches::new(text, [BATCH, CONTEXT]).from(1);
    let optimizer = Optimizer::new(AdamW::new(1e-3)).weight_decay(0.01);
    let signature = (u8s([BATCH, CONTEXT]), u8s([BATCH, CONTEXT]));
    let mut step = Step::build(&options(args)?, &scope, optimizer, signature, |tape, (x, y)| {
        let mut z = token.apply(x) + place.weight().read(tape);
        for block in &blocks {
            z = block.apply(z);
        }
        cross_entropy(out.apply(norm.apply(z)), y).into()
    })?;
    let mut number = 0;
    Ok(Work::new(Unit::Rate("tokens/s", (BATCH * CONTEXT) as f64), &scope, move |steps| {
        let mut loss = 0.0;
        for _ in 0..steps {
            loss = step.run(&(x.batch(number), y.batch(number)))?.loss();
            number += 1;
        }
        Ok(loss)
    }))
}
