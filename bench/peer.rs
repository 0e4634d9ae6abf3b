//! What the workers of other Rust frameworks share: command line and the conversation with the harness.

use std::error::Error;
use std::io::{BufRead, stdin};
use std::path::PathBuf;
use std::process::exit;
use std::time::Instant;

pub type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Runs so many steps, and gives the loss of the last.
pub type Steps = Box<dyn FnMut(usize) -> Result<f64>>;

/// What the worker is called with. The number of threads is in RAYON_NUM_THREADS.
pub struct Args {
    pub job: String,
    pub case: String,
    pub data: PathBuf,
    seconds: Option<f64>,
}

impl Args {
    fn parse(folder: &str) -> Result<Args> {
        let mut args = Args {
            job: "".into(),
            case: "".into(),
            data: PathBuf::from(folder).join("../data"),
            seconds: None,
        };
        let mut words = std::env::args().skip(1);
        while let Some(word) = words.next() {
            let value = words.next().ok_or(format!("{word} needs a value"))?;
            match &word[..] {
                "--job" => args.job = value,
                "--case" => args.case = value,
                "--seconds" => args.seconds = Some(value.parse()?),
                "--threads" | "--variant" => {}
                _ => return Err(format!("no option {word}").into()),
            }
        }
        Ok(args)
    }

    /// A file of bench/data.
    pub fn file(&self, name: &str) -> PathBuf {
        self.data.join(format!("{name}.npy"))
    }

    /// Type and sizes of a case of gemm: `f32-1024` or `f32-128x256x256`.
    pub fn sizes(&self) -> Result<(&str, [usize; 3])> {
        let (dtype, size) = self.case.split_once('-').ok_or("gemm: no size")?;
        let sizes: Vec<usize> = size.split('x').map(str::parse).collect::<std::result::Result<_, _>>()?;
        match sizes[..] {
            [n] => Ok((dtype, [n; 3])),
            [m, n, k] => Ok((dtype, [m, n, k])),
            _ => Err("gemm: sizes as 1024 or 128x256x256".into()),
        }
    }

    /// The batch of a case such as `batch-32`.
    pub fn batch(&self) -> Result<usize> {
        Ok(self.case.strip_prefix("batch-").ok_or("no batch")?.parse()?)
    }
}

/// An element of a matrix whose products are exact in every float type.
pub fn element(i: usize, cols: usize) -> f64 {
    (((i / cols) * 7 + (i % cols) * 13) % 17) as f64 / 8.0 - 1.0
}

/// Answers `loss N`, `run SECONDS`, `quit`. `build` gives the job, or an error of why there is none.
pub fn run(version: &str, folder: &str, build: impl Fn(&Args) -> Result<Steps>) -> Result<()> {
    let mut args = Args::parse(folder)?;
    let start = args.job == "start";
    if start {
        args.job = "tiny".into();
    }
    let mut steps = build(&args).unwrap_or_else(|reason| {
        println!("{{\"unsupported\": \"{reason}\"}}");
        exit(0)
    });
    if start {
        println!("{{\"loss\": {}}}", steps(10)?);
        return Ok(());
    }
    if let Some(seconds) = args.seconds {
        timed(&mut steps, seconds.min(1.0))?;
        let (done, taken) = timed(&mut steps, seconds)?;
        println!("{:.2} steps/s   {:.3} us/step", done as f64 / taken, 1e6 * taken / done as f64);
        return Ok(());
    }
    println!("{{\"ready\": true, \"version\": \"{version}\"}}");
    for line in stdin().lock().lines().map_while(std::result::Result::ok) {
        match line.split_once(' ') {
            Some(("loss", n)) => println!("{{\"loss\": {:e}}}", steps(n.parse::<usize>()? + 1)?),
            Some(("run", seconds)) => {
                let (done, taken) = timed(&mut steps, seconds.parse()?)?;
                println!("{{\"steps\": {done}, \"seconds\": {taken}}}");
            }
            _ => break,
        }
    }
    Ok(())
}

/// Runs for about so long, in portions of about 20 ms. Gives steps and seconds.
fn timed(steps: &mut Steps, seconds: f64) -> Result<(usize, f64)> {
    let (begin, mut done, mut portion) = (Instant::now(), 0, 1);
    loop {
        steps(portion)?;
        done += portion;
        let taken = begin.elapsed().as_secs_f64();
        if taken >= seconds {
            return Ok((done, taken));
        }
        let rate = done as f64 / taken;
        portion = ((rate * 0.02).min(rate * (seconds - taken)) as usize).max(1);
    }
}
