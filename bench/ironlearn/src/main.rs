//! The worker of Iron Learn: one job, by hand or for the harness (see bench/README.md).

mod args;
mod jobs;
mod work;

use args::Args;
use ironlearn::Error;
use std::io::{BufRead, stdin};
use std::process::ExitCode;
use std::time::Instant;
use work::Work;

fn main() -> ExitCode {
    match Args::parse(std::env::args().skip(1)).map_err(|e| Error::usage(e, args::HELP)).and_then(|a| run(&a))
    {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("{e}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<(), Error> {
    if args.job == "start" {
        println!("{{\"loss\": {}}}", jobs::build(&Args { job: "tiny".into(), ..args.clone() })?.run(10)?);
        return Ok(());
    }
    if let Some(reason) = jobs::missing(args) {
        println!("{{\"unsupported\": \"{reason}\"}}");
        return Ok(());
    }
    let mut work = jobs::build(args)?;
    if args.hash {
        work.run(20)?;
        println!("{:016x}", work.hash());
    } else if args.loss {
        println!("{:e}", work.run(21)?);
    } else if let Some(seconds) = args.seconds {
        by_hand(&mut work, seconds)?;
    } else {
        serve(&mut work)?;
    }
    Ok(())
}

/// A block to warm up, then one that is printed.
fn by_hand(work: &mut Work, seconds: f64) -> Result<(), Error> {
    timed(work, seconds.min(1.0))?;
    let (steps, taken) = timed(work, seconds)?;
    let rate = steps as f64 / taken;
    let (value, unit) = (work.value(rate), work.unit());
    println!("{value:.4} {unit}   {rate:.2} steps/s   {:.3} us/step   {} MB at most", 1e6 / rate, peak());
    Ok(())
}

/// The largest size of this process so far, in MB; 0 where the system does not tell.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|n| n.parse::<u64>().ok()).unwrap_or(0) * 1024 / 1_000_000
}

/// Answers the harness: `loss N`, `run SECONDS`, `quit`.
fn serve(work: &mut Work) -> Result<(), Error> {
    println!("{{\"ready\": true, \"version\": \"{}\"}}", env!("CARGO_PKG_VERSION"));
    for line in stdin().lock().lines().map_while(Result::ok) {
        match line.split_once(' ').map(|(what, n)| (what, n.parse::<f64>())) {
            Some(("loss", Ok(n))) => println!("{{\"loss\": {:e}}}", work.run(n as usize + 1)?),
            Some(("run", Ok(seconds))) => {
                let (steps, taken) = timed(work, seconds)?;
                println!("{{\"steps\": {steps}, \"seconds\": {taken}}}");
            }
            _ => break,
        }
    }
    Ok(())
}

/// Runs for about so long. Gives steps and seconds.
fn timed(work: &mut Work, seconds: f64) -> Result<(usize, f64), Error> {
    let (begin, mut steps, mut portion) = (Instant::now(), 0, 1);
    loop {
        work.run(portion)?;
        steps += portion;
        let taken = begin.elapsed().as_secs_f64();
        if taken >= seconds {
            return Ok((steps, taken));
        }
        // In portions of about 20 ms, as in the other workers.
        let rate = steps as f64 / taken;
        portion = ((rate * 0.02).min(rate * (seconds - taken)) as usize).max(1);
    }
}
