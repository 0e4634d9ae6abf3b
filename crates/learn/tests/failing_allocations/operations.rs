//! What is tried: every operation that asks for memory in proportion to data, shapes or files.

use super::files;
use image::ExtendedColorType;
use ironlearn::Cpu;
use ironlearn::io::{Checkpoint, csv, idx, npy, npz::Npz, original};
use ironlearn::job::Job;
use ironlearn::optim::Rule;
use ironlearn::picture::{Picture, Timelapse};
use ironlearn::prelude::*;
use ironlearn::task::{self, Data, Request, Trained};
use ironlearn::train::{Silent, Watch};
use std::fs;
use std::path::{Path, PathBuf};
use zip::CompressionMethod;

/// What an operation gives: nothing, or what it told in another way than by an error.
pub type Told = Result<Option<String>, Error>;

/// Something that is tried.
pub struct Operation {
    pub run: Box<dyn FnMut() -> Told>,
    /// Where it fails, all files are as they were.
    pub leaves_files: bool,
}

pub const NAMES: [&str; 36] = [
    "build",
    "build orthogonal",
    "step adam",
    "step momentum",
    "step rms_prop",
    "step average",
    "step micro",
    "step interpreted",
    "infer",
    "csv",
    "npy",
    "npy by columns",
    "npz stored",
    "npz deflated",
    "idx",
    "idx.gz",
    "png grey",
    "png colour",
    "png transparent",
    "png 16 bits",
    "jpeg",
    "webp",
    "original data",
    "original model",
    "data of a table",
    "data of an archive",
    "data of a picture",
    "data set split",
    "trainer",
    "trainer of files",
    "checkpoint load",
    "checkpoint save",
    "model load",
    "train",
    "resume",
    "draw",
];

fn cpu() -> Options {
    Options::default().cpu(Cpu::new(1).unwrap())
}

fn floats(shape: &[usize]) -> Array {
    Array::of(shape, (0..shape.iter().product()).map(|i: usize| (i % 13) as f32 / 13.0).collect()).unwrap()
}

fn network() -> Result<Network<f32>, Error> {
    Network::<f32>::builder([200]).linear(300).tanh().linear(100).build(1)
}

/// Something that changes no files.
fn of(mut f: impl FnMut() -> Result<(), Error> + 'static) -> Operation {
    Operation { run: Box::new(move || f().map(|()| None)), leaves_files: true }
}

/// Reads a file, which is made first.
fn reads<R>(
    path: PathBuf,
    make: impl FnOnce(&Path),
    read: impl Fn(&Path) -> Result<R, Error> + 'static,
) -> Operation {
    make(&path);
    of(move || read(&path).map(drop))
}

fn picture(path: PathBuf, colour: ExtendedColorType) -> Operation {
    reads(path, |path| files::picture(path, colour), Picture::read)
}

/// A network, a step of it, and its first run.
fn step<R: Rule + 'static>(
    rule: fn() -> R,
    change: fn(Optimizer) -> Optimizer,
    options: Options,
) -> Operation {
    let (x, y) = (floats(&[100, 200]), floats(&[100, 100]));
    of(move || {
        let network = network()?;
        let optimizer = change(Optimizer::new(rule()));
        let signature = (f32s([100, 200]), f32s([100, 100]));
        let mut step = Step::build(&options, network.scope(), optimizer, signature, |_, (x, y)| {
            mse(network.forward(x), y).into()
        })?;
        step.run(&(&x, &y)).map(drop)
    })
}

/// A network, its inference, and that of a batch.
fn infer() -> Operation {
    let x = floats(&[100, 200]);
    of(move || {
        let network = network()?;
        let mut infer = Infer::build(&cpu(), network.scope(), (f32s([100, 200]),), |_, (x,)| {
            Outputs::of("y", network.forward(x))
        })?;
        infer.run(&(&x,)).map(drop)
    })
}

fn unchanged(optimizer: Optimizer) -> Optimizer {
    optimizer
}

fn job(text: &str, set: &[String]) -> Job {
    Job::parse(text, set).unwrap()
}

