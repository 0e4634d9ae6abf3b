//! Every kernel that random training steps and the jobs of the project need, compiled to machine code for every
//! architecture: without errors, and without registers that do not fit. Needs NVRTC, but no GPU.
#![allow(clippy::unwrap_used, reason = "a test that fails here says where")]

#[path = "common/jobs.rs"]
mod jobs;

use ironlearn::task::{Request, train};
use ironlearn::train::{Start, Watch};
use ironlearn::{Error, Options as StepOptions};
use ironlearn_cuda::exec::{kernels, planned};
use ironlearn_cuda::text::{Kernel, Target, program};
use ironlearn_cuda::{Options, compiler};
use ironlearn_ir::{DType, Graph, Mode, Tape};
use ironlearn_testkit::random_graph::{Settings, random_graph};
use ironlearn_testkit::tier;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

/// Ampere, Ada, Hopper, Blackwell.
const ARCHITECTURES: [&str; 6] = ["80", "86", "89", "90a", "100", "120"];
const TARGET: Target = Target { multiprocessors: 132, tf32: false, thin: true, hopper: false };

/// How the kernels of a plan are made.
#[derive(Clone, Copy, PartialEq)]
struct Precision {
    tf32: bool,
    narrow: Option<DType>,
}

const FULL: Precision = Precision { tf32: false, narrow: None };
const PRECISIONS: [Precision; 3] =
    [FULL, Precision { tf32: true, narrow: None }, Precision { tf32: false, narrow: Some(DType::Bf16) }];

impl Precision {
    /// The kernels of a graph for an architecture.
    fn kernels(self, graph: &Graph, fuse: bool, architecture: &str) -> Vec<Kernel> {
        let options = Options { tf32: self.tf32, narrow: self.narrow, fuse, ..Options::default() };
        let target = Target { tf32: self.tf32, hopper: architecture == "90a", ..TARGET };
        kernels(planned(graph, options).expect("a plan"), target).expect("kernels")
    }
}

/// What the text of rounded products, and of the checked build, is compiled with.
const FAST: &str = "-DIL_FAST";
const CHECK: &str = "-DIL_CHECK";

/// Compiles kernels for an architecture; gives the most registers of one.
fn compile(kernels: &[String], architecture: &str, more: Option<&str>, what: &str) -> u32 {
    let text = &program(kernels);
    let mut options: Vec<String> =
        ["--std=c++17", "-default-device", "--ftz=true", "--ptxas-options=-v"].map(String::from).into();
    options.push(format!("--gpu-architecture=sm_{architecture}"));
    options.extend(more.map(String::from));
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
    let mut spills = Vec::new();
    for line in log.lines() {
        function = line.split_once("Function properties for ").map_or(function, |f| f.1);
        let bytes = ["bytes spill stores", "bytes spill loads"].map(|what| number(line, what));
        if line.contains("spill") && bytes != [0, 0] {
            spills.push(format!("{function}: {line}"));
        }
    }
    assert!(spills.is_empty(), "{what} for sm_{architecture}:\n{}", spills.join("\n"));
    log.lines().filter(|l| l.contains("registers")).map(|l| number(l, "registers")).max().unwrap_or(0)
}

fn texts(kernels: &[Kernel]) -> Vec<String> {
    kernels.iter().map(Kernel::text).collect()
}

/// False, and a line that says so, where there is no compiler.
fn has_compiler() -> bool {
    let present = compiler::is_present();
    if !present {
        tier::skipped(
            "kernels as machine code",
            "no NVRTC, which the Python package nvidia-cuda-nvrtc holds",
        );
    }
    present
}

#[test]
fn kernels_of_random_steps_compile_without_spills() {
    if !has_compiler() {
        return;
    }
    let graphs = tier::trials(4, 40) as u64;
    for seed in 0..graphs {
        let graph = random_graph(seed, &Settings::default());
        for fuse in [true, false] {
            let architectures = if seed == 0 { &ARCHITECTURES[..] } else { &ARCHITECTURES[3..4] };
            for architecture in architectures {
                let kernels = FULL.kernels(&graph.graph, fuse, architecture);
                let registers = compile(&texts(&kernels), architecture, None, &graph.name);
                assert!(registers > 0 && registers <= 128, "{registers} registers");
            }
        }
    }
}

