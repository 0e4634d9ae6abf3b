//! Random networks of the sizes that people have on the CPU, against the interpreter; two runs, the same bits.
#![allow(clippy::unwrap_used)]

use ironlearn_cpu::Cpu;
use ironlearn_ir::plan::{Options, Regions};
use ironlearn_testkit::random_network::{RandomNetwork, Size};
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
    let (each, mut failures) = (tier::trials(10, 300) as u64, Vec::new());
    let start = (tier::seed() - 1) * each;
    for size in Size::ALL {
        for seed in start..start + each {
            let network = RandomNetwork::new(seed, size, seed % 3 != 2);
            if let Err(error) = check(&network, &cpus) {
                let failure = format!("{size:?}, seed {seed}: {error}\n{}", network.text);
                eprintln!("{failure}");
                failures.push(failure);
            }
        }
    }
    let count = each * Size::ALL.len() as u64;
    assert!(failures.is_empty(), "{} of {count} networks:\n{}", failures.len(), failures.join("\n"));
    tier::report("random networks on the CPU", format!("{count} of {count} agree, two runs the same bits"));
}
