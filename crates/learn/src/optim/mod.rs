//! Optimizers: how parameters follow their gradients. Their arithmetic is traced into the step's graph, on
//! nodes whose element type is known at run time, so that it serves every type.

mod adam;
mod clip;
mod group;
pub(crate) mod lbfgs;
mod lion;
mod rms_prop;
mod sgd;
mod update;

pub use adam::{Adam, AdamW};
pub use group::Group;
pub use lbfgs::{End, Lbfgs, Minimum};
pub use lion::Lion;
pub use rms_prop::RmsProp;
pub use sgd::Sgd;
pub use update::Update;
pub(crate) use update::{NoSlot, find_or_add, find_or_make, find_or_zero};

use crate::schedule::Schedule;
use clip::Clip;
use ironlearn_ir::prim::Control;
use ironlearn_ir::{DType, Dyn, Role, SlotId, Store, Tape};
use std::rc::Rc;

/// The rule by which one parameter follows its gradient.
pub trait Rule {
    /// Learning rate before schedule and groups.
    fn rate(&self) -> f64;

    /// True where weight decay shrinks the parameter apart from the gradient, by `rate·decay` of it; else
    /// `decay·parameter` is added to the gradient.
    fn decouples_decay(&self) -> bool {
        false
    }

    /// The parameter's next value; moments are read and set through `update`.
    fn step<'g>(&self, update: &mut Update<'_, 'g>) -> Dyn<'g>;
}

/// A rule with all that is common to the rules: schedule, weight decay, clipping, groups, averaging.
#[derive(Clone)]
pub struct Optimizer {
    rule: Rc<dyn Rule>,
    schedule: Schedule,
    weight_decay: f64,
    clip: Clip,
    groups: Vec<Group>,
    average: Option<f64>,
}

impl<R: Rule + 'static> From<R> for Optimizer {
    fn from(rule: R) -> Optimizer {
        Optimizer::new(rule)
    }
}

/// A parameter in a trace.
pub(crate) struct Traced<'g> {
    /// Its slot.
    pub slot: SlotId,
    /// Its value.
    pub value: Dyn<'g>,
    /// The gradient of the loss with respect to it.
    pub gradient: Dyn<'g>,
}

impl Optimizer {
    /// A rule alone: constant rate, no weight decay, no clipping, no averaging.
    pub fn new(rule: impl Rule + 'static) -> Optimizer {
        Optimizer {
            rule: Rc::new(rule),
            schedule: Schedule::Constant,
            weight_decay: 0.0,
            clip: Clip::default(),
            groups: Vec::new(),
            average: None,
        }
    }

    /// With a learning rate that changes from step to step.
    pub fn schedule(self, schedule: Schedule) -> Self {
        Optimizer { schedule, ..self }
    }

    /// With a pull of the parameters towards 0; see [`Rule::decouples_decay`].
    pub fn weight_decay(self, weight_decay: f64) -> Self {
        Optimizer { weight_decay, ..self }
    }

    /// With a bound on the size of each element of the gradient. Applied before [`Optimizer::clip_norm`].
    pub fn clip_value(self, bound: f64) -> Self {
        Optimizer { clip: Clip { value: Some(bound), ..self.clip }, ..self }
    }

    /// With a bound on the norm of all gradients together: beyond it they are scaled down (Pascanu et al.
    /// 2013).
    pub fn clip_norm(self, bound: f64) -> Self {
        Optimizer { clip: Clip { norm: Some(bound), ..self.clip }, ..self }
    }

    /// With other settings for some parameters; of several groups that match the first counts.
    pub fn group(mut self, group: Group) -> Self {
        self.groups.push(group);
        self
    }

    /// With an exponential moving average of the parameters with this decay, which begins as they begin; see
    /// [`Options::averaged`](crate::Options::averaged).
    pub fn average(self, decay: f64) -> Self {
        Optimizer { average: Some(decay), ..self }
    }

    /// The learning rate of a step, counted from 0, without the factor of a plateau.
    pub fn rate_at(&self, step: u64) -> f64 {
        self.rule.rate() * self.schedule.factor(step)
    }

    /// The schedule.
    pub(crate) fn schedule_ref(&self) -> &Schedule {
        &self.schedule
    }

    /// Records the next values of all parameters, moments and averages; slots that are missing are made.
    #[track_caller]
    pub(crate) fn trace<'g>(&self, tape: &'g Tape, store: &mut Store, mut traced: Vec<Traced<'g>>) {
        let rate = tape.control(Control::LearningRate);
        let step = tape.control(Control::Step).cast(DType::F64) + 1.0;
        for p in &mut traced {
            // Clipping and signs could hide a gradient that is not finite.
            tape.watch_gradient(p.slot, p.gradient);
            let wide = p.value.dtype().accumulator();
            (p.value, p.gradient) = (p.value.cast(wide), p.gradient.cast(wide));
        }
        self.clip.apply(&mut traced);
        for p in traced {
            let name = store.slot(p.slot).name.clone();
            let _layer = tape.enter(&format!("optimizer of {name}"));
            let group = self.groups.iter().find(|g| g.matches(&name));
            let rate = match group.map_or(1.0, |g| g.rate_factor()) {
                1.0 => rate,
                factor => rate * factor,
            };
            let decay = group.and_then(|g| g.own_decay()).unwrap_or(self.weight_decay);
            let new = self.next(Update::new(store, &name, rate, step, p.value, p.gradient), decay);
            tape.assign(p.slot, new.cast(store.ty(p.slot).dtype));
            if let Some(decay) = self.average {
                keep_average(tape, store, p.slot, new, decay);
            }
        }
    }

    #[track_caller]
    fn next<'g>(&self, mut update: Update<'_, 'g>, decay: f64) -> Dyn<'g> {
        if decay != 0.0 {
            if self.rule.decouples_decay() {
                let keep = update.number(1.0 - update.rate * decay);
                update.value = update.value * keep;
            } else {
                update.gradient = update.gradient + update.value * decay;
            }
        }
        self.rule.step(&mut update)
    }
}

/// True for a moment of a parameter: what the optimizer keeps, but for averages of parameters and sums of gradients.
pub(crate) fn is_moment(slot: &ironlearn_ir::Slot) -> bool {
    let is_other = |name: &str| name.ends_with("/average") || name.ends_with("/gradient");
    slot.role == Role::Optimizer && !is_other(&slot.name)
}

/// The name of the slot that holds a parameter's moving average.
pub(crate) fn average_name(parameter: &str) -> String {
    format!("{parameter}/average")
}

#[track_caller]
fn keep_average<'g>(tape: &'g Tape, store: &mut Store, slot: SlotId, new: Dyn<'g>, decay: f64) {
    let name = average_name(&store.slot(slot).name);
    let start = |store: &Store| store.slot(slot).value().view().try_to_array(&name);
    match find_or_make(store, &name, Role::Optimizer, &store.ty(slot), start) {
        Ok(average) => {
            let ty = store.ty(average);
            let old = tape.slot(average, ty.clone()).cast(new.dtype());
            tape.assign(average, (old * decay + new * (1.0 - decay)).cast(ty.dtype));
        }
        Err(none) => none.report(tape),
    }
}