/// A network of two layers with its gradients; wide enough for tensor cores.
fn layers(rows: usize, widths: [usize; 3]) -> Graph {
    let tape = Tape::new(Mode::Train);
    let x = tape.input::<f32>([rows, widths[0]]);
    let weights = [tape.input::<f32>([widths[0], widths[1]]), tape.input::<f32>([widths[1], widths[2]])];
    let loss = x.dot(weights[0]).tanh().dot(weights[1]).tanh().square().mean_all();
    tape.output("loss", loss.node());
    for (name, gradient) in ["first", "second"].iter().zip(loss.grad(&weights)) {
        tape.output(name, gradient.node());
    }
    tape.finish().expect("a sound graph").0
}

#[test]
fn products_of_every_precision_compile_without_spills() {
    if !compiler::is_present() {
        return;
    }
    let mut most = 0;
    // The last two are regions.
    let networks = [
        (40_000, [2, 256, 256]),
        (40_000, [256, 128, 1]),
        (32, [784, 128, 10]),
        (1001, [33, 65, 129]),
        (2500, [64, 128, 128]),
    ];
    for (i, (rows, widths)) in networks.into_iter().enumerate() {
        let graph = layers(rows, widths);
        for precision in PRECISIONS {
            let every = i == 0 || tier::trials(0, 1) == 1;
            for architecture in if every { &ARCHITECTURES[..] } else { &["80", "90a"] } {
                let kernels = precision.kernels(&graph, true, architecture);
                let what = format!(
                    "{rows} rows, widths {widths:?}, {:?}, tf32 {}",
                    precision.narrow, precision.tf32
                );
                most = most.max(compile(
                    &texts(&kernels),
                    architecture,
                    (precision != FULL).then_some(FAST),
                    &what,
                ));
            }
        }
    }
    assert!(most > 100, "the check sees registers: {most}");
}

#[test]
fn the_checked_build_compiles_too() {
    if !compiler::is_present() {
        return;
    }
    for (rows, widths) in [(40_000, [2, 256, 256]), (2500, [64, 128, 128])] {
        let kernels = FULL.kernels(&layers(rows, widths), true, "90a");
        compile(&texts(&kernels), "90a", Some(CHECK), "the checked build");
    }
    let random = random_graph(0, &Settings::default());
    compile(&texts(&FULL.kernels(&random.graph, true, "80")), "80", Some(CHECK), "the checked build");
}

/// Ends a run before its first step.
struct Built;

impl Watch for Built {
    fn begin(&mut self, _: &Start) -> Result<(), Error> {
        Err(Error::usage("all is built", "nothing is run"))
    }
}

/// Every graph that a job compiles: its training steps, its evaluation, its answers.
fn graphs(name: &str) -> Vec<Graph> {
    let scratch = tempfile::tempdir().unwrap();
    // As many rows as leave what the whole leaves of batches of 64 to train with, and of 1024 to be judged by.
    let size = jobs::Size { digits: [608, 1808], side: None };
    let Some(job) = jobs::job(name, &size, scratch.path(), &[]) else { return Vec::new() };
    let seen = Arc::new(Mutex::new(Vec::new()));
    let to = seen.clone();
    let options = StepOptions::default().edit(move |graph| {
        to.lock().unwrap().push(graph.clone());
        graph
    });
    let [last, best] = ["last", "best"].map(|name| scratch.path().join(name));
    let request =
        Request { job: &job, options, ranks: None, resume_from: None, directory: scratch.path(), last, best };
    let ended = train(&request, &mut Built).unwrap_err();
    assert!(ended.to_string().contains("all is built"), "{name}: {ended}");
    std::mem::take(&mut seen.lock().unwrap())
}

