//! The program `ironlearn`: trains networks from job files, and shows, applies and checks what came of it.
#![forbid(unsafe_code)]

mod args;
mod commands;
mod console;
mod date;
mod device;
mod engine;
mod events;
mod gpu;
mod machine;
mod metrics;
mod plot;
mod predictions;
mod profile;
mod progress;
mod ranks;
mod run_dir;
mod runs;
#[cfg(feature = "serve")]
mod serve;
mod session;
mod signals;
mod summary;
mod sweep;
mod table;

use args::{Arguments, Command};
use clap::Parser;
use console::Console;
use engine::Library;
use ironlearn::Error;
use std::process::ExitCode;

/// Exit code of a mistake in the program itself, as in BSD's sysexits.
const BUG: i32 = 70;

fn main() -> ExitCode {
    std::panic::set_hook(Box::new(report_bug));
    let arguments = Arguments::try_parse().unwrap_or_else(|error| args::refuse(error));
    let console = Console::new(arguments.json(), arguments.quiet());
    match carry_out(arguments.command, &console) {
        Ok(code) => ExitCode::from(code),
        Err(error) => ExitCode::from(ranks::fail(&error, &console)),
    }
}

fn carry_out(command: Command, console: &Console) -> Result<u8, Error> {
    let engine = Library;
    match command {
        Command::Train(options) => commands::train::run(&options, console, &engine),
        Command::Resume(options) => commands::resume::run(&options, console, &engine),
        Command::Predict(options) => commands::predict::run(&options, console, &engine),
        Command::Generate(options) => commands::generate::run(&options, console),
        Command::Evaluate(options) => commands::evaluate::run(&options, console, &engine),
        Command::Serve(options) => commands::serve::run(&options, console),
        Command::Quantize(options) => commands::quantize::run(&options, console, &engine),
        Command::Export(options) => commands::export::run(&options, console),
        Command::Import(options) => commands::import::run(&options, console),
        Command::Inspect(options) => commands::inspect::run(&options, console),
        Command::Compare(options) => commands::compare::run(&options, console),
        Command::Sweep(options) => commands::sweep::run(&options, console),
        Command::LrFind(options) => commands::lr_find::run(&options, console),
        Command::Bench(options) => commands::bench::run(&options, console),
        Command::Doctor(_) => commands::doctor::run(console),
        Command::Help(options) => commands::help::run(&options, console),
    }
}

/// Instead of Rust's message for a panic: it is a bug, and what to do about it. Also ends the program
/// when the panic is on another thread, where it would go unseen.
fn report_bug(panic: &std::panic::PanicHookInfo<'_>) {
    let place =
        panic.location().map_or(String::new(), |place| format!(" at {}:{}", place.file(), place.line()));
    let payload = panic.payload();
    let text = payload
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| payload.downcast_ref::<&str>().copied())
        .unwrap_or("no message");
    let version = env!("CARGO_PKG_VERSION");
    let trace = std::backtrace::Backtrace::capture();
    console::to_stderr(&format!(
        "error: this is a bug in ironlearn {version}, not a mistake of yours: {text}{place}\n  \
         help: please report it with this message and the command; \
         RUST_BACKTRACE=1 adds where it came from\n{trace}"
    ));
    std::process::exit(BUG);
}
