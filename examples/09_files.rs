//! More data than memory holds: rows stay in their files and are read while steps run.
//!
//! `cargo run --example 09_files`

use ironlearn::io::npy;
use ironlearn::prelude::*;

const ROWS: usize = 100_000;
const COLUMNS: usize = 20;

fn main() -> Result<(), Error> {
    // Two files as `numpy.save` writes them: the class of a row is where its largest of three sums lies.
    let folder = std::env::temp_dir().join(format!("ironlearn-09-{}", std::process::id()));
    std::fs::create_dir_all(&folder).map_err(Error::io(&folder, "create"))?;
    let (inputs, targets) = (folder.join("inputs.npy"), folder.join("targets.npy"));
    let x = Tensor::<f32>::uniform([ROWS, COLUMNS], -1.0, 1.0, 1)?;
    let sums = x.matmul(&Tensor::normal([COLUMNS, 3], 0.0, 1.0, 2)?)?;
    npy::write(&inputs, x.into_array().view())?;
    npy::write(&targets, sums.argmax(1)?.into_array().view())?;

    // 8 MB, of which 1 MiB is in memory at a time. `Dataset::open` takes 64 MiB.
    let data = Dataset::open_within(&inputs, &targets, 1 << 20)?;
    let Some((data, validation)) = data.split(0.1, 3)? else {
        return Err(Error::usage("too few rows to split", "give more rows"));
    };
    let network = Network::<f32>::builder([COLUMNS]).linear(32).relu().linear(3).build(4)?;
    let training = Training::new(Loss::CrossEntropy(CrossEntropy::default()), Adam::new(0.005))
        .batch(200)
        .epochs(2)
        .metrics([Metric::Accuracy { threshold: 0.0 }]);
    let mut trainer = training.build(&network, &data, Some(&validation))?;
    let outcome = trainer.run(&mut Silent, &mut |_which, _store| Ok(()))?;
    let rows = (data.rows(), validation.rows());
    println!("{} steps on {} rows; on {} others: {:?}", outcome.step, rows.0, rows.1, outcome.evaluated);
    assert!(outcome.evaluated.metrics.iter().all(|(_, accuracy)| *accuracy > 0.95));
    std::fs::remove_dir_all(&folder).map_err(Error::io(&folder, "remove"))
}
