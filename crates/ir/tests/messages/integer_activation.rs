//! Activations need floats.

use ironlearn_ir::Var;

fn forward<'g>(x: Var<'g, i8>) -> Var<'g, i8> {
    x.tanh()
}

fn main() {}
