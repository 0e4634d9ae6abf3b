//! Random training steps: compiled, fused and unfused, against the interpreter.
#![no_main]

use ironlearn_cpu::Cpu;
use ironlearn_ir::plan::Options;
use ironlearn_testkit::compare::{agrees, same_bits};
use ironlearn_testkit::random_graph::{Settings, random_graph};
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

static CPU: LazyLock<Cpu> = LazyLock::new(|| Cpu::new(1).expect("this machine's instructions"));

fuzz_target!(|bytes: &[u8]| {
    let Some((seed, rest)) = bytes.split_first_chunk::<8>() else { return };
    let operations = usize::from(rest.first().copied().unwrap_or(8) % 31);
    let graph = random_graph(u64::from_le_bytes(*seed), &Settings { operations, ..Settings::default() });
    let compile = |fuse| {
        CPU.compile(&graph.graph, Options { fuse, ..Options::default() })
            .expect("a graph that is drawn compiles")
    };
    let mut fused = compile(true);
    agrees(&graph, &mut fused).expect("within the bounds of the interpreter");
    same_bits(&graph, &mut fused, &mut compile(false)).expect("fused as unfused");
});
