//! Element types never mix by themselves.

use ironlearn_ir::Var;

fn forward<'g>(x: Var<'g, f32>, mask: Var<'g, f64>, count: Var<'g, i32>) -> Var<'g, f32> {
    (x + mask) * count
}

fn main() {}
