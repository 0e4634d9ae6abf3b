//! How cost grows: a step of so many rows, epochs over so many rows, the planning of so many parameters.

use crate::args::Args;
use crate::work::{Unit, Work, options};
use ironlearn::io::npy;
use ironlearn::prelude::*;
use ironlearn::train::{Control, EpochReport, Watch};

/// The number that the case is.
fn size(args: &Args) -> Result<usize, Error> {
    let wrong = |e| Error::usage(format!("--case {}: {e}", args.case), "give a number");
    args.case.parse().map_err(wrong)
}

/// image-net's network and optimizer on any number of rows in one step.
pub fn rows(args: &Args) -> Result<Work, Error> {
    let n = size(args)?;
    let network = Network::<f32>::builder([2]).linear(256).tanh().linear(256).tanh().linear(128).tanh();
    let network = network.linear(1).sigmoid().build(1)?;
    let (x, y) =
        (Tensor::<f32>::uniform([n, 2], -1.0, 1.0, 1)?, Tensor::<f32>::uniform([n, 1], 0.0, 1.0, 2)?);
    let signature = (f32s([n, 2]), f32s([n, 1]));
    let scope = network.scope().clone();
    let mut step = Step::build(&options(args)?, &scope, Adam::new(1e-3), signature, |_, (x, y)| {
        mse(network.forward(x), y).into()
    })?;
    Ok(Work::new(Unit::Time("ns/row", 1.0 / n as f64, 1e-9), &scope, move |steps| {
        Ok(step.run_many(steps, &(&x, &y))?.loss())
    }))
}

/// Epochs of a trainer over any number of rows, in batches of 1,000, with an evaluation after each; the rows are held
/// in memory, or stay in files.
pub fn epochs(args: &Args, in_files: bool) -> Result<Work, Error> {
    let n = size(args)?;
    let (x, y) =
        (Tensor::<f32>::uniform([n, 16], -1.0, 1.0, 1)?, Tensor::<f32>::uniform([n, 1], 0.0, 1.0, 2)?);
    let data = if in_files {
        let folder = args.data.join("rows");
        std::fs::create_dir_all(&folder).map_err(Error::io(&folder, "create"))?;
        let paths = ["x", "y"].map(|name| folder.join(format!("{name}-{n}.npy")));
        npy::write(&paths[0], x.into_array().view())?;
        npy::write(&paths[1], y.into_array().view())?;
        Dataset::open(&paths[0], &paths[1])?
    } else {
        Dataset::new(x.into_array(), y.into_array())?
    };
    // Lives as long as the program.
    let data: &'static Dataset = Box::leak(Box::new(data));
    let network = Network::<f32>::builder([16]).linear(64).relu().linear(64).relu().linear(1).build(1)?;
    let training = Training::new(Loss::Mse, Adam::new(1e-3)).batch(1000).epochs(u64::MAX / n as u64);
    let mut trainer = training.options(options(args)?).build(&network, data, None)?;
    Ok(Work::new(Unit::Time("ns/row", 1.0 / n as f64, 1e-9), network.scope(), move |epochs| {
        Ok(trainer.run(&mut Epochs(epochs), &mut |_, _| Ok(()))?.loss)
    }))
}

/// Stops a run after so many epochs.
struct Epochs(usize);

impl Watch for Epochs {
    fn after_epoch(&mut self, _: &EpochReport) -> Control {
        self.0 -= 1;
        if self.0 == 0 { Control::Stop } else { Control::Continue }
    }
}

/// Traces, differentiates, plans and compiles a training step with so many million parameters.
pub fn planning(args: &Args) -> Result<Work, Error> {
    let layers = size(args)?.div_ceil(4);
    let scope = Scope::root(1);
    // 2,048² is 4 million.
    let linears: Vec<_> =
        (0..layers).map(|i| Linear::<f32>::new(&scope.at(format!("l{i}")), 2048, 2048)).collect();
    let options = options(args)?;
    let owner = scope.clone();
    Ok(Work::new(Unit::Time("s/plan", 1.0, 1.0), &owner, move |times| {
        for _ in 0..times {
            Step::build(
                &options,
                &scope,
                Adam::new(1e-3),
                (f32s([64, 2048]), f32s([64, 2048])),
                |_, (x, y)| mse(linears.iter().fold(x, |z, layer| layer.apply(z).relu()), y).into(),
            )?;
        }
        Ok(0.0)
    }))
}
