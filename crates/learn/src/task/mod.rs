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

mod canvas;
mod data;
mod fit;
mod floats;
mod gallery;
mod generator;
mod integers;
mod kept;
mod measures;
mod model_file;
mod observer;
mod onnx_rows;
mod original;
mod predictor;
mod quantize;
mod range_test;
pub mod ranks;
mod recipe;
mod report;
mod samples;
mod sheets;
mod train;
mod trained;
mod unsupervised;

pub use canvas::{Canvas, Style};
pub use data::preparation::{ImageForm, Preparation};
pub use data::reading::Reading;
pub use data::scaling::Scaling;
pub use data::texts::TextForm;
pub use data::{Data, Truth};
pub use fit::{Fit, Predicted};
pub use floats::FloatNetwork;
pub use gallery::frame_path;
pub use generator::Generator;
pub use integers::integer_model;
pub use kept::{KeptCheckpoint, kept_checkpoints};
pub use measures::Measures;
pub use model_file::{Match, ModelFile, model_path};
pub use onnx_rows::{OnnxRows, answers_of_onnx};
pub use predictor::Predictor;
pub use quantize::{QuantizeRequest, quantize};
pub use range_test::range_test;
pub use report::write_report;
pub use train::{Outcome, Request, train};
pub use trained::{Trained, columns, summary};
