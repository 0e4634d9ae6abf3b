//! `ironlearn bench`: what this machine does, in the numbers that training depends on.

use crate::args::BenchOptions;
use crate::console::Console;
use crate::device::Machine;
use crate::machine;
use ironlearn::job::Dtype;
use ironlearn::prelude::*;
use ironlearn::{Num, bf16};
use ironlearn_ir::{ArrayView, Role, TensorType};
use serde_json::json;
use std::time::{Duration, Instant};

/// How much is computed at once.
#[derive(Clone, Copy)]
struct Sizes {
    /// Rows and columns of the matrices that are multiplied.
    side: usize,
    /// Elements of what is read from and written to memory: more than caches hold.
    long: usize,
    /// Elements of what a function is computed of.
    short: usize,
}

/// What a function is computed of stays in a cache.
const ON_CPU: Sizes = Sizes { side: 1024, long: 16 << 20, short: 1 << 20 };
/// Enough for every multiprocessor to be busy for longer than a launch takes.
const ON_GPU: Sizes = Sizes { side: 8192, long: 128 << 20, short: 64 << 20 };

/// Where nothing is to be measured: whether it works.
const TRIAL: Sizes = Sizes { side: 64, long: 4096, short: 4096 };

/// One line of the table.
struct Row {
    name: String,
    dtype: &'static str,
    unit: &'static str,
    /// On each target; none where it does not compute that.
    rates: Vec<Option<f64>>,
}