/// A kernel's text in which nothing is left of its place in a plan, so that two which compute the same are the same text;
/// `name` is that of the kernel whose types it uses.
fn without_place(kernel: &Kernel, name: &str) -> String {
    let op = name.trim_start_matches(|c: char| c == 'k' || c.is_ascii_digit());
    let number = &name[1..name.len() - op.len()];
    let mut text = kernel.text().replace(&format!("il_kernel = {number};"), "il_kernel = 0;");
    for argument in &kernel.arguments {
        text = text.replace(&format!("LL, {})", argument.number()), "LL, 0)");
    }
    let named = |word: &str| match kernel.arguments.iter().position(|a| a.name == word) {
        Some(i) => format!("argument{i}"),
        None => word.strip_prefix(name).map_or(word.to_owned(), |rest| format!("KERNEL{op}{rest}")),
    };
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words = text.split_inclusive(|c| !is_word(c)).map(|part| {
        let word = part.trim_end_matches(|c| !is_word(c));
        format!("{}{}", named(word), &part[word.len()..])
    });
    words.collect()
}

/// The kernels of a plan without their places; a product in parts and the sum of the parts are one text.
fn without_places(kernels: &[Kernel]) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    let mut before = "none";
    for kernel in kernels {
        if let (true, Some(last)) = (kernel.name.strip_suffix("_end") == Some(before), all.last_mut()) {
            last.push_str(&without_place(kernel, before));
        } else {
            all.push(without_place(kernel, &kernel.name));
        }
        before = &kernel.name;
    }
    all
}

#[test]
fn kernels_of_the_jobs_compile_without_spills() {
    if !compiler::is_present() {
        return;
    }
    let graphs: Vec<Graph> = jobs::JOBS.iter().flat_map(|job| graphs(job.0)).collect();
    // The oldest architecture and that of the card which figures are of, in full precision; or all of all.
    let (architectures, precisions) = match tier::trials(0, 1) {
        0 => (vec!["80", "90a"], &PRECISIONS[..1]),
        _ => (ARCHITECTURES.to_vec(), &PRECISIONS[..]),
    };
    let mut count = 0;
    for &architecture in &architectures {
        let mut seen = BTreeSet::new();
        for precision in precisions {
            let fast = *precision != FULL;
            let all = graphs.iter().flat_map(|g| without_places(&precision.kernels(g, true, architecture)));
            let new: BTreeSet<String> = all.filter(|text| !seen.contains(&(text.clone(), fast))).collect();
            let named = |(i, text): (usize, &String)| text.replace("KERNEL", &format!("job{i}"));
            let kernels: Vec<String> = new.iter().enumerate().map(named).collect();
            let what = format!("jobs, {:?}, tf32 {}", precision.narrow, precision.tf32);
            // About as many at a time as programs have: of more the compiler makes calls of what else is inlined.
            for some in kernels.chunks(25) {
                compile(some, architecture, fast.then_some(FAST), &what);
            }
            count += kernels.len();
            seen.extend(new.into_iter().map(|text| (text, fast)));
        }
    }
    let figure = format!("{count} for {} architectures, without spills", architectures.len());
    tier::report("kernels of the jobs as machine code", figure);
}

#[test]
fn a_small_training_step_is_few_kernels() {
    let Some(step) = graphs("mnist").into_iter().next() else { return };
    let kernels = FULL.kernels(&step, true, "90a");
    // Two layers, their gradients, cross-entropy and Adam: 31 steps of the plan.
    assert!(planned(&step, Options::default()).unwrap().steps.len() > 25);
    assert!(kernels.len() <= 8, "{:?}", names(&kernels));
}

#[test]
fn a_step_of_a_narrow_network_is_few_kernels() {
    let Some(step) = graphs("picture").into_iter().next() else { return };
    // All that is done to rows, their sums, the gradients of weights, what is updated by sums.
    let kernels = FULL.kernels(&step, true, "90a");
    assert!(kernels.len() <= 4, "{:?}", names(&kernels));
}

fn names(kernels: &[Kernel]) -> Vec<&str> {
    kernels.iter().map(|k| &k.name[..]).collect()
}
