//! `ironlearn bench`: what this machine does, in the numbers that training depends on.

use crate::args::BenchOptions;
use crate::console::Console;
use crate::machine;
use ironlearn::job::Dtype;
use ironlearn::prelude::*;
use ironlearn::{Num, bf16};
use ironlearn_cpu::Cpu;
use serde_json::json;
use std::time::{Duration, Instant};

/// Rows and columns of the matrices that are multiplied.
const SIDE: usize = 1024;
/// Elements of what is read from and written to memory: more than caches hold.
const LONG: usize = 16 << 20;
/// Elements of what a function is computed of: they stay in a cache.
const SHORT: usize = 1 << 20;

/// One line of the table.
struct Row {
    name: &'static str,
    dtype: &'static str,
    unit: &'static str,
    /// With one thread, with all.
    rates: [f64; 2],
}

pub fn run(options: &BenchOptions, console: &Console) -> Result<u8, Error> {
    let cpu = |threads| Cpu::new(threads).map_err(|e| Error::usage(e, "unset IRONLEARN_ISA for the best"));
    let threads = options.threads.map_or_else(machine::cores, |n| n.get());
    let cpus = [cpu(1)?, cpu(threads)?];
    let bench = Bench { cpus: &cpus, time: Duration::from_secs_f64(options.seconds) };
    let processor = machine::processor().unwrap_or_else(|| "unknown processor".into());
    console.say(&format!("{processor}, {}, 1 and {threads} threads", cpus[0].isa()));
    let rows = [
        bench.product::<f32>("f32")?,
        bench.product::<f64>("f64")?,
        bench.product::<bf16>("bf16")?,
        bench.product::<i8>("i8")?,
        bench.bandwidth()?,
        bench.function("tanh", |x| x.tanh())?,
        bench.function("exp", |x| x.exp())?,
        bench.network(32)?,
        bench.network(1024)?,
    ];
    for Row { name, dtype, unit, rates: [one, all] } in &rows {
        console.say(&format!("{name:<34} {dtype:<5} {one:>10.1} {all:>10.1} {unit}"));
    }
    let row = |r: &Row| {
        json!({
            "name": r.name, "dtype": r.dtype, "unit": r.unit,
            "one_thread": r.rates[0], "all_threads": r.rates[1],
        })
    };
    console.object(&json!({
        "processor": machine::processor(),
        "instruction_set": cpus[0].isa().to_string(),
        "threads": threads,
        "rates": rows.iter().map(row).collect::<Vec<_>>(),
    }));
    Ok(0)
}

/// The most that all threads of this machine do, measured.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub threads: usize,
    /// Of matrix products with the element type of a job.
    pub flops_per_second: f64,
    /// Read from and written to memory.
    pub bytes_per_second: f64,
}

/// Measures for some tenths of a second.
pub fn limits(threads: Option<usize>, dtype: Dtype) -> Result<Limits, Error> {
    let threads = threads.unwrap_or_else(machine::cores);
    let cpu = Cpu::new(threads).map_err(|e| Error::usage(e, "unset IRONLEARN_ISA for the best"))?;
    let bench = Bench { cpus: &[cpu.clone(), cpu], time: Duration::from_millis(50) };
    let product = match dtype {
        Dtype::F32 => bench.product::<f32>("f32")?,
        Dtype::F64 => bench.product::<f64>("f64")?,
    };
    let best = |row: Row| row.rates[0].max(row.rates[1]) * 1e9;
    Ok(Limits { threads, flops_per_second: best(product), bytes_per_second: best(bench.bandwidth()?) })
}

struct Bench<'a> {
    cpus: &'a [Cpu; 2],
    /// How long each rate is measured.
    time: Duration,
}

