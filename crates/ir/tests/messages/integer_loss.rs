//! A loss of integers has no gradient.

use ironlearn_ir::Var;

fn update<'g>(weight: Var<'g, i32>, x: Var<'g, i32>) -> Var<'g, i32> {
    let loss = (weight * x).sum_all();
    loss.grad(&[weight])[0]
}

fn main() {}
