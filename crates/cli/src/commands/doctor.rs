//! `ironlearn doctor`.

use crate::console::Console;
use crate::gpu::{self, Description, Report};
use crate::machine;
use ironlearn::job::{DATA_VARIABLE, data_folder};
use ironlearn::{Error, memory};
use serde_json::{Value, json};

/// What is built in by choice, and whether it is.
const PARTS: [(&str, bool); 6] = [
    ("cuda", cfg!(feature = "cuda")),
    ("nccl", cfg!(feature = "nccl")),
    ("mpi", cfg!(feature = "mpi")),
    ("serve", cfg!(feature = "serve")),
    ("parquet", cfg!(feature = "parquet")),
    ("tokenizers", cfg!(feature = "tokenizers")),
];

const GIB: f64 = (1u64 << 30) as f64;

pub fn run(console: &Console) -> Result<u8, Error> {
    let sets = machine::instruction_sets();
    let (limit, usable) = (memory::limit(), memory::available()?);
    let memory = memory::total().zip(memory::free());
    let cuda = gpu::report();
    let data = data_folder();
    let parts =
        |built: bool| PARTS.iter().filter(|part| part.1 == built).map(|part| part.0).collect::<Vec<_>>();
    let gib = |bytes: u64| format!("{:.1} GiB", bytes as f64 / GIB);
    let unknown = || "unknown".to_owned();
    let mut lines = vec![
        ("ironlearn", env!("CARGO_PKG_VERSION").to_owned()),
        ("built with", listed(&parts(true), "nothing by choice")),
        ("built without", listed(&parts(false), "nothing")),
        ("system", format!("{}, {}", machine::system(), std::env::consts::ARCH)),
        ("processor", machine::processor().unwrap_or_else(unknown)),
        ("cores", machine::cores().to_string()),
        ("instructions", listed(&sets, "none beyond the baseline")),
        ("memory", memory.map_or_else(unknown, |(all, free)| format!("{}, {} free", gib(all), gib(free)))),
        ("memory limit", limit.map_or("none".into(), gib)),
        ("steps may use", usable.map_or_else(unknown, gib)),
        ("data folder", format!("{}{}", data.display(), if data.is_dir() { "" } else { " (not there)" })),
    ];
    lines.extend(cuda.libraries.iter().map(|(name, found)| (*name, library(name, found))));
    lines.extend(cuda.gpus.iter().map(|gpu| {
        let (major, minor) = gpu.capability;
        ("GPU", format!("{}, compute capability {major}.{minor}, {}", gpu.name, gib(gpu.memory as u64)))
    }));
    for (name, value) in &lines {
        console.say(&format!("{name:<14} {value}"));
    }
    let advice = advice(&sets, data.is_dir(), &cuda);
    for text in &advice {
        console.say(&format!("- {text}"));
    }
    console.object(&json!({
        "version": env!("CARGO_PKG_VERSION"),
        "features": parts(true),
        "system": machine::system(),
        "architecture": std::env::consts::ARCH,
        "processor": machine::processor(),
        "cores": machine::cores(),
        "instruction_sets": sets,
        "memory_bytes": memory.map(|(all, _)| all),
        "memory_available_bytes": memory.map(|(_, free)| free),
        "memory_limit_bytes": limit,
        "memory_usable_bytes": usable,
        "cuda_libraries": cuda.libraries.iter().map(of_library).collect::<Vec<_>>(),
        "gpus": cuda.gpus.iter().map(of_gpu).collect::<Vec<_>>(),
        "data_folder": data.to_string_lossy(),
        "data_folder_exists": data.is_dir(),
        "advice": advice,
    }));
    Ok(0)
}

/// Words, or what is said where there are none.
fn listed(words: &[&str], none: &str) -> String {
    if words.is_empty() { none.into() } else { words.join(" ") }
}

/// What is told of a library.
fn library(name: &str, found: &Result<String, String>) -> String {
    match (found, machine::cuda_library(name)) {
        (Ok(version), Some(path)) => format!("{version}, {}", path.display()),
        (Ok(version), None) => version.clone(),
        (Err(_), Some(path)) => format!("does not work, {}", path.display()),
        (Err(_), None) => "not found".into(),
    }
}

fn of_library((name, found): &(&'static str, Result<String, String>)) -> Value {
    json!({
        "name": name,
        "found": found.as_ref().ok(),
        "path": machine::cuda_library(name).map(|path| path.to_string_lossy().into_owned()),
        "problem": found.as_ref().err(),
    })
}

fn of_gpu(gpu: &Description) -> Value {
    let (major, minor) = gpu.capability;
    json!({
        "name": gpu.name,
        "compute_capability": format!("{major}.{minor}"),
        "memory_bytes": gpu.memory,
    })
}

/// What could be better, and how.
fn advice(sets: &[&str], has_data: bool, cuda: &Report) -> Vec<String> {
    let problem = |(_, found): &(_, Result<String, String>)| found.as_ref().err().cloned();
    let missing = cuda.libraries.iter().filter_map(problem);
    let mut advice: Vec<String> = missing.map(|what| format!("for an NVIDIA GPU: {what}")).collect();
    if cfg!(target_arch = "x86_64") && !sets.contains(&"avx2") {
        advice.push("the processor has no AVX2: training works but is several times slower".into());
    }
    if !has_data {
        advice.push(format!(
            "jobs on the data of the original Iron Learn need {DATA_VARIABLE} to name their folder, \
             or --set data.path=FILE; jobs/picture.toml needs neither"
        ));
    }
    advice
}