pub fn run(options: &BenchOptions, console: &Console) -> Result<u8, Error> {
    let threads = options.threads.map_or_else(machine::cores, |n| n.get());
    let machine = Machine::find(options.device, Some(threads), console)?;
    let bench = Bench::of(&machine, threads, options.seconds)?;
    console.say(&match &machine.gpu {
        Some(gpu) => format!("device: {}", gpu.name()),
        None => {
            let processor = machine::processor().unwrap_or_else(|| "unknown processor".into());
            format!("device: {processor}, {}, 1 and {threads} threads", bench.targets[0].arithmetic())
        }
    });
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
    for Row { name, dtype, unit, rates } in &rows {
        let shown = |rate: &Option<f64>| rate.map_or(format!("{:>10}", "-"), |rate| format!("{rate:>10.1}"));
        let rates: Vec<String> = rates.iter().map(shown).collect();
        console.say(&format!("{name:<34} {dtype:<5} {} {unit}", rates.join(" ")));
    }
    let row = |r: &Row| {
        let mut row = json!({ "name": r.name, "dtype": r.dtype, "unit": r.unit });
        let keys: &[&str] = if machine.gpu.is_some() { &["rate"] } else { &["one_thread", "all_threads"] };
        for (key, rate) in keys.iter().zip(&r.rates) {
            row[key] = json!(rate);
        }
        row
    };
    console.object(&json!({
        "device": machine.name(),
        "processor": machine::processor(),
        "instruction_set": bench.targets[0].arithmetic(),
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
    let machine = Machine { gpu: None, threads: Some(threads), profile: false };
    let targets = vec![machine.options()?; 2];
    let bench = Bench { targets, sizes: ON_CPU, time: Duration::from_millis(50) };
    let product = match dtype {
        Dtype::F32 => bench.product::<f32>("f32")?,
        Dtype::F64 => bench.product::<f64>("f64")?,
    };
    let best = |row: Row| row.rates.into_iter().flatten().fold(0.0, f64::max) * 1e9;
    Ok(Limits { threads, flops_per_second: best(product), bytes_per_second: best(bench.bandwidth()?) })
}

struct Bench {
    targets: Vec<Options>,
    sizes: Sizes,
    /// How long each rate is measured.
    time: Duration,
}

impl Bench {
    /// The GPU of the machine; else the CPU with one thread, and with so many.
    fn of(machine: &Machine, threads: usize, seconds: f64) -> Result<Bench, Error> {
        let on_cpu = |threads| Machine { threads: Some(threads), ..machine.clone() }.options();
        let (targets, sizes) = match machine.gpu {
            Some(_) => (vec![machine.options()?], ON_GPU),
            None => (vec![on_cpu(1)?, on_cpu(threads)?], ON_CPU),
        };
        let sizes = if seconds == 0.0 { TRIAL } else { sizes };
        Ok(Bench { targets, sizes, time: Duration::from_secs_f64(seconds) })
    }

    /// Runs on each target what `prepare` gives, and tells how many `units` that is a second.
    fn row<F: FnMut() -> Result<(), Error>>(
        &self,
        (name, dtype, unit): (String, &'static str, &'static str),
        units: f64,
        mut prepare: impl FnMut(&Options) -> Result<F, Error>,
    ) -> Result<Row, Error> {
        let rates = self.targets.iter().map(|target| match prepare(target) {
            Ok(mut run) => Ok(Some(units / self.seconds(&mut run)?)),
            // A GPU has no kernel for everything.
            Err(Error::Device { .. }) => Ok(None),
            Err(error) => Err(error),
        });
        Ok(Row { name, dtype, unit, rates: rates.collect::<Result<_, Error>>()? })
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
        let side = self.sizes.side;
        let flops = 2.0 * (side as f64).powi(3) / 1e9;
        self.row((format!("matrix product, {side} cubed"), dtype, "GFLOP/s"), flops, |options| {
            let ones = || Tensor::<T>::ones([side, side]);
            placed(options, [ones()?, ones()?], |[x, y]| x.dot(y).into())
        })
    }

    fn bandwidth(&self) -> Result<Row, Error> {
        let long = self.sizes.long;
        let bytes = 3.0 * (long * size_of::<f32>()) as f64 / 1e9;
        self.row(("memory, two read, one written".into(), "f32", "GB/s"), bytes, |options| {
            let ones = || Tensor::<f32>::ones([long]);
            placed(options, [ones()?, ones()?], |[x, y]| (x * 3.0 + y).into())
        })
    }

    /// A function of numbers from −4 to 4.
    fn function(
        &self,
        name: &'static str,
        f: impl for<'g> Fn(Var<'g, f32>) -> Var<'g, f32>,
    ) -> Result<Row, Error> {
        let short = self.sizes.short;
        self.row((name.into(), "f32", "million elements/s"), short as f64 / 1e6, |options| {
            placed(options, [Tensor::<f32>::linspace(-4.0, 4.0, short)?], |[x]| f(x).into())
        })
    }

    /// A training step of a network for handwritten digits.
    fn network(&self, batch: usize) -> Result<Row, Error> {
        self.row((format!("784-128-10, Adam, batch {batch}"), "f32", "steps/s"), 1.0, |options| {
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

/// A computation whose operands and result stay where it is done, as slots: what is measured moves nothing to a
/// device or back.
fn placed<T: Num, const N: usize>(
    options: &Options,
    operands: [Tensor<T>; N],
    f: impl for<'g> Fn([Var<'g, T>; N]) -> Dyn<'g>,
) -> Result<Box<dyn FnMut() -> Result<(), Error>>, Error> {
    let scope = Scope::root(0);
    let add = |name: &str, value: Array| {
        let added = scope.store_mut().add(name, Role::Statistic, value);
        added.map_err(|problem| Error::usage(problem, "a fault of Iron Learn: report it"))
    };
    let mut slots = Vec::with_capacity(N);
    for (i, operand) in operands.into_iter().enumerate() {
        slots.push(add(&format!("operand {i}"), operand.into_array())?);
    }
    let options = options.clone().unchecked(true);
    let signature: Vec<TensorType> = Vec::new();
    let mut infer = Infer::build(&options, &scope, signature, |tape, _| {
        let read = |i: usize| Var::of(tape.slot(slots[i], scope.store().ty(slots[i])));
        let result = f(std::array::from_fn(read));
        let ty = result.ty();
        let room = Array::try_zeros(ty.dtype, ty.shape.clone(), "the result");
        if let Ok(slot) = room.map_err(Error::from).and_then(|room| add("result", room)) {
            tape.assign(slot, result);
        }
        Outputs::default()
    })?;
    Ok(Box::new(move || infer.run(&([] as [ArrayView<'_>; 0])).map(drop)))
}