impl Bench<'_> {
    /// Runs for each CPU what `prepare` gives, and tells how many `units` that is a second.
    fn row<F: FnMut() -> Result<(), Error>>(
        &self,
        [name, dtype, unit]: [&'static str; 3],
        units: f64,
        mut prepare: impl FnMut(&Options) -> Result<F, Error>,
    ) -> Result<Row, Error> {
        let mut rates = [0.0; 2];
        for (rate, cpu) in rates.iter_mut().zip(self.cpus) {
            let mut run = prepare(&Options::default().cpu(cpu.clone()))?;
            *rate = units / self.seconds(&mut run)?;
        }
        Ok(Row { name, dtype, unit, rates })
    }

    /// The median time of a run, of those that fit the time, after one that does not count.
    fn seconds(&self, run: &mut impl FnMut() -> Result<(), Error>) -> Result<f64, Error> {
        run()?;
        let (start, mut times) = (Instant::now(), Vec::new());
        while start.elapsed() < self.time || times.is_empty() {
            let begin = Instant::now();
            run()?;
            times.push(begin.elapsed());
        }
        times.sort_unstable();
        Ok(times[times.len() / 2].as_secs_f64())
    }

    fn product<T: Num>(&self, dtype: &'static str) -> Result<Row, Error> {
        let flops = 2.0 * (SIDE as f64).powi(3) / 1e9;
        self.row(["matrix product, 1024 cubed", dtype, "GFLOP/s"], flops, |options| {
            let shape = [SIDE, SIDE];
            let (x, y) = (Tensor::<T>::ones(shape)?, Tensor::<T>::ones(shape)?);
            let signature = (input_of::<T>(shape), input_of::<T>(shape));
            let mut infer = Infer::build(options, &Scope::root(0), signature, |_tape, (x, y)| {
                Outputs::of("product", x.dot(y))
            })?;
            Ok(move || infer.run(&(&x, &y)).map(drop))
        })
    }

    fn bandwidth(&self) -> Result<Row, Error> {
        let bytes = 3.0 * (LONG * size_of::<f32>()) as f64 / 1e9;
        self.row(["memory, two read, one written", "f32", "GB/s"], bytes, |options| {
            let (x, y) = (Tensor::<f32>::ones([LONG])?, Tensor::<f32>::ones([LONG])?);
            let signature = (f32s([LONG]), f32s([LONG]));
            let mut infer = Infer::build(options, &Scope::root(0), signature, |_tape, (x, y)| {
                Outputs::of("sum", x * 3.0 + y)
            })?;
            Ok(move || infer.run(&(&x, &y)).map(drop))
        })
    }

    /// A function of numbers from −4 to 4.
    fn function(
        &self,
        name: &'static str,
        f: impl for<'g> Fn(Var<'g, f32>) -> Var<'g, f32>,
    ) -> Result<Row, Error> {
        let elements = SHORT as f64 / 1e6;
        self.row([name, "f32", "million elements/s"], elements, |options| {
            let x = Tensor::<f32>::linspace(-4.0, 4.0, SHORT)?;
            let mut infer =
                Infer::build(options, &Scope::root(0), f32s([SHORT]), |_tape, x| Outputs::of("y", f(x)))?;
            Ok(move || infer.run(&x).map(drop))
        })
    }

    /// A training step of a network for handwritten digits.
    fn network(&self, batch: usize) -> Result<Row, Error> {
        let name = if batch == 32 { "784-128-10, Adam, batch 32" } else { "784-128-10, Adam, batch 1024" };
        self.row([name, "f32", "steps/s"], 1.0, |options| {
            let network = Network::<f32>::builder([784]).linear(128).relu().linear(10).build(0)?;
            let signature = (f32s([batch, 784]), u8s([batch]));
            let mut step =
                Step::build(options, network.scope(), Adam::new(1e-3), signature, |_tape, (x, y)| {
                    cross_entropy(network.forward(x), y).into()
                })?;
            let x = Tensor::<f32>::linspace(-0.5, 0.5, batch * 784)?.reshape([-1, 784])?;
            let y = Tensor::<u8>::zeros([batch])?;
            Ok(move || step.run(&(&x, &y)).map(drop))
        })
    }
}
