//! Mistakes that must be diagnostics at their lines, not panics and not silent.

use ironlearn_ir::prim::{Cast, Concat, MapRef, Op, elementwise};
use ironlearn_ir::*;

/// The messages of a trace that must fail.
fn mistakes(f: impl FnOnce(&Tape)) -> Vec<String> {
    let tape = Tape::new(Mode::Train);
    f(&tape);
    let Err(found) = tape.finish() else { panic!("no mistake was found") };
    assert!(found.0.iter().all(|d| d.location.file().ends_with("mistakes.rs")), "{found}");
    found.0.into_iter().map(|d| d.message).collect()
}

#[test]
fn concatenating_different_ranks_is_a_mistake() {
    let found = mistakes(|tape| {
        let (x, y) = (tape.input::<f32>([3]).node(), tape.input::<f32>([0; 0]).node());
        tape.push(Concat(0), &[x, y]);
    });
    assert_eq!(found, ["concat: f32[3] and f32[] do not agree beside axis 0"]);
}

#[test]
fn too_few_operands_are_a_mistake() {
    let found = mistakes(|tape| {
        let x = tape.input::<f32>([3]).node();
        tape.push(Op::Map(MapRef::of::<elementwise::Add>()), &[x]);
        tape.push(Cast(DType::F64), &[]);
    });
    assert_eq!(found, ["add: needs 2 operands, found 1", "cast: needs 1 operands, found 0"]);
}

#[test]
fn a_slot_keeps_its_type() {
    let found = mistakes(|tape| {
        let slot = tape.slot(SlotId(0), TensorType::new(DType::F32, [2]));
        tape.assign(SlotId(0), slot.sum(&[0]));
    });
    assert_eq!(found, ["slot 0 holds f32[2] and cannot be assigned f32[]"]);
}

/// A slot that the graph never reads can only be compared when it runs: then no other slot may have moved.
#[test]
fn a_step_that_cannot_commit_everything_commits_nothing() {
    let mut store = Store::new();
    let first = store.add("first", Role::Parameter, Array::scalar(1.0f32)).unwrap();
    let second = store.add("second", Role::Parameter, Array::zeros(DType::F32, [2])).unwrap();
    let tape = Tape::new(Mode::Train);
    tape.assign(first, tape.scalar::<f32>(5.0).node());
    tape.assign(second, tape.scalar::<f32>(5.0).node());
    let (graph, _) = tape.finish().unwrap();
    let failure =
        Interpreted::new(graph).unwrap().run(&[], &mut store, &ControlBlock::default()).unwrap_err();
    assert_eq!(failure.to_string(), "slot `second` holds f32[2], its new value is f32[]");
    assert_eq!(*store.slot(first).value(), Array::scalar(1.0f32));
}
