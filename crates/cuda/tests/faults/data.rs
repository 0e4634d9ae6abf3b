//! What a step is given that it cannot compute with.

use crate::common;
use crate::graphs::{Small, run, var};
use ironlearn_cuda::driver::{Context, Module, Shape};
use ironlearn_cuda::{CudaError, text};
use ironlearn_cuda::{Options, compiler, exec};
use ironlearn_ir::plan::StepKind;
use ironlearn_ir::{Array, ControlBlock, DType, Failure, Graph, Mode, Program, Store, Tape, TensorType};

#[test]
fn an_index_from_data_is_named_and_moves_nothing() {
    let Some(cuda) = common::device() else { return };
    let mut small = Small::new(1.0, |tape, w, _| {
        let table = tape.input::<f32>([5]).node();
        w + table.gather(tape.input_of(TensorType::new(DType::I32, [4])), 0)
    });
    let mut program = small.compile(cuda).expect("a program");
    let table = Array::of([5], vec![1.0f32, 2.0, 3.0, 4.0, 5.0]).expect("five numbers");
    let index = |values: [i32; 4]| Array::of([4], values.to_vec()).expect("four numbers");
    let mut good = |small: &mut Small, expected: [f32; 4]| {
        run(&mut program, &[&table, &index([0, 4, 2, 1])], &mut small.store).expect("a good step");
        let value = small.store.slot(small.slot).value();
        assert_eq!(value.as_slice::<f32>(), Some(&expected[..]));
    };
    good(&mut small, [2.0, 6.25, 4.5, 3.75]);
    let mut program = small.compile(cuda).expect("a program");
    for bad in [5, -1, i32::MIN, i32::MAX] {
        let (before, index) = (small.bits(), index([0, bad, 2, 1]));
        let views = [table.view(), index.view()];
        let (done, result) =
            program.run_many(3, &views, &mut small.store, &mut ControlBlock::default(), &mut |_| ());
        let Err(Failure::Operation(problem)) = result else { panic!("{result:?}") };
        assert!(
            problem.contains(&format!("gather: index {bad} at position 1 is outside of 0..5\n  --> ")),
            "{problem}"
        );
        assert!(problem.contains("data.rs"), "{problem}");
        assert_eq!((done, small.bits()), (0, before), "index {bad}");
    }
    good(&mut small, [3.0, 11.25, 7.5, 5.75]);
}

/// What a graph says of one wrong index among good ones.
fn says(graph: &Graph, inputs: &[Array]) -> Option<String> {
    let mut program = common::device()?.compile(graph, Options::default()).expect("a program");
    let inputs: Vec<&Array> = inputs.iter().collect();
    match run(&mut program, &inputs, &mut Store::new()) {
        Err(Failure::Operation(problem)) => Some(problem),
        other => panic!("{other:?}"),
    }
}

fn floats(shape: &[usize]) -> Array {
    Array::zeros(DType::F32, shape.to_vec())
}

/// Indices of zeros but for one.
fn indices(count: usize, at: usize, bad: i32) -> Array {
    Array::of([count], (0..count).map(|i| if i == at { bad } else { 0 }).collect::<Vec<i32>>())
        .expect("so many")
}

#[test]
fn of_several_that_pick_in_one_kernel_the_right_one_is_named() {
    const ROWS: usize = 300;
    let tape = Tape::new(Mode::Infer);
    let places = [0, 1].map(|_| tape.input_of(TensorType::new(DType::I32, [ROWS])));
    let [rows, table] = [tape.input::<f32>([700, 16]), tape.input::<f32>([5, 16])];
    let (first, x) = (line!(), rows.node().gather(places[0], 0));
    let (second, z) = (line!(), table.node().gather(places[1], 0));
    let mut z = var(x + z);
    for _ in 0..2 {
        z = z.dot(tape.input::<f32>([16, 16])).tanh();
    }
    tape.output("z", z.node());
    let graph = tape.finish().expect("a sound graph").0;
    let plan = exec::planned(&graph, Options::default()).expect("a plan");
    let StepKind::Region(region) = &plan.steps[0].kind else { panic!("{:?}", plan.steps[0].kind) };
    let picks = region.steps.iter().filter(|step| matches!(step.kind, StepKind::Gather { .. })).count();
    assert_eq!(picks, 2, "one kernel picks twice");
    for (bad, line) in [([700, 4], first), ([699, 5], second)] {
        let [rows, table] = [indices(ROWS, 138, bad[0]), indices(ROWS, 138, bad[1])];
        let weights = || floats(&[16, 16]);
        let inputs = [rows, table, floats(&[700, 16]), floats(&[5, 16]), weights(), weights()];
        let Some(problem) = says(&graph, &inputs) else { return };
        let of = if line == first { "index 700" } else { "index 5" };
        let expected = format!("gather: {of} at position 138 is outside of 0..");
        assert!(problem.starts_with(&expected) && problem.contains(&format!("data.rs:{line}:")), "{problem}");
    }
}

