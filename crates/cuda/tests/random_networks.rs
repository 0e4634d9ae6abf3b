//! Random networks of the sizes that people have on the GPU, against the interpreter; two runs, the same bits.

mod common;

use ironlearn_cuda::{Cuda, Options};
use ironlearn_testkit::random_network::{RandomNetwork, all_agree};
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
    all_agree("random networks on CUDA", tier::trials(3, 100), |network| check(network, cuda));
}
