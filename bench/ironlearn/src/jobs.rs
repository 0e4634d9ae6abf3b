//! The jobs, written as a user of the library writes them.

mod char_lm;
mod cnn;
mod gemm;
mod integers;
mod nets;
mod scale;
mod serve;

use crate::args::Args;
use crate::work::Work;
use ironlearn::Error;

/// Why a case is left out, where the library cannot do it.
pub fn missing(args: &Args) -> Option<&'static str> {
    match (&args.job[..], &args.variant[..]) {
        ("tiny", "loop") | ("small-net", "resident") | (_, "") => None,
        _ => Some("no such variant"),
    }
}

/// The job of these arguments.
pub fn build(args: &Args) -> Result<Work, Error> {
    match (&args.job[..], &args.case[..]) {
        ("gemm", case) => gemm::gemm(args, case),
        ("image-net", "f32-sgd" | "f32-adam" | "tf32-adam" | "bf16-sgd" | "bf16-adam") => {
            nets::image_net::<f32>(args)
        }
        ("image-net", "f64-sgd" | "f64-adam") => nets::image_net::<f64>(args),
        ("small-net", "batch-32" | "tf32-batch-32" | "bf16-batch-32") => nets::small_net(args, 32),
        ("small-net", "batch-128" | "tf32-batch-128" | "bf16-batch-128") => nets::small_net(args, 128),
        ("tiny", _) => nets::tiny(args),
        ("logistic", "f64") => nets::logistic(args),
        ("char-lm", "f32" | "bf16") => char_lm::char_lm(args),
        ("cnn", "f32") => cnn::cnn(args),
        ("serve", "batch-1") => serve::serve(args, 1),
        ("serve", "batch-1024") => serve::serve(args, 1024),
        ("integers", case) => integers::integers(args, case),
        ("rows", _) => scale::rows(args),
        ("epochs", _) => scale::epochs(args, false),
        ("epochs-from-files", _) => scale::epochs(args, true),
        ("planning", _) => scale::planning(args),
        (job, case) => Err(Error::usage(format!("no job {job} with a case {case}"), "see bench/README.md")),
    }
}
