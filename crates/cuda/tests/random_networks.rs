//! Random networks of the sizes that people have on the GPU, against the interpreter; two runs, the same bits.

mod common;

use ironlearn_cuda::{Cuda, Options};
use ironlearn_testkit::random_network::{RandomNetwork, Size};
use ironlearn_testkit::tier;

/// A network as it is, and with its layers one by one.
fn check(network: &RandomNetwork, cuda: &Cuda) -> Result<(), String> {
    for regions in [true, false] {
        let options = Options { regions, ..Options::default() };
        let program = cuda.compile(&network.graph, options).map_err(|e| e.to_string());
        let agrees = program.and_then(|mut program| network.agrees(&mut program, 1e-4));
        agrees.map_err(|e| format!("regions {regions}: {e}"))?;
    }
    Ok(())
}

#[test]
fn random_networks_agree_with_the_interpreter() {
    let Some(cuda) = common::device() else { return };
    let (each, mut failures) = (tier::trials(3, 100) as u64, Vec::new());
    let start = (tier::seed() - 1) * each;
    for size in Size::ALL {
        for seed in start..start + each {
            let network = RandomNetwork::new(seed, size, seed % 3 != 2);
            if let Err(error) = check(&network, cuda) {
                let failure = format!("{size:?}, seed {seed}: {error}\n{}", network.text);
                eprintln!("{failure}");
                failures.push(failure);
            }
        }
    }
    let count = each * Size::ALL.len() as u64;
    assert!(failures.is_empty(), "{} of {count} networks:\n{}", failures.len(), failures.join("\n"));
    tier::report("random networks on CUDA", format!("{count} of {count} agree, two runs the same bits"));
}