const PICTURE: &str = r#"
    [data]
    kind = "picture"
    [network]
    layers = [{ siren = 160 }, { siren = 160 }, { linear = "targets" }]
    [train]
    epochs = 1
    patience = 3
    validation = 0.1
    [picture]
    frames = 2
"#;

/// A job on a picture whose parts are large.
fn picture_job(folder: &Path) -> Job {
    let path = folder.join("picture.png");
    files::picture(&path, ExtendedColorType::Rgb8);
    job(PICTURE, &[format!("data.picture={}", path.display()), "data.resize=[160, 160]".into()])
}

fn trained(job: &Job, folder: &Path, resume_from: Option<&Path>) -> Told {
    let request = Request {
        job,
        options: cpu(),
        ranks: None,
        resume_from,
        directory: folder,
        last: folder.join("last.safetensors"),
        best: folder.join("best.safetensors"),
    };
    let mut told = Listener::default();
    let outcome = task::train(&request, &mut told)?;
    Ok(outcome.save_failure.or(told.0.into_iter().find(|warning| warning.contains("out of memory"))))
}

/// Keeps what a run says: a save that fails is made good for by the next one.
#[derive(Default)]
struct Listener(Vec<String>);

impl Watch for Listener {
    fn warn(&mut self, warning: &str) {
        self.0.push(warning.into());
    }
}

fn checkpoint() -> Checkpoint {
    let tensors = vec![("a".to_string(), floats(&[300, 200])), ("b".to_string(), floats(&[200, 300]))];
    Checkpoint { tensors, meta: [("note".to_string(), "a note".to_string())].into(), verified: true }
}

fn trainer(data: &Dataset, validation: Option<&Dataset>) -> Result<(), Error> {
    let network = Network::<f64>::builder([files::COLUMNS]).linear(900).relu().linear(1).build(1)?;
    let training = Training::new(Loss::Mse, Adam::new(1e-3)).options(cpu()).epochs(2).batch(1000).patience(3);
    let mut trainer = training.build(&network, data, validation)?;
    trainer.run(&mut Silent, &mut |_, _| Ok(())).map(drop)
}

fn data_set() -> Result<Dataset, Error> {
    let (x, y) = files::table();
    Dataset::new(x, y.reshaped([files::ROWS, 1]).unwrap())
}

