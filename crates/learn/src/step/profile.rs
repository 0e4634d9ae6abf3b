//! [`Profile`]: where the time of a step goes.

use ironlearn_ir::Program;
use ironlearn_ir::profile::StepProfile;

/// What every step of the plans of a [`Step`](crate::Step) or an [`Infer`](crate::Infer) built with
/// [`Options::profile`](crate::Options::profile) has cost so far.
///
/// ```
/// use ironlearn::prelude::*;
///
/// let network = Network::<f32>::builder([3]).linear(2).build(0)?;
/// let options = Options::default().profile(true);
/// let mut step = Step::build(&options, network.scope(), Sgd::new(0.1), (f32s([4, 3]), f32s([4, 2])),
///     |_tape, (x, y)| mse(network.forward(x), y).into())?;
/// step.run_many(5, &(&Array::zeros(DType::F32, [4, 3]), &Array::zeros(DType::F32, [4, 2])))?;
/// let profile = step.profile();
/// let products = profile.steps.iter().filter(|s| s.operations == ["dot"]);
/// assert!(products.clone().count() > 0 && products.clone().all(|s| s.calls == 5 && s.flops == 48));
/// assert!(profile.arena_bytes > 0 && profile.seconds() > 0.0);
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Profile {
    /// The steps in the order of the plans, one plan for each signature.
    pub steps: Vec<StepProfile>,
    /// Bytes of the arenas that hold the values in between.
    pub arena_bytes: usize,
}

impl Profile {
    pub(crate) fn of<'a>(programs: impl Iterator<Item = &'a dyn Program>) -> Profile {
        let mut profile = Profile::default();
        for program in programs {
            profile.steps.extend(program.step_profiles());
            profile.arena_bytes += program.arena_bytes();
        }
        profile
    }

    /// Time spent in all steps.
    pub fn seconds(&self) -> f64 {
        self.steps.iter().map(|s| s.seconds).sum()
    }
}
