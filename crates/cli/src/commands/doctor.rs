//! `ironlearn doctor`.

use crate::console::Console;
use crate::machine;
use ironlearn::job::{DATA_VARIABLE, data_folder};
use ironlearn::{Error, memory};
use serde_json::{Value, json};
use std::path::PathBuf;

const GIB: f64 = (1u64 << 30) as f64;

pub fn run(console: &Console) -> Result<u8, Error> {
    let sets = machine::instruction_sets();
    let (limit, usable) = (memory::limit(), memory::available()?);
    let memory = memory::total().zip(memory::free());
    let (driver, compiler) = (machine::cuda_driver(), machine::cuda_compiler());
    let data = data_folder();
    let gib = |bytes: u64| format!("{:.1} GiB", bytes as f64 / GIB);
    let unknown = || "unknown".to_owned();
    let found =
        |path: &Option<PathBuf>| path.as_ref().map_or("not found".into(), |p| p.display().to_string());
    let lines = [
        ("ironlearn", env!("CARGO_PKG_VERSION").to_owned()),
        ("system", format!("{}, {}", machine::system(), std::env::consts::ARCH)),
        ("processor", machine::processor().unwrap_or_else(unknown)),
        ("cores", machine::cores().to_string()),
        ("instructions", if sets.is_empty() { "none beyond the baseline".into() } else { sets.join(" ") }),
        ("memory", memory.map_or_else(unknown, |(all, free)| format!("{}, {} free", gib(all), gib(free)))),
        ("memory limit", limit.map_or("none".into(), gib)),
        ("steps may use", usable.map_or_else(unknown, gib)),
        ("CUDA driver", found(&driver)),
        ("CUDA compiler", found(&compiler)),
        ("data folder", format!("{}{}", data.display(), if data.is_dir() { "" } else { " (not there)" })),
    ];
    for (name, value) in &lines {
        console.say(&format!("{name:<14} {value}"));
    }
    let advice = advice(&sets, data.is_dir());
    for text in &advice {
        console.say(&format!("- {text}"));
    }
    console.object(&json!({
        "version": env!("CARGO_PKG_VERSION"),
        "system": machine::system(),
        "architecture": std::env::consts::ARCH,
        "processor": machine::processor(),
        "cores": machine::cores(),
        "instruction_sets": sets,
        "memory_bytes": memory.map(|(all, _)| all),
        "memory_available_bytes": memory.map(|(_, free)| free),
        "memory_limit_bytes": limit,
        "memory_usable_bytes": usable,
        "cuda_driver": path(&driver),
        "cuda_compiler": path(&compiler),
        "data_folder": data.to_string_lossy(),
        "data_folder_exists": data.is_dir(),
        "advice": advice,
    }));
    Ok(0)
}

fn path(path: &Option<PathBuf>) -> Value {
    path.as_ref().map_or(Value::Null, |path| path.to_string_lossy().into())
}

/// What could be better, and how.
fn advice(sets: &[&str], has_data: bool) -> Vec<String> {
    let mut advice = Vec::new();
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
