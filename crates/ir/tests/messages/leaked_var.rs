//! A variable must not leave the trace that it belongs to.

use ironlearn_ir::{Mode, Tape, Var};

fn trace(f: impl for<'g> Fn(&'g Tape, Var<'g, f32>) -> Var<'g, f32>) {
    let tape = Tape::new(Mode::Train);
    f(&tape, tape.input([3]));
}

fn main() {
    let kept = std::cell::Cell::new(None);
    trace(|_, x| {
        kept.set(Some(x));
        x
    });
}
