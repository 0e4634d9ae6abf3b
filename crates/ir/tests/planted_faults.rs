//! Faults planted in a correct plan: the verifier must catch each.
#![allow(missing_docs, clippy::unwrap_used)]

use ironlearn_ir::plan::{Home, Load, Options, Plan, StepKind, View, plan, verify};
use ironlearn_ir::*;

/// The plan of a training step with products, reductions, products over permuted operands, and state.
fn sound() -> Plan {
    let mut store = Store::new();
    let w = store.add("w", Role::Parameter, Array::zeros(DType::F32, [6, 5])).unwrap();
    let v = store.add("v", Role::Parameter, Array::zeros(DType::F32, [5, 4])).unwrap();
    let parts = store.add("parts", Role::Optimizer, Array::zeros(DType::F32, [25])).unwrap();
    let tape = Tape::new(Mode::Train);
    let (x, y) = (tape.input::<f32>([8, 6]), tape.input::<f32>([8, 4]));
    let [w_now, v_now] = [w, v].map(|s| Var::<f32>::of(tape.slot(s, store.ty(s))));
    let hidden = x.dot(w_now).tanh();
    let loss = (hidden.dot(v_now).log_softmax(1) - y).square().mean_all();
    let grads = loss.grad(&[w_now, v_now]);
    tape.assign(w, (w_now - grads[0] * 0.1).node());
    tape.assign(v, (v_now - grads[1] * 0.1).node());
    tape.updating(|| {
        let whole = concat(&tape, &[hidden.sum([0]), v_now.reshape([20])], 0);
        tape.assign(parts, whole.node());
    });
    tape.output("loss", loss.node());
    tape.output("hidden", hidden.flip([0]).node());
    tape.output("padded", hidden.pad(1, 1, 2, 0.5).node());
    plan(&tape.finish().unwrap().0, Options::default()).unwrap()
}

/// Changes the first step that `fault` accepts; the fault must apply somewhere.
fn change(plan: &mut Plan, mut fault: impl FnMut(&mut StepKind) -> bool) {
    assert!(plan.steps.iter_mut().any(|s| fault(&mut s.kind)), "the fault could not be planted");
}

fn arena_buffers(plan: &Plan) -> Vec<usize> {
    (0..plan.buffers.len()).filter(|&b| matches!(plan.buffers[b].home, Home::Arena(_))).collect()
}

