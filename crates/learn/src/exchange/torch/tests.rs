use super::*;
use crate::exchange::onnx::testing::every_layer;
use crate::nn::tests::{numbers, values_in};
use crate::prelude::Options;

mod files;

#[test]
fn every_network_comes_back_with_every_bit() {
    for (name, network) in every_layer::<f32>() {
        let (from, to) = (network.clone().build(1).unwrap(), network.build(2).unwrap());
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("weights.safetensors");
        save(&from, &path).unwrap();
        load(&to, &path).unwrap();
        let (a, b) = (from.scope().store(), to.scope().store());
        for id in a.ids() {
            assert_eq!(a.slot(id).value(), b.slot(id).value(), "{name}: {}", a.slot(id).name);
        }
    }
}

#[test]
fn names_and_shapes_are_those_of_pytorch() {
    let network = Network::<f64>::builder([5, 4])
        .linear(6)
        .relu()
        .attention(2, false, false)
        .residual(|b| b.layer_norm())
        .lstm(3)
        .build(1)
        .unwrap();
    let names: Vec<String> = state_dict(&network)
        .unwrap()
        .iter()
        .map(|(name, array)| format!("{name} {}", array.shape()))
        .collect();
    let expected = [
        "0.weight [6, 4]",
        "0.bias [6]",
        "2.in_proj_weight [18, 6]",
        "2.in_proj_bias [18]",
        "2.out_proj.weight [6, 6]",
        "2.out_proj.bias [6]",
        "3.0.weight [6]",
        "3.0.bias [6]",
        "4.weight_ih_l0 [12, 6]",
        "4.weight_hh_l0 [12, 3]",
        "4.bias_ih_l0 [12]",
        "4.bias_hh_l0 [12]",
    ];
    assert_eq!(names, expected);
}

#[test]
fn a_matrix_has_its_rows_as_columns() {
    let network = Network::<f64>::builder([2]).linear(3).build(1).unwrap();
    crate::nn::tests::set(network.scope(), "0.weight", &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    let (_, weight) = state_dict(&network).unwrap().swap_remove(0);
    assert_eq!(weight.as_slice::<f64>().unwrap(), [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
}

#[test]
fn a_prefix_is_left_out_and_biases_are_added() {
    let network = Network::<f64>::builder([2, 1]).lstm(1).build(1).unwrap();
    let x = numbers(2);
    let before = values_in(network.scope(), &network, [1, 2, 1], &x);
    let mut file = Checkpoint::default();
    for (name, array) in state_dict(&network).unwrap() {
        // The same sum, differently.
        let shift = if name.ends_with("bias_ih_l0") {
            0.5
        } else if name.ends_with("bias_hh_l0") {
            -0.5
        } else {
            0.0
        };
        let values = array.as_slice::<f64>().unwrap().iter().map(|x| x + shift).collect();
        file.tensors.push((format!("model.{name}"), Array::of(array.shape().clone(), values).unwrap()));
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.safetensors");
    file.save(&path).unwrap();
    let other = Network::<f64>::builder([2, 1]).lstm(1).build(9).unwrap();
    load(&other, &path).unwrap();
    let after = values_in(other.scope(), &other, [1, 2, 1], &x);
    before.iter().zip(&after).for_each(|(a, b)| assert!((a - b).abs() < 1e-12));
}

#[test]
fn everything_that_does_not_fit_is_listed_and_nothing_is_changed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.safetensors");
    save(&Network::<f32>::builder([3]).linear(4).relu().linear(2).build(1).unwrap(), &path).unwrap();
    let other = Network::<f32>::builder([3]).linear(4).linear(2).build(2).unwrap();
    let before = state_dict(&other).unwrap();
    let text = load(&other, &path).unwrap_err().to_string();
    for part in [
        "`1.weight` is missing",
        "`1.bias` is missing",
        "`2.weight` belongs to no layer",
        "torch.nn.Sequential",
    ] {
        assert!(text.contains(part), "{text}");
    }
    assert_eq!(state_dict(&other).unwrap(), before);
    let wider = Network::<f32>::builder([5]).linear(4).relu().linear(2).build(2).unwrap();
    assert!(load(&wider, &path).unwrap_err().to_string().contains("`0.weight` is [4, 3], not [4, 5]"));
}
