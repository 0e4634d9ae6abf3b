use super::{apart, check, kinds};
use ironlearn::{Activation, Layer};
use ironlearn_ir::Var;
use ironlearn_testkit::gradcheck::Case;
use ironlearn_testkit::registry::array;
use ironlearn_testkit::rng::Rng;

kinds! { Activation: Relu, Relu6, LeakyRelu, Gelu, Silu, Tanh, Sigmoid, Softplus, Softmax, Sine }

/// With random numbers in the place of the usual ones.
pub fn draw(kind: Kind, rng: &mut Rng) -> Activation {
    match kind {
        Kind::Relu => Activation::Relu,
        Kind::Relu6 => Activation::Relu6,
        Kind::LeakyRelu => Activation::LeakyRelu(rng.float(0.01, 0.5)),
        Kind::Gelu => Activation::Gelu,
        Kind::Silu => Activation::Silu,
        Kind::Tanh => Activation::Tanh,
        Kind::Sigmoid => Activation::Sigmoid,
        Kind::Softplus => Activation::Softplus,
        Kind::Softmax => Activation::Softmax,
        Kind::Sine => Activation::Sine(rng.float(0.5, 3.0)),
    }
}

#[test]
fn activations_have_right_derivatives() {
    for &kind in Kind::ALL {
        check(&format!("{kind:?}"), |rng| {
            let activation = draw(kind, rng);
            assert_eq!(Kind::of(&activation), kind);
            let rank = 1 + rng.below(3);
            let shape: Vec<usize> = (0..rank).map(|_| 1 + rng.below(4)).collect();
            let x = array(&shape, apart(rng, shape.iter().product()));
            Case::new(format!("{activation:?}"), vec![x], move |_, x| {
                activation.apply(Var::<f64>::of(x[0])).node()
            })
        });
    }
}