type Fault = (&'static str, fn(&mut Plan));

const FAULTS: &[Fault] = &[
    ("all values share one place", |p| {
        arena_buffers(p).into_iter().for_each(|b| p.buffers[b].home = Home::Arena(0));
    }),
    ("the result of a product lies over its operand", |p| {
        let (mut from, mut to) = (0, 0);
        let arena = arena_buffers(p);
        change(p, |kind| match kind {
            StepKind::Dot(dot) if arena.contains(&(dot.x.buffer.0 as usize)) => {
                (from, to) = (dot.x.buffer.0 as usize, dot.out.buffer.0 as usize);
                true
            }
            _ => false,
        });
        p.buffers[to].home = p.buffers[from].home.clone();
    }),
    ("the first step comes last", |p| p.steps.rotate_left(1)),
    ("steps in reversed order", |p| p.steps.reverse()),
    ("a step is missing", |p| {
        let at = p.steps.iter().position(|s| matches!(s.kind, StepKind::Dot(_))).unwrap();
        p.steps.remove(at);
    }),
    ("half of a reduction is dropped", |p| {
        change(p, |kind| match kind {
            StepKind::Reduce { extent, .. } if extent[1] > 1 => {
                extent[1] /= 2;
                true
            }
            _ => false,
        });
    }),
    ("a reduction writes fewer results", |p| {
        change(p, |kind| match kind {
            StepKind::Reduce { out, .. } if out.dims[0] > 1 => {
                out.dims[0] -= 1;
                true
            }
            _ => false,
        });
    }),
    ("an operand begins one element late", |p| {
        change(p, |kind| match kind {
            StepKind::Dot(dot) => {
                dot.y.offset += 1;
                true
            }
            _ => false,
        });
    }),
    ("an operand runs backwards out of its buffer", |p| {
        change(p, |kind| match kind {
            StepKind::Dot(dot) => {
                dot.x.strides[0] = -dot.x.strides[0];
                true
            }
            _ => false,
        });
    }),
    ("the inner lengths of a product differ", |p| {
        change(p, |kind| match kind {
            StepKind::Dot(dot) => {
                dot.y.dims[0] -= 1;
                true
            }
            _ => false,
        });
    }),
    ("what is around a value is written over it", |p| {
        let at = p.steps.iter().position(|s| matches!(s.kind, StepKind::Fill { .. })).unwrap();
        let fill = p.steps.remove(at);
        p.steps.push(fill);
    }),
    ("the arena is too small", |p| p.arena_bytes -= 64),
    ("a buffer is not aligned", |p| {
        let b = arena_buffers(p)[0];
        p.buffers[b].home = Home::Arena(4);
    }),
    ("a step writes a committed slot", |p| {
        for b in &mut p.buffers {
            if let Home::Spare(slot) = b.home {
                b.home = Home::Slot(slot);
                break;
            }
        }
    }),
    ("two slots get the same buffer", |p| {
        let spare: Vec<usize> =
            (0..p.buffers.len()).filter(|&b| matches!(p.buffers[b].home, Home::Spare(_))).collect();
        p.buffers[spare[1]].home = p.buffers[spare[0]].home.clone();
    }),
    ("a value is stored as another type", |p| {
        let b = arena_buffers(p);
        b.into_iter().for_each(|b| p.buffers[b].dtype = DType::I32);
    }),
    ("an instruction uses a later value", |p| {
        change(p, |kind| match kind {
            StepKind::Fused { program, .. } if !program.instrs.is_empty() => {
                program.instrs[0].args[0] = (program.loads.len() + program.instrs.len()) as u32;
                true
            }
            _ => false,
        });
    }),
    ("a store names a value that does not exist", |p| {
        change(p, |kind| match kind {
            StepKind::Fused { stores, .. } => {
                stores[0].0 = 1000;
                true
            }
            _ => false,
        });
    }),
    ("a result in place is read one element further on", |p| {
        // A fused step that writes over its operand, made to read it shifted.
        let homes: Vec<Home> = p.buffers.iter().map(|b| b.home.clone()).collect();
        change(p, |kind| match kind {
            StepKind::Fused { program, stores } => program.loads.iter_mut().any(|load| match load {
                Load::Memory(view) if view.buffer != stores[0].1.buffer => {
                    let over = homes[view.buffer.0 as usize] == homes[stores[0].1.buffer.0 as usize];
                    if over {
                        view.dims[0] -= 1;
                        view.offset += 1;
                    }
                    over
                }
                _ => false,
            }),
            _ => false,
        });
    }),
    ("an output is where nothing was written", |p| {
        let b = p.buffers.len() as u32;
        let mut fresh = p.buffers[p.outputs[0].buffer.0 as usize].clone();
        fresh.home = Home::Arena(p.arena_bytes);
        p.arena_bytes += 64;
        p.buffers.push(fresh);
        p.outputs[0].buffer = plan::BufferId(b);
    }),
    ("a part of the next value of a slot is not written", |p| {
        let homes: Vec<Home> = p.buffers.iter().map(|b| b.home.clone()).collect();
        let is_part =
            |view: &View| matches!(homes[view.buffer.0 as usize], Home::Spare(_)) && view.offset > 0;
        let at = p.steps.iter().position(|step| step.writes().into_iter().any(is_part)).unwrap();
        p.steps.remove(at);
    }),
    ("a part of the next value of a slot is one element early", |p| {
        let homes: Vec<Home> = p.buffers.iter().map(|b| b.home.clone()).collect();
        change(p, |kind| {
            let StepKind::Fused { stores, .. } = kind else { return false };
            let is_part =
                |view: &View| matches!(homes[view.buffer.0 as usize], Home::Spare(_)) && view.offset > 0;
            stores.iter_mut().filter(|(_, view)| is_part(view)).map(|(_, view)| view.offset -= 1).count() > 0
        });
    }),
    ("an operand over another index space", |p| {
        change(p, |kind| match kind {
            StepKind::Fused { program, .. } if !program.dims.is_empty() => {
                program.dims[0] += 1;
                true
            }
            _ => false,
        });
    }),
];

#[test]
fn a_correct_plan_passes() {
    verify(&sound()).unwrap();
}

#[test]
fn every_planted_fault_is_caught() {
    for (name, plant) in FAULTS {
        let mut plan = sound();
        plant(&mut plan);
        assert!(verify(&plan).is_err(), "not caught: {name}");
    }
}

/// The plan of a training step over so many rows that they go through it in blocks.
fn sound_in_blocks() -> Plan {
    let mut store = Store::new();
    let w = store.add("w", Role::Parameter, Array::zeros(DType::F32, [3, 5])).unwrap();
    let v = store.add("v", Role::Parameter, Array::zeros(DType::F32, [5, 2])).unwrap();
    let tape = Tape::new(Mode::Train);
    let (x, y) = (tape.input::<f32>([5000, 3]), tape.input::<f32>([5000, 2]));
    let [w_now, v_now] = [w, v].map(|s| Var::<f32>::of(tape.slot(s, store.ty(s))));
    let loss = (x.dot(w_now).tanh().dot(v_now).tanh() - y).square().mean_all();
    let grads = loss.grad(&[w_now, v_now]);
    tape.assign(w, (w_now - grads[0] * 0.1).node());
    tape.assign(v, (v_now - grads[1] * 0.1).node());
    tape.output("loss", loss.node());
    plan(&tape.finish().unwrap().0, Options::default()).unwrap()
}

/// Changes the region of a plan.
fn in_region(plan: &mut Plan, fault: impl FnOnce(&mut plan::Region)) {
    let region = plan.steps.iter_mut().find_map(|s| match &mut s.kind {
        StepKind::Region(region) => Some(region),
        _ => None,
    });
    fault(region.expect("a region"));
}

/// Changes the first step of the region that `fault` accepts; the fault must apply somewhere.
fn change_inside(plan: &mut Plan, mut fault: impl FnMut(&mut StepKind) -> bool) {
    in_region(plan, |region| {
        assert!(region.steps.iter_mut().any(|s| fault(&mut s.kind)), "the fault could not be planted");
    });
}

fn block_buffers(plan: &Plan) -> Vec<usize> {
    (0..plan.buffers.len()).filter(|&b| matches!(plan.buffers[b].home, Home::Block { .. })).collect()
}

const FAULTS_IN_REGIONS: &[Fault] = &[
    ("all values of a block share one place", |p| {
        for b in block_buffers(p) {
            let bytes = p.buffers[b].bytes();
            p.buffers[b].home = Home::Block { at: 0, bytes };
        }
    }),
    ("a value has no room for the rows of a block", |p| {
        let b = block_buffers(p)[0];
        let Home::Block { at, bytes } = p.buffers[b].home else { return };
        p.buffers[b].home = Home::Block { at, bytes: bytes / 2 };
    }),
    ("the block is too small", |p| in_region(p, |region| region.block_bytes -= 64)),
    ("a value is not aligned in the block", |p| {
        let b = block_buffers(p)[0];
        let Home::Block { at, bytes } = p.buffers[b].home else { return };
        p.buffers[b].home = Home::Block { at: at + 4, bytes };
        in_region(p, |region| region.block_bytes += 64);
    }),
    ("a step of the region is missing", |p| in_region(p, |region| drop(region.steps.remove(0)))),
    ("the steps of the region in reversed order", |p| in_region(p, |region| region.steps.reverse())),
    ("a sum over rows is taken for rows", |p| {
        in_region(p, |region| {
            region.sums.pop();
        })
    }),
    ("a value of the block is needed afterwards", |p| {
        in_region(p, |region| {
            region.locals.pop();
        })
    }),
    ("a product reads the row after its own", |p| {
        let block = block_buffers(p);
        let mut width = 0;
        change_inside(p, |kind| match kind {
            StepKind::Dot(dot) if block.contains(&(dot.x.buffer.0 as usize)) && dot.x.dims[0] == 5000 => {
                width = dot.x.dims[1];
                dot.x.offset += width;
                dot.x.dims[0] -= 1;
                dot.out.dims[0] -= 1;
                true
            }
            _ => false,
        });
        assert!(width > 0);
    }),
    ("an operand runs from the last row to the first", |p| {
        let block = block_buffers(p);
        change_inside(p, |kind| match kind {
            StepKind::Fused { program, .. } => program.loads.iter_mut().any(|load| match load {
                Load::Memory(view) if block.contains(&(view.buffer.0 as usize)) => {
                    view.offset = view.reach().map_or(0, |r| r.1);
                    view.strides.iter_mut().for_each(|s| *s = -*s);
                    true
                }
                _ => false,
            }),
            _ => false,
        });
    }),
    ("the region is thought to have other rows", |p| in_region(p, |region| region.rows /= 2)),
];

#[test]
fn every_fault_planted_in_a_region_is_caught() {
    verify(&sound_in_blocks()).unwrap();
    for (name, plant) in FAULTS_IN_REGIONS {
        let mut plan = sound_in_blocks();
        plant(&mut plan);
        assert!(verify(&plan).is_err(), "not caught: {name}");
    }
}
