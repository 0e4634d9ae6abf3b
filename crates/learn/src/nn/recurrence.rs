//! The loop of recurrent layers.

use ironlearn_ir::{Real, Var, concat};

/// Carries states along the time axis of `x`, `[B, L, features]`: `body` gets the input of one place, `[B,
/// features]`, and the states before it, and gives those after it. The result is the first state after each
/// place, `[B, L, width]`.
#[track_caller]
pub fn over_time<'g, T: Real, const N: usize>(
    x: Var<'g, T>,
    states: [Var<'g, T>; N],
    body: impl Fn(Var<'g, T>, [Var<'g, T>; N]) -> [Var<'g, T>; N],
) -> Var<'g, T> {
    let (rows, len, features) = (x.dim(0) as isize, x.dim(1), x.dim(2) as isize);
    let mut states = states;
    let mut places = Vec::with_capacity(len);
    for t in 0..len {
        states = body(x.narrow(1, t, t + 1).reshape([rows, features]), states);
        let width = states[0].dim(1) as isize;
        places.push(states[0].reshape([rows, 1, width]));
    }
    if places.is_empty() { x } else { concat(&places, 1) }
}
