//! The tests of operators of the ONNX project itself, in a folder that `scripts/exchange-check.sh` writes; and models
//! of other programs' exporters, with what these compute.

use super::*;
use crate::io::onnx::{read as read_model, read_tensor};
use std::collections::BTreeMap;
use std::env;
use std::path::PathBuf;

/// What happened to a test.
enum Verdict {
    /// With the largest difference.
    Passed(f64),
    /// Within what the ONNX project allows, where what it expects has few digits.
    Coarse,
    /// It holds arrays of types that Iron Learn has not, or asks for chance.
    Skipped(String),
    Failed(String),
}

fn folders(variable: &str) -> Vec<PathBuf> {
    let root = PathBuf::from(env::var_os(variable).unwrap_or_else(|| panic!("{variable} names a folder")));
    let mut all: Vec<PathBuf> = std::fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()).collect();
    all.sort();
    all
}

/// Arrays `PREFIX_0.pb`, `PREFIX_1.pb`, … of a folder.
fn arrays(folder: &Path, prefix: &str) -> Result<Vec<(String, Array)>, String> {
    let files = (0..).map(|i| folder.join(format!("{prefix}_{i}.pb"))).take_while(|file| file.exists());
    files.map(|file| read_tensor(&file).map_err(|e| e.to_string())).collect()
}

/// The largest difference, of numbers above 1 as a share of them; and whether all are as near as the ONNX project asks.
fn off(found: &Array, expected: &Array) -> Result<(f64, bool), String> {
    if found.dtype() != expected.dtype() || found.shape() != expected.shape() {
        let of = |a: &Array| format!("{}{}", a.dtype(), a.shape());
        return Err(format!("{} instead of {}", of(found), of(expected)));
    }
    let numbers = super::super::value::floats;
    let (mut worst, mut near) = (0.0f64, true);
    for (a, b) in numbers(found).into_iter().zip(numbers(expected)) {
        if a == b || a.is_nan() && b.is_nan() {
            continue;
        }
        let off = (a - b).abs();
        worst = worst.max(if off.is_nan() { f64::INFINITY } else { off / b.abs().max(1.0) });
        near &= off <= 1e-7 + 1e-3 * b.abs();
    }
    Ok((worst, near))
}

/// What one folder with a model and data says; narrow floats may be off by what they cannot hold.
fn judged(folder: &Path, most: f64) -> Verdict {
    let path = folder.join("model.onnx");
    let (mut worst, mut coarse) = (0.0f64, false);
    for i in 0.. {
        let data = folder.join(format!("test_data_set_{i}"));
        if !data.exists() {
            break;
        }
        let (inputs, outputs) = match (arrays(&data, "input"), arrays(&data, "output")) {
            (Ok(inputs), Ok(outputs)) => (inputs, outputs),
            (Err(why), _) | (_, Err(why)) => return skipped(why),
        };
        let mut model = match OnnxModel::read(&path) {
            Ok(model) => model,
            Err(why) => return skipped(why.to_string()),
        };
        let mut given = Vec::new();
        for (input, (name, array)) in model.inputs().to_vec().into_iter().zip(inputs) {
            assert!(name.is_empty() || name == input.name, "{name} is not {}", input.name);
            // Lists of whole numbers may decide about shapes.
            let decides = !matches!(array.dtype(), ironlearn_ir::DType::F32 | ironlearn_ir::DType::F64)
                && array.shape().rank() <= 1
                || array.shape().rank() == 0;
            if decides {
                model.fix(&input.name, array).unwrap();
            } else {
                given.push(array);
            }
        }
        let found = match model.run(&Options::default(), &given) {
            Ok(found) => found,
            Err(why) if why.to_string().contains("at random") => {
                return Verdict::Skipped("it drops at random".into());
            }
            Err(why) => return skipped(why.to_string()),
        };
        for (found, (_, expected)) in found.iter().zip(&outputs) {
            let room = match expected.dtype() {
                ironlearn_ir::DType::F16 => 2e-3,
                ironlearn_ir::DType::Bf16 => 1e-2,
                _ => most,
            };
            match off(found, expected) {
                Err(why) => return Verdict::Failed(why),
                Ok((off, false)) if off > room => return Verdict::Failed(format!("off by {off:.1e}")),
                Ok((off, true)) if off > room => coarse = true,
                Ok((off, _)) if room == most => worst = worst.max(off),
                Ok(_) => {}
            }
        }
    }
    if coarse { Verdict::Coarse } else { Verdict::Passed(worst) }
}

/// A test that cannot be run for its types is no failure; any other mistake is one.
fn skipped(why: String) -> Verdict {
    let line = why.lines().next().unwrap_or_default();
    let kinds = ["a type that is not read", "there are no arrays of", "no arrays of"];
    match kinds.iter().find_map(|kind| line.contains(kind).then_some(line)) {
        Some(line) => {
            let of = line.split("of ").nth(1).unwrap_or(line).split(',').next().unwrap_or(line);
            Verdict::Skipped(format!("arrays of {of}"))
        }
        None => Verdict::Failed(why.replace('\n', " | ")),
    }
}

fn supported(folder: &Path) -> bool {
    let Ok(model) = read_model(&folder.join("model.onnx")) else { return false };
    let known = |node: &Node| super::super::ops::operator(&node.domain, &node.op_type).is_some();
    model.graph.is_some_and(|graph| graph.node.iter().all(known))
}

fn judge(folders: Vec<PathBuf>, title: &str, most: f64, claimed_only: bool) {
    let (mut passed, mut failed, mut others) = (0, Vec::new(), 0);
    let mut skips: BTreeMap<String, usize> = BTreeMap::new();
    let mut worst: f64 = 0.0;
    for folder in folders {
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if claimed_only && !supported(&folder) {
            others += 1;
            continue;
        }
        match judged(&folder, most) {
            Verdict::Passed(off) => {
                passed += 1;
                worst = worst.max(off);
            }
            Verdict::Coarse if claimed_only => {
                passed += 1;
                println!("within the 1e-3 of the ONNX project: {name}");
            }
            Verdict::Coarse => failed.push(format!("{name}: off by more than {most:.0e}")),
            Verdict::Skipped(why) => *skips.entry(why).or_default() += 1,
            Verdict::Failed(why) => failed.push(format!("{name}: {why}")),
        }
    }
    failed.iter().for_each(|line| println!("FAILED {}", &line.chars().take(400).collect::<String>()));
    println!("{title}: {passed} of {} passed, largest difference {worst:.1e}", passed + failed.len());
    skips.iter().for_each(|(why, count)| println!("{title}: {count} skipped: {why}"));
    println!("{title}: {others} of operators that are not claimed");
    assert!(failed.is_empty() && passed > 0, "{} failed", failed.len());
}

#[test]
#[ignore = "compares with the tests of the ONNX project, which scripts/exchange-check.sh writes"]
fn nodes() {
    judge(folders("IRONLEARN_ONNX_NODES"), "ONNX node tests", 1e-5, true);
}

#[test]
#[ignore = "compares with what PyTorch and scikit-learn compute, which scripts/exchange-check.sh writes"]
fn exporters() {
    judge(folders("IRONLEARN_ONNX_MODELS"), "models of other programs", 1e-5, false);
}
