//! Random training steps on the GPU, against the interpreter: all operations, element types, gradients, state.

mod common;

use ironlearn_cuda::{Cuda, Options};
use ironlearn_testkit::compare::{agrees, same_bits};
use ironlearn_testkit::random_graph::{RandomGraph, Settings, random_graph, smallest};
use ironlearn_testkit::tier;

fn check(graph: &RandomGraph, cuda: &Cuda) -> Result<(), String> {
    // Fused products of little work by their own kernel, and by tiles, which larger ones have.
    for (fuse, thin) in [(true, true), (true, false), (false, true)] {
        let compile = || {
            let options = Options { fuse, thin, ..Options::default() };
            cuda.compile(&graph.graph, options).map_err(|e| format!("{}: {e}", graph.name))
        };
        let mut program = compile()?;
        agrees(graph, &mut program).map_err(|e| format!("fuse {fuse}, thin {thin}: {e}"))?;
        same_bits(graph, &mut program, &mut compile()?)
            .map_err(|e| format!("fuse {fuse}, thin {thin}, twice: {e}"))?;
    }
    Ok(())
}

/// How many graphs: `IRONLEARN_GRAPHS`, where each is slow, as under compute-sanitizer; else what the tier says.
fn count() -> u64 {
    let asked = std::env::var("IRONLEARN_GRAPHS").ok();
    asked.map_or_else(|| tier::trials(12, 1000) as u64, |n| n.parse().expect("IRONLEARN_GRAPHS is a number"))
}

#[test]
fn random_graphs_agree_with_the_interpreter() {
    let Some(cuda) = common::device() else { return };
    let (count, mut failures) = (count(), Vec::new());
    let start = (tier::seed() - 1) * count;
    for seed in start..start + count {
        let settings = Settings::default();
        if let Err(error) = check(&random_graph(seed, &settings), cuda) {
            eprintln!("seed {seed}: {}", error.chars().take(600).collect::<String>());
            failures.push(format!("seed {seed}: {error}"));
        }
    }
    let short = |e: &String| e.chars().take(600).collect::<String>();
    let list: Vec<String> = failures.iter().take(20).map(short).collect();
    assert!(failures.is_empty(), "{} of {count} graphs:\n{}", failures.len(), list.join("\n"));
    tier::report("random graphs on CUDA", format!("{count} of {count} agree, two runs the same bits"));
}

/// The graph of this seed with the fewest operations that fails, for whoever looks for a mistake.
#[test]
#[ignore = "a tool: IRONLEARN_SEED names the graph"]
fn smallest_that_fails() {
    let Some(cuda) = common::device() else { return };
    let found = smallest(tier::seed(), &Settings::default(), |graph| check(graph, cuda).is_err());
    if let Some(graph) = found {
        println!("{}\n{}", graph.graph, check(&graph, cuda).err().unwrap_or_default());
    }
}