/// The operation of this name, in a folder of its own.
pub fn operation(name: &str, folder: &Path) -> Operation {
    let at = |name: &str| folder.join(name);
    let folder = folder.to_path_buf();
    match name {
        "build" => of(|| network().map(drop)),
        "build orthogonal" => of(|| {
            let scope = Scope::root(1);
            scope.param::<f32>("w", [200, 300], &Init::Orthogonal(1.0));
            scope.check()
        }),
        "step adam" => step(|| Adam::new(1e-3), unchanged, cpu()),
        "step momentum" => step(|| Sgd::new(0.1).momentum(0.9), |o| o.clip_norm(1.0), cpu()),
        "step rms_prop" => step(|| RmsProp::new(1e-3), unchanged, cpu()),
        "step average" => step(|| Lion::new(1e-3), |o| o.average(0.9), cpu()),
        "step micro" => step(|| Adam::new(1e-3), unchanged, cpu().micro_batches(true)),
        "step interpreted" => step(|| Sgd::new(0.1), unchanged, Options::default().interpreted()),
        "infer" => infer(),
        "csv" => reads(at("a.csv"), files::csv, csv::read),
        "npy" => reads(at("a.npy"), |path| files::numpy(path, false), npy::read),
        "npy by columns" => reads(at("a.npy"), |path| files::numpy(path, true), npy::read),
        "npz stored" => reads(
            at("a.npz"),
            |path| files::archive(path, CompressionMethod::Stored),
            |path| Npz::open(path)?.read("x"),
        ),
        "npz deflated" => reads(
            at("a.npz"),
            |path| files::archive(path, CompressionMethod::Deflated),
            |path| Npz::open(path)?.read("x"),
        ),
        "idx" => reads(at("a-ubyte"), |path| files::idx(path, false, false), idx::read),
        "idx.gz" => reads(at("a.gz"), |path| files::idx(path, false, true), idx::read),
        "png grey" => picture(at("a.png"), ExtendedColorType::L8),
        "png colour" => picture(at("a.png"), ExtendedColorType::Rgb8),
        "png transparent" => picture(at("a.png"), ExtendedColorType::Rgba8),
        "png 16 bits" => picture(at("a.png"), ExtendedColorType::Rgb16),
        "jpeg" => picture(at("a.jpg"), ExtendedColorType::Rgb8),
        "webp" => picture(at("a.webp"), ExtendedColorType::Rgb8),
        "original data" => reads(at("a.json"), files::original_data, original::DataSet::read),
        "original model" => {
            reads(at("a.json"), files::original_model, |path| Trained::load(path, &cpu()).map(drop))
        }
        "data of a table" => {
            files::original_data(&at("a.json"));
            let set = ["data.kind=original".into(), format!("data.path={}", at("a.json").display())];
            let more = ["data.task=regression", "data.targets=standardised", "train.validation=0.2"];
            let job = job("", &[&set[..], &more.map(String::from)].concat());
            of(move || Data::load(&job).map(drop))
        }
        "data of an archive" => {
            files::archive(&at("a.npz"), CompressionMethod::Deflated);
            let set = ["data.kind=arrays".into(), format!("data.x={}", at("a.npz").display())];
            let more = ["data.task=classes", "loss.kind=cross_entropy"];
            let job = job("", &[&set[..], &more.map(String::from)].concat());
            of(move || Data::load(&job).map(drop))
        }
        "data of a picture" => {
            let job = picture_job(&folder);
            of(move || Data::load(&job).map(drop))
        }
        "data set split" => {
            let data = data_set().unwrap();
            of(move || data.split(0.3, 1).map(drop))
        }
        "trainer" => {
            let data = data_set().unwrap();
            of(move || trainer(&data, Some(&data)))
        }
        "trainer of files" => {
            let (x, y) = (at("x.npy"), at("y.npy"));
            let (inputs, targets) = files::table();
            npy::write(&x, inputs.view()).unwrap();
            npy::write(&y, targets.reshaped([files::ROWS, 1]).unwrap().view()).unwrap();
            of(move || trainer(&Dataset::open_within(&x, &y, 200_000)?, None))
        }
        "checkpoint load" => {
            reads(at("a.safetensors"), |path| checkpoint().save(path).unwrap(), Checkpoint::load)
        }
        "checkpoint save" => {
            let (path, mut checkpoint) = (at("a.safetensors"), checkpoint());
            of(move || {
                // Other contents than those of the file that is there.
                checkpoint.tensors[0].1.as_slice_mut::<f32>().unwrap()[0] += 1.0;
                checkpoint.save(&path)
            })
        }
        "model load" => {
            let job = picture_job(&folder);
            trained(&job, &folder, None).unwrap();
            let (path, rows) = (at("last.safetensors"), Array::of([10_000, 2], vec![3.0; 20_000]).unwrap());
            of(move || Trained::load(&path, &cpu())?.answers(&rows).map(drop))
        }
        "train" => {
            let job = picture_job(&folder);
            Operation { run: Box::new(move || trained(&job, &folder, None)), leaves_files: false }
        }
        "resume" => {
            let job = picture_job(&folder);
            trained(&job, &folder, None).unwrap();
            fs::rename(at("last.safetensors"), at("start.safetensors")).unwrap();
            let (start, mut longer) = (at("start.safetensors"), job);
            longer.train.epochs = 2;
            let run = move || trained(&longer, &folder, Some(&start));
            Operation { run: Box::new(run), leaves_files: false }
        }
        "draw" => {
            let job = picture_job(&folder);
            trained(&job, &folder, None).unwrap();
            let mut model = Trained::load(&at("last.safetensors"), &cpu()).unwrap();
            let (png, gif) = (at("a.png"), at("a.gif"));
            of(move || {
                let picture = model.draw(300, 300)?;
                picture.write_png(&png)?;
                let mut gif = Timelapse::create(&gif, 300, 300, 5)?;
                gif.add(&picture)?;
                gif.finish(&picture)
            })
        }
        _ => panic!("no operation {name}"),
    }
}
