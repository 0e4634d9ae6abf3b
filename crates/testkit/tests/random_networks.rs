//! Random networks of the sizes that people have on the CPU, against the interpreter; two runs, the same bits.
#![allow(clippy::unwrap_used)]

use ironlearn_cpu::Cpu;
use ironlearn_ir::plan::{Options, Regions};
use ironlearn_testkit::random_network::{RandomNetwork, all_agree};
use ironlearn_testkit::tier;

/// A network as it is, and with its layers one by one, by one thread and by three.
fn check(network: &RandomNetwork, cpus: &[Cpu]) -> Result<(), String> {
    for cpu in cpus {
        for regions in [Regions::Cached, Regions::None] {
            let options = Options { regions, ..Options::default() };
            let program = cpu.compile(&network.graph, options).map_err(|e| e.to_string());
            let agrees = program.and_then(|mut program| network.agrees(&mut program, 1e-4));
            agrees.map_err(|e| format!("regions {regions:?}: {e}"))?;
        }
    }
    Ok(())
}

#[test]
fn random_networks_agree_with_the_interpreter() {
    let cpus = [1, 3].map(|threads| Cpu::new(threads).unwrap());
    all_agree("random networks on the CPU", tier::trials(10, 300), |network| check(network, &cpus));
}
