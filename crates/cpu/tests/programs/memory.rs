//! Where values are while a program runs, and between its runs.

use super::*;

#[test]
fn new_state_of_parts_is_the_same_however_they_get_to_their_places() {
    let mut store = Store::new();
    let slot = store.add("w", Role::Parameter, Array::zeros(DType::F32, [3, 2000])).unwrap();
    let tape = Tape::new(Mode::Train);
    let x = tape.input::<f32>([2500]);
    tape.updating(|| {
        let now = Var::<f32>::of(tape.slot(slot, store.ty(slot))).reshape([6000]);
        let first = x + now.narrow(0, 100, 2600);
        let parts = [first, (first * 2.0).flip([0]), x.reshape([5, 500]).sum([0]), now.narrow(0, 0, 500)];
        tape.assign(slot, concat(&tape, &parts, 0).reshape([3, 2000]).node());
    });
    tape.output("sum", x.sum_all().node());
    let (graph, _) = tape.finish().unwrap_or_else(|e| panic!("{e}"));
    let inputs = [Array::of([2500], (0..2500).map(|i| (i % 7) as f32).collect()).unwrap()];
    let after = |program: &mut dyn Program| {
        let mut store = store.clone();
        run(program, &mut store, &inputs, 3);
        store.slot(slot).value().clone()
    };
    let expected = after(&mut Interpreted::new(graph.clone()).unwrap());
    for (fuse, threads) in [(true, 1), (true, 2), (false, 1)] {
        let options = Options { fuse, ..Options::default() };
        let found = after(&mut Cpu::new(threads).unwrap().compile(&graph, options).unwrap());
        assert_eq!(found, expected, "fused: {fuse}, {threads} threads");
    }
}

#[test]
fn memory_that_is_handed_over_holds_no_outputs() {
    let cpu = Cpu::new(1).unwrap();
    let [(large, mut store, x), (small, mut other, y)] = [training_step(64), training_step(7)];
    let [mut large, mut small] = [large, small].map(|graph| cpu.compile(&graph, Options::default()).unwrap());
    let first = run(&mut large, &mut store.clone(), &x, 1);
    let alone = run(&mut small, &mut other.clone(), &y, 1);
    small.give_memory(large.take_memory().unwrap());
    assert_eq!((large.output(0).shape().elements(), small.output(0).shape().elements()), (0, 0));
    // No run is none.
    let views: Vec<ArrayView> = y.iter().map(|a| a.view()).collect();
    let (done, ready) = small.run_many(0, &views, &mut other, &mut ControlBlock::default(), &mut |_| ());
    assert_eq!((done, ready.is_ok(), small.output(0).shape().elements()), (0, true, 0));
    assert_eq!((large.handed_over_bytes(), run(&mut small, &mut other, &y, 1)), (0, alone));
    // It has no memory, and gets what is too small: it takes its own.
    let least = cpu.compile(&training_step(1).0, Options::default()).unwrap().take_memory().unwrap();
    large.give_memory(least);
    assert_eq!(run(&mut large, &mut store, &x, 1), first);
}