#[test]
fn an_index_in_a_loop_is_named_by_what_picks_there() {
    let tape = Tape::new(Mode::Infer);
    let places = tape.input_of(TensorType::new(DType::I32, [3, 4]));
    let [table, start] = [tape.input::<f32>([5]), tape.input::<f32>([4])].map(|x| x.node());
    let mut line = 0;
    let (last, _) = tape.scan(&[start], &[places], |c, e| {
        line = line!() + 1;
        let picked = table.gather(e[0], 0);
        // A body of more operations than what is around it.
        let next = (0..40).fold(c[0] + picked, |z, _| var(z).sin().node() * c[0]);
        (vec![next], vec![])
    });
    tape.output("last", last[0]);
    let graph = tape.finish().expect("a sound graph").0;
    let places = indices(12, 6, 7).reshaped([3, 4]).expect("as many");
    let Some(problem) = says(&graph, &[places, floats(&[5]), floats(&[4])]) else { return };
    assert!(problem.starts_with("gather: index 7 at position 2 is outside of 0..5"), "{problem}");
    assert!(problem.contains(&format!("data.rs:{line}:")), "{problem}");
}

#[test]
fn inputs_of_other_types_are_refused_on_the_host() {
    let Some(cuda) = common::device() else { return };
    let mut small = Small::sum();
    let (mut program, before) = (small.compile(cuda).expect("a program"), small.bits());
    let long = Array::of([5], vec![1.0f32; 5]).expect("five numbers");
    let whole = Array::of([4], vec![1i32; 4]).expect("four numbers");
    for inputs in [&[][..], &[&long], &[&whole]] {
        let result = run(&mut program, inputs, &mut small.store);
        assert!(matches!(result, Err(Failure::Input { index: 0, .. })), "{result:?}");
    }
    assert_eq!(small.bits(), before);
}

#[test]
fn a_launch_with_other_arguments_is_refused_on_the_host() {
    if common::device().is_none() {
        return;
    }
    let context = Context::open(0).expect("a context");
    let text =
        format!("{}extern \"C\" __global__ void two(float* x, float* y) {{ y[0] = x[0]; }}\n", text::PRELUDE);
    let code = compiler::compile(&context, &text, false, false).expect("machine code");
    let module = Module::load(&context, &code).expect("a module");
    let refused = |result: Result<(), CudaError>, why: &str| match result {
        Err(CudaError::Launch { kernel, problem }) => {
            assert!(kernel == "two" && problem.contains(why), "{kernel}: {problem}");
        }
        other => panic!("{other:?}"),
    };
    // The driver tells how many parameters there are from 12.4 on.
    if context.description().driver >= 12_040 {
        refused(module.function("two", 3, 0).map(drop), "3 words");
    }
    let two = module.function("two", 2, 0).expect("a kernel");
    let shape = Shape { grid: [1, 1, 1], block: 32, shared: 0 };
    let launch = |shape, words: usize| two.launch(&context, "two", shape, &mut vec![0; words]);
    for words in [0, 1, 3] {
        refused(launch(shape, words), &format!("{words} arguments for 2 parameters"));
    }
    for (grid, block) in [([0, 1, 1], 32), ([1, 65_536, 1], 32), ([1, 1, 1], 0), ([1, 1, 1], 1025)] {
        refused(launch(Shape { grid, block, shared: 0 }, 2), "are not possible");
    }
    assert!(module.function("three", 2, 0).is_err());
    context.synchronize().expect("nothing was launched");
}
