//! The generator of random graphs, and executors compared on its graphs.
//!
//! `IRONLEARN_GRAPHS=10000` sets how many graphs are compared, a few hundred by default, and
//! `IRONLEARN_SEED=357` with which seed to begin.
#![allow(clippy::unwrap_used)]

use ironlearn_cpu::Cpu;
use ironlearn_ir::plan::Options;
use ironlearn_ir::prim::{Op, OpKind, elementwise};
use ironlearn_ir::{Graph, Interpreted, Phase, Store};
use ironlearn_testkit::compare::{agrees, same_bits};
use ironlearn_testkit::random_graph::{RandomGraph, Settings, random_graph, smallest};
use std::collections::{BTreeMap, BTreeSet};

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
        let program = |_: &Store| Interpreted::new(graph.graph.clone()).unwrap();
        agrees(&graph, &mut program(&graph.store)).unwrap();
        same_bits(&graph, &mut program(&graph.store), &mut program(&graph.store)).unwrap();
    }
}

/// What stands in the graphs that were compared.
#[derive(Default)]
struct Tally {
    graphs: u64,
    drawn_again: u64,
    /// Nodes of the smallest graph.
    smallest: Option<usize>,
    /// In how many graphs each operation stands; each kind of structure is counted under its own name too.
    uses: BTreeMap<String, u64>,
}

impl Tally {
    /// Every operation is counted, those that never come included.
    fn new() -> Tally {
        let maps = elementwise::ALL.iter().map(|map| map.0.name().to_string());
        // Ranks share a graph that is there already: no graph is drawn with these.
        let is_drawn = |kind: &&OpKind| !matches!(kind, OpKind::AllReduceStart | OpKind::AllReduceDone);
        let kinds = OpKind::ALL.iter().filter(is_drawn).map(|kind| format!("{kind:?}"));
        Tally { uses: maps.chain(kinds).map(|name| (name, 0)).collect(), ..Tally::default() }
    }

    fn count(&mut self, graph: &RandomGraph) {
        let live = graph.graph.live();
        let nodes = || graph.graph.nodes.iter().zip(&live).filter(|(_, live)| **live).map(|(node, _)| node);
        assert!(nodes().any(|node| node.site.phase == Phase::Backward), "{}: no gradient", graph.name);
        assert_eq!(graph.graph.updates.len(), graph.store.len(), "{}: state stays", graph.name);
        self.graphs += 1;
        self.drawn_again += graph.name.rsplit('.').next().unwrap().parse::<u64>().unwrap();
        self.smallest = self.smallest.into_iter().chain([graph.size()]).min();
        let names = nodes().flat_map(|n| [n.op.name().to_string(), format!("{:?}", n.op.kind())]);
        for name in names.collect::<BTreeSet<String>>() {
            *self.uses.entry(name).or_default() += 1;
        }
    }

    /// Each operation must stand in 5 of 100 graphs, so that 10,000 graphs hold each 500 times.
    fn check(&self) {
        let smallest = self.smallest.unwrap_or(0);
        let (rarest, least) = self.uses.iter().min_by_key(|(_, uses)| **uses).unwrap();
        eprintln!(
            "{} graphs, {} drawn again, the smallest of {smallest} nodes",
            self.graphs, self.drawn_again
        );
        eprintln!("the rarest operation, {rarest}, stands in {least} graphs; all: {:?}", self.uses);
        assert!(smallest >= 20, "a graph of {smallest} nodes");
        let rare: Vec<_> = self.uses.iter().filter(|(_, uses)| **uses * 20 < self.graphs).collect();
        assert!(self.graphs < 100 || rare.is_empty(), "too rare in {} graphs: {rare:?}", self.graphs);
    }
}

/// Compiled = interpreted within the bounds; fused = unfused and one thread = two = seven bit for bit.
#[test]
fn compiled_programs_agree_with_the_interpreter() {
    let cpus = [1, 2, 7].map(|threads| Cpu::new(threads).unwrap());
    let settings = Settings::default();
    let (mut failures, mut tally) = (Vec::new(), Tally::new());
    for seed in seeds() {
        let graph = random_graph(seed, &settings);
        tally.count(&graph);
        if check(&graph, &cpus).is_err() {
            let small = smallest(seed, &settings, |graph| check(graph, &cpus).is_err());
            let found = small.map(|graph| check(&graph, &cpus).err().unwrap_or_default());
            failures.push(format!("seed {seed}: {}", found.unwrap_or_default()));
        }
    }
    let short = |e: &String| e.chars().take(600).collect::<String>();
    let list: Vec<String> = failures.iter().take(20).map(short).collect();
    assert!(failures.is_empty(), "{} of {} graphs:\n{}", failures.len(), graphs(), list.join("\n"));
    tally.check();
}

fn check(graph: &RandomGraph, cpus: &[Cpu]) -> Result<(), String> {
    let compile = |cpu: &Cpu, fuse| {
        cpu.compile(&graph.graph, Options { fuse, ..Options::default() })
            .map_err(|e| format!("{}: {e}", graph.name))
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
            noticed += u32::from(agrees(&graph, &mut Interpreted::new(wrong).unwrap()).is_err());
        }
    }
    assert!(planted >= 30 && noticed * 10 >= planted * 9, "{noticed} of {planted} noticed");
}
