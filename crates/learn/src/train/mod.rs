//! Training: epochs, evaluation; what a run reports while it goes on, and how it is steered.

mod agreement;
mod best;
pub(crate) mod course;
mod evaluation;
mod findings;
mod floats;
mod guard;
mod health;
mod lbfgs;
mod model;
mod progress;
mod range_test;
mod resident;
mod trainer;
mod training;
mod watch;

pub use evaluation::{Evaluated, Evaluation};
pub use guard::{MOST_IN_A_ROW, NotFinite};
pub use lbfgs::LbfgsTraining;
pub use model::Model;
pub use range_test::{RangeTest, RatePoint, RateRange};
pub use trainer::{Outcome, SaveStore, Trainer};
pub use training::Training;
pub use watch::{Control, EpochReport, Save, Silent, Start, Watch};
