//! Every kernel that random training steps need, compiled to machine code for every architecture: without errors, and
//! without registers that do not fit. Needs NVRTC, but no GPU.

use ironlearn_cuda::compiler;
use ironlearn_cuda::exec::texts;
use ironlearn_cuda::text::Target;
use ironlearn_ir::plan::{Options, plan};
use ironlearn_ir::{DType, Graph, Mode, Tape, passes};
use ironlearn_testkit::random_graph::{Settings, random_graph};
use ironlearn_testkit::tier;

/// Ampere, Ada, Hopper, Blackwell.
const ARCHITECTURES: [&str; 6] = ["80", "86", "89", "90a", "100", "120"];
const TARGET: Target = Target { multiprocessors: 132, tf32: false, hopper: false };

/// Compiles a text for an architecture; gives the most registers of a kernel.
fn compile(text: &str, architecture: &str, what: &str) -> u32 {
    let mut options: Vec<String> =
        ["--std=c++17", "-default-device", "--ftz=true", "--ptxas-options=-v"].map(String::from).into();
    options.push(format!("--gpu-architecture=sm_{architecture}"));
    let (code, log) = match compiler::make(text, &options) {
        Ok(made) => made,
        Err(error) => panic!("{what} for sm_{architecture}: {error}\n{text}"),
    };
    assert_eq!(&code[..4], b"\x7fELF", "{what}");
    let number = |line: &str, before: &str| -> u32 {
        let words = line.split(before).next().unwrap_or_default().split_whitespace().next_back();
        words.and_then(|n| n.parse().ok()).unwrap_or(0)
    };
    let mut function = "";
    for line in log.lines() {
        function = line.split_once("Function properties for ").map_or(function, |f| f.1);
        if !line.contains("spill") {
            continue;
        }
        let what = format!("{what}, {function}");
        assert_eq!(
            (number(line, "bytes spill stores"), number(line, "bytes spill loads")),
            (0, 0),
            "{what} for sm_{architecture}: {line}"
        );
    }
    log.lines().filter(|l| l.contains("registers")).map(|l| number(l, "registers")).max().unwrap_or(0)
}

#[test]
fn kernels_of_random_steps_compile_without_spills() {
    if !compiler::is_present() {
        tier::skipped(
            "kernels as machine code",
            "no NVRTC, which the Python package nvidia-cuda-nvrtc holds",
        );
        return;
    }
    let graphs = tier::trials(4, 40) as u64;
    for seed in 0..graphs {
        let graph = random_graph(seed, &Settings::default());
        for fuse in [true, false] {
            let made = plan(
                &graph.graph,
                Options { fuse, regions: false, updates_last: true, epilogues: true, ..Options::default() },
            )
            .expect("a plan");
            let text = texts(made, TARGET).expect("kernels");
            let architectures = if seed == 0 { &ARCHITECTURES[..] } else { &ARCHITECTURES[3..4] };
            for architecture in architectures {
                let registers = compile(&text, architecture, &graph.name);
                assert!(registers > 0 && registers <= 128, "{} registers", registers);
            }
        }
    }
}

/// A network of two layers with its gradients, of one precision; wide enough for tensor cores.
fn layers(rows: usize, widths: [usize; 3], precision: Option<DType>) -> Graph {
    let tape = Tape::new(Mode::Train);
    let x = tape.input::<f32>([rows, widths[0]]);
    let weights = [tape.input::<f32>([widths[0], widths[1]]), tape.input::<f32>([widths[1], widths[2]])];
    let loss = x.dot(weights[0]).tanh().dot(weights[1]).tanh().square().mean_all();
    tape.output("loss", loss.node());
    for (name, gradient) in ["first", "second"].iter().zip(loss.grad(&weights)) {
        tape.output(name, gradient.node());
    }
    let graph = tape.finish().expect("a sound graph").0;
    precision.map_or(graph.clone(), |narrow| passes::narrow_products(&graph, narrow))
}

#[test]
fn products_of_every_precision_compile_without_spills() {
    if !compiler::is_present() {
        return;
    }
    let mut most = 0;
    for (rows, widths) in
        [(40_000, [2, 256, 256]), (40_000, [256, 128, 1]), (32, [784, 128, 10]), (1001, [33, 65, 129])]
    {
        for (precision, tf32) in [(None, false), (None, true), (Some(DType::Bf16), false)] {
            let options =
                Options { regions: false, updates_last: true, epilogues: true, ..Options::default() };
            let made = plan(&layers(rows, widths, precision), options).expect("a plan");
            for architecture in ARCHITECTURES {
                let target = Target { tf32, hopper: architecture == "90a", ..TARGET };
                let text = texts(made.clone(), target).expect("kernels");
                let what = format!("{rows} rows, widths {widths:?}, {precision:?}, tf32 {tf32}");
                most = most.max(compile(&text, architecture, &what));
            }
        }
    }
    assert!(most > 100, "the check sees registers: {most}");
}
