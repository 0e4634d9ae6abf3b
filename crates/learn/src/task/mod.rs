//! Tasks: from a job to a trained model, and what can be done with that model.
//!
//! ```
//! use ironlearn::Options;
//! use ironlearn::job::Job;
//! use ironlearn::task::{Request, Trained, train};
//! use ironlearn::train::Silent;
//!
//! let job = Job::parse(
//!     "[data]\nkind = 'picture'\nresize = [8, 8]\n[network]\nlayers = [{ siren = 8 }, { linear = 'targets' }]",
//!     &["train.epochs=3"],
//! )?;
//! let directory = tempfile::tempdir().unwrap();
//! let last = directory.path().join("last.safetensors");
//! let best = directory.path().join("best.safetensors");
//! let options = Options::default();
//! let request = Request {
//!     job: &job, options: options.clone(), ranks: None, resume_from: None, directory: directory.path(), last, best,
//! };
//! let outcome = train(&request, &mut Silent)?;
//! assert_eq!(outcome.epoch, 3);
//! let mut model = Trained::load(&request.last, &options)?;
//! assert_eq!(model.draw(16, 12)?.width(), 16);
//! # Ok::<(), ironlearn::Error>(())
//! ```

mod data;
mod generator;
mod model;
mod recipe;
mod report;
mod run;
mod unsupervised;

pub use data::canvas::{Canvas, Style};
pub use data::preparation::{ImageForm, Preparation};
pub use data::reading::Reading;
pub use data::scaling::Scaling;
pub use data::texts::TextForm;
pub use data::{Data, Truth};
pub use generator::Generator;
pub use model::file::{Match, ModelFile, model_path};
pub use model::floats::FloatNetwork;
pub use model::onnx_rows::{OnnxRows, answers_of_onnx};
pub use model::predictor::Predictor;
pub use model::quantize::{QuantizeRequest, quantize};
pub use model::trained::{Trained, columns, summary};
pub use recipe::integers::integer_model;
pub use report::fit::{Fit, Predicted};
pub use report::gallery::frame_path;
pub use report::measures::Measures;
pub use report::write_report;
pub use run::kept::{KeptCheckpoint, kept_checkpoints};
pub use run::range_test::range_test;
pub use run::ranks;
pub use run::train::{Outcome, Request, train};
