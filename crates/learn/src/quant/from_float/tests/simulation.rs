//! The simulation of integers against their kernels.

use super::*;

#[test]
fn the_simulation_has_the_codes_of_the_integers() {
    let networks = [(convolutional(), rows(&[32, 2, 8, 8])), (transformer(), tokens(&[12, 10], 20))];
    for (powers_of_two, (network, rows)) in
        [true, false].into_iter().flat_map(|p| networks.iter().map(move |n| (p, n)))
    {
        let settings = Settings { powers_of_two, ..Settings::default() };
        let quantizer = Quantizer::new(network, settings).unwrap();
        let simulated = Simulated::new(&quantizer, &quantizer.calibrate(rows).unwrap()).unwrap();
        let agreement = simulated.agreement(rows).unwrap();
        assert!(agreement.share <= 0.001, "{agreement:?}");
    }
}

#[test]
fn with_16_bits_the_simulation_has_the_codes_of_the_integers() {
    let sequence = Network::<f32>::builder([3, 12]).conv1d(4, ConvOptions::new([3])).silu().flatten();
    // Phases of hundreds of radians: lines between the nodes of a table leave the sine by tens of steps.
    let waves = Network::<f32>::builder([2]).fourier(32, 16.0).linear(32).tanh().siren(32, 30.0).linear(2);
    let networks = [
        (convolutional(), rows(&[64, 2, 8, 8])),
        (coordinates(), rows(&[64, 2])),
        (waves.build(1).unwrap(), rows(&[64, 2])),
        (sequence.linear(64).gelu().linear(4).build(2).unwrap(), rows(&[64, 3, 12])),
    ];
    for (network, rows) in &networks {
        let settings = Settings { activations: Code::I16, ..Settings::default() };
        let quantizer = Quantizer::new(network, settings).unwrap();
        let simulated = Simulated::new(&quantizer, &quantizer.calibrate(rows).unwrap()).unwrap();
        let agreement = simulated.agreement(rows).unwrap();
        assert_eq!(agreement.share, 0.0, "{agreement:?} of {network}");
    }
}

#[test]
fn weights_in_the_middle_of_two_codes_get_the_same_one_in_both() {
    // Every quotient by the scale of 1/127 is a middle in 32 bits, and beside it in 64; each row shows one weight.
    let network = Network::<f32>::builder([64]).linear(1).build(1).unwrap();
    let mut store = network.scope().store_mut();
    let slot = store.find("0.weight").unwrap();
    let weights = store.slot_mut(slot).value_mut().as_slice_mut::<f32>().unwrap();
    weights.iter_mut().enumerate().for_each(|(i, w)| *w = (i as f32 + 0.5) / 127.0);
    weights[0] = 1.0;
    drop(store);
    let rows = (0..64 * 64).map(|i| if i / 64 == i % 64 { 1.0f32 } else { 0.0 }).collect();
    let rows = Array::of([64, 64], rows).unwrap();
    for activations in [Code::I8, Code::I16] {
        let settings = Settings { activations, ..Settings::default() };
        let quantizer = Quantizer::new(&network, settings).unwrap();
        let simulated = Simulated::new(&quantizer, &quantizer.calibrate(&rows).unwrap()).unwrap();
        let agreement = simulated.agreement(&rows).unwrap();
        // A code of a weight is 258 steps of the result.
        assert!(agreement.steps <= 1, "{agreement:?}");
    }
}

#[test]
fn with_powers_of_two_the_simulation_is_exact() {
    let picture = ConvOptions::new([3, 3]).padding([1, 1]);
    let network = Network::<f32>::builder([2, 8, 8]).conv2d(5, picture).relu().max_pool([2, 2]).flatten();
    let network = network.linear(20).relu().linear(3).build(8).unwrap();
    let rows = rows(&[32, 2, 8, 8]);
    let settings = Settings { powers_of_two: true, ..Settings::default() };
    let quantizer = Quantizer::new(&network, settings).unwrap();
    let simulated = Simulated::new(&quantizer, &quantizer.calibrate(&rows).unwrap()).unwrap();
    assert_eq!(simulated.agreement(&rows).unwrap().steps, 0);
}
