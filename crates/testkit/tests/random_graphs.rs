//! The generator of random graphs, and executors compared on its graphs.
//!
//! `IRONLEARN_GRAPHS=10000` sets how many graphs are compared, a few hundred by default, and
//! `IRONLEARN_SEED=357` with which seed to begin.
#![allow(clippy::unwrap_used)]

use ironlearn_cpu::Cpu;
use ironlearn_ir::plan::Options;
use ironlearn_ir::prim::{Op, elementwise};
use ironlearn_ir::{Graph, Interpreted, Store};
use ironlearn_testkit::compare::{agrees, same_bits};
use ironlearn_testkit::random_graph::{RandomGraph, Settings, random_graph, smallest};
use std::collections::BTreeMap;

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|n| n.parse().ok()).unwrap_or(default)
}

/// How many graphs to compare.
fn graphs() -> u64 {
    number("IRONLEARN_GRAPHS", 300)
}

/// Their seeds.
fn seeds() -> std::ops::Range<u64> {
    let first = number("IRONLEARN_SEED", 0);
    first..first + graphs()
}

#[test]
fn the_interpreter_agrees_with_itself() {
    for seed in 0..graphs().min(50) {
        let graph = random_graph(seed, &Settings::default());
        let program = |_: &Store| Interpreted::new(graph.graph.clone());
        agrees(&graph, &mut program(&graph.store)).unwrap();
        same_bits(&graph, &mut program(&graph.store), &mut program(&graph.store)).unwrap();
    }
}

/// Every operation must stand in at least 5 of 100 graphs, so that 10,000 graphs hold each 500 times.
#[test]
fn graphs_are_large_and_hold_every_operation() {
    let mut uses: BTreeMap<&str, u64> = BTreeMap::new();
    let (n, mut repeated) = (graphs(), 0);
    for seed in 0..n {
        let graph = random_graph(seed, &Settings::default());
        assert!(graph.size() >= 20, "{}: {} nodes", graph.name, graph.size());
        assert!(graph.graph.updates.len() == graph.store.len());
        repeated += graph.name.rsplit('.').next().unwrap().parse::<u64>().unwrap();
        for name in graph.operations() {
            *uses.entry(name).or_default() += 1;
        }
    }
    eprintln!("{n} graphs, {repeated} drawn again, uses {uses:?}");
    for map in elementwise::ALL {
        uses.entry(map.0.name()).or_default();
    }
    for name in [
        "conv",
        "pool_max",
        "pool_sum",
        "scan",
        "gather",
        "scatter_add",
        "dot",
        "argmax",
        "random_bits",
        "custom_grad",
    ] {
        uses.entry(name).or_default();
    }
    let rare: Vec<_> = uses.iter().filter(|(_, uses)| **uses * 20 < n).collect();
    assert!(rare.is_empty(), "too rare in {n} graphs: {rare:?}");
}

/// Compiled = interpreted within the bounds; fused = unfused and one thread = two = seven bit for bit.
#[test]
fn compiled_programs_agree_with_the_interpreter() {
    let cpus = [1, 2, 7].map(|threads| Cpu::new(threads).unwrap());
    let settings = Settings::default();
    let mut failures = Vec::new();
    for seed in seeds() {
        if check(&random_graph(seed, &settings), &cpus).is_err() {
            let small = smallest(seed, &settings, |graph| check(graph, &cpus).is_err());
            let found = small.map(|graph| check(&graph, &cpus).err().unwrap_or_default());
            failures.push(format!("seed {seed}: {}", found.unwrap_or_default()));
        }
    }
    let short = |e: &String| e.chars().take(600).collect::<String>();
    let list: Vec<String> = failures.iter().take(20).map(short).collect();
    assert!(failures.is_empty(), "{} of {} graphs:\n{}", failures.len(), graphs(), list.join("\n"));
}

fn check(graph: &RandomGraph, cpus: &[Cpu]) -> Result<(), String> {
    let compile = |cpu: &Cpu, fuse| {
        cpu.compile(&graph.graph, Options { fuse }).map_err(|e| format!("{}: {e}", graph.name))
    };
    let mut one = compile(&cpus[0], true)?;
    agrees(graph, &mut one)?;
    let others =
        [("unfused", &cpus[0], false), ("two threads", &cpus[1], true), ("seven threads", &cpus[2], true)];
    for (what, cpu, fuse) in others {
        same_bits(graph, &mut one, &mut compile(cpu, fuse)?).map_err(|e| format!("{what}: {e}"))?;
    }
    Ok(())
}

/// The bounds must not be so wide that mistakes pass: one operation replaced by a similar one is noticed.
#[test]
fn a_wrong_operation_is_noticed() {
    use elementwise::{Div, MapRef, Minimum, Sub, Tanh};
    let (mut planted, mut noticed) = (0, 0);
    for seed in 0..60 {
        let graph = random_graph(seed, &Settings::default());
        let swap = |m: &MapRef| match m.0.name() {
            "add" => Some(MapRef::of::<Sub>()),
            "mul" => Some(MapRef::of::<Div>()),
            "sin" => Some(MapRef::of::<Tanh>()),
            "maximum" => Some(MapRef::of::<Minimum>()),
            _ => None,
        };
        let mut wrong: Graph = graph.graph.clone();
        let live = wrong.live();
        let found = wrong.nodes.iter_mut().zip(live).filter(|(_, live)| *live).find_map(|(node, _)| {
            let Op::Map(m) = &mut node.op else { return None };
            if node.ty.shape.elements() < 4 {
                return None;
            }
            swap(m).map(|other| *m = other)
        });
        if found.is_some() {
            planted += 1;
            noticed += u32::from(agrees(&graph, &mut Interpreted::new(wrong)).is_err());
        }
    }
    assert!(planted >= 30 && noticed * 10 >= planted * 9, "{noticed} of {planted} noticed");
}
