//! `--device`: runs on a GPU, which the stand-in for CUDA plays, from the first line to the checkpoint and back to
//! the CPU.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test may fail by it")]

mod common;

use common::{folder, program, text};
use ironlearn::io::checkpoint::Checkpoint;
use ironlearn_testkit::standin;
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output};

/// The program where there is a GPU; `None` where the stand-in cannot be built.
fn with_gpu(at: &Path) -> Option<Command> {
    let libraries = standin::folder()?;
    let mut program = program(at);
    program.env("LD_LIBRARY_PATH", libraries).env_remove("CUDA_VISIBLE_DEVICES");
    program.env("IRONLEARN_CUDA_CACHE", at.join("kernels"));
    Some(program)
}

fn run(mut program: Command, arguments: &str) -> Output {
    program.args(arguments.split_whitespace()).output().unwrap()
}

fn succeeded(output: &Output) {
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
}

fn object(output: &Output) -> Value {
    serde_json::from_str(text(&output.stdout).lines().last().unwrap()).unwrap()
}

/// What the checkpoint says that it was computed with.
fn arithmetic(run: &Path) -> String {
    Checkpoint::load(&run.join("last.safetensors")).unwrap().meta["instruction_set"].clone()
}

#[test]
fn a_run_on_a_gpu_says_so_and_goes_on_on_the_cpu_and_back() {
    let folder = folder();
    let at = folder.path();
    let Some(gpu) = with_gpu(at) else { return };
    let first = run(gpu, "train regression.toml --out run --max-steps 5 --json");
    succeeded(&first);
    let name = text(&first.stderr).lines().next().unwrap().strip_prefix("device: ").unwrap().to_string();
    assert!(name.contains("sm_"), "{name}");
    assert_eq!(
        (object(&first)["device"].as_str(), arithmetic(&at.join("run"))),
        (Some(&*name), name.clone())
    );

    let second = run(program(at), "resume run --device cpu --max-steps 9 --json");
    succeeded(&second);
    let said = text(&second.stderr);
    assert!(said.starts_with("device: CPU ("), "{said}");
    assert!(said.contains(&format!("the run began with {name} and goes on with ")), "{said}");
    assert!(object(&second)["device"].as_str().unwrap().starts_with("CPU ("));
    assert!(!arithmetic(&at.join("run")).contains("sm_"));

    let third = run(with_gpu(at).unwrap(), "resume run --device cuda:0 --json");
    succeeded(&third);
    assert!(text(&third.stderr).contains(&format!(" and goes on with {name}")), "{}", text(&third.stderr));
    assert_eq!(arithmetic(&at.join("run")), name);

    let whole = run(program(at), "train regression.toml --out cpu --device cpu --json");
    let loss = |output: &Output| object(output)["loss"].as_f64().unwrap();
    let (there, here) = (loss(&third), loss(&whole));
    assert!((there - here).abs() < 1e-6 * here, "{there} and {here}");
}

#[test]
fn predictions_and_measures_come_from_the_gpu_too() {
    let folder = folder();
    let at = folder.path();
    let Some(gpu) = with_gpu(at) else { return };
    std::fs::write(at.join("three.csv"), "1,2,3\n").unwrap();
    succeeded(&run(gpu, "train regression.toml --out run --quiet"));
    let on = |device: &str| {
        run(with_gpu(at).unwrap(), &format!("predict run --input three.csv --device {device}"))
    };
    let (gpu, cpu) = (on("auto"), on("cpu"));
    succeeded(&gpu);
    assert!(text(&gpu.stderr).contains("sm_") && text(&cpu.stderr).starts_with("device: CPU ("));
    let numbers = |output: &Output| -> Vec<f64> {
        let words = text(&output.stdout);
        words.split([',', '\n']).filter_map(|word| word.trim().parse().ok()).collect()
    };
    let (there, here) = (numbers(&gpu), numbers(&cpu));
    let close = |(a, b): (&f64, &f64)| (a - b).abs() < 1e-9 * b.abs().max(1.0);
    assert!(!here.is_empty() && here.len() == there.len(), "{here:?} {there:?}");
    assert!(there.iter().zip(&here).all(close), "{here:?} {there:?}");
    let measured = run(with_gpu(at).unwrap(), "evaluate run --data numbers.json --json");
    succeeded(&measured);
    assert!(object(&measured)["device"].as_str().unwrap().contains("sm_"));
}

/// What is said to fit, fits: with parameters, moments, and what measures the network.
#[test]
fn a_batch_that_is_said_to_fit_a_gpu_fits() {
    let folder = folder();
    let at = folder.path();
    let Some(_) = with_gpu(at) else { return };
    let row = |i: usize| format!("{},{},{}\n", i % 97, i * 7 % 89, i * 5 % 83);
    std::fs::write(at.join("rows.csv"), (0..6000).fold("a,b,c\n".to_owned(), |text, i| text + &row(i)))
        .unwrap();
    let job = "[data]\nkind = \"table\"\npath = \"rows.csv\"\ntarget = \"c\"\n\
               [network]\nlayers = [{ linear = 128 }, \"tanh\", { linear = 128 }, \"tanh\", { linear = \"targets\" }]\n\
               [optimizer]\nkind = \"adam\"\n[train]\nepochs = 2\nvalidation = 0.1\n";
    std::fs::write(at.join("wide.toml"), job).unwrap();
    let train = |name: &str, set: &str| {
        let mut gpu = with_gpu(at).unwrap();
        gpu.env("IRONLEARN_SIM_MEMORY", "8000000");
        run(gpu, &format!("train wide.toml --device cuda --quiet --out {name} {set}"))
    };
    let output = train("all", "");
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(6), "{said}");
    let number = |before: &str| -> usize {
        let rest = said.split(before).nth(1).unwrap_or_else(|| panic!("{before}: {said}"));
        rest.split_whitespace().next().unwrap().parse().unwrap()
    };
    let (rows, portions) = (number("a batch of at most "), number("can be had in "));
    assert!((100..5400).contains(&rows), "{said}");
    succeeded(&train("rows", &format!("--set train.batch={rows}")));
    succeeded(&train("portions", &format!("--set train.accumulate={portions}")));
}

#[test]
fn precisions_of_products_on_a_gpu() {
    let folder = folder();
    let at = folder.path();
    for precision in ["full", "bf16", "tf32"] {
        let Some(gpu) = with_gpu(at) else { return };
        let arguments =
            format!("train classes.toml --out {precision} --set train.precision={precision} --json");
        let output = run(gpu, &arguments);
        succeeded(&output);
        assert!(object(&output)["loss"].as_f64().unwrap().is_finite());
    }
}

#[test]
fn a_gpu_that_fails_ends_the_run_and_leaves_the_last_good_checkpoint() {
    let folder = folder();
    let at = folder.path();
    let Some(gpu) = with_gpu(at) else { return };
    succeeded(&run(gpu, "train regression.toml --out run --max-steps 5 --quiet"));
    let before = std::fs::read(at.join("run/last.safetensors")).unwrap();
    let mut gpu = with_gpu(at).unwrap();
    gpu.env("IRONLEARN_SIM_LOSE", "7");
    let lost = run(gpu, "resume run");
    let said = text(&lost.stderr);
    assert_eq!(lost.status.code(), Some(5), "{said}");
    assert!(
        said.contains("error: the device failed: ") && said.contains("the last checkpoint is good"),
        "{said}"
    );
    assert_eq!(std::fs::read(at.join("run/last.safetensors")).unwrap(), before);
    succeeded(&run(with_gpu(at).unwrap(), "resume run --quiet"));
}

#[test]
fn what_is_missing_is_said_with_its_remedy() {
    let folder = folder();
    let at = folder.path();
    let Some(libraries) = standin::folder() else { return };
    let second = run(with_gpu(at).unwrap(), "train regression.toml --device cuda:7");
    assert_eq!(second.status.code(), Some(2));
    assert!(text(&second.stderr).starts_with("error: --device cuda: there is no GPU number 7"));
    // The driver alone.
    let half = at.join("half");
    std::fs::create_dir(&half).unwrap();
    std::os::unix::fs::symlink(libraries.join("libcuda.so"), half.join("libcuda.so")).unwrap();
    let without = |arguments: &str| {
        let mut program = with_gpu(at).unwrap();
        program.env("LD_LIBRARY_PATH", &half);
        run(program, arguments)
    };
    let asked = without("train regression.toml --device cuda");
    assert_eq!(asked.status.code(), Some(2));
    let said = text(&asked.stderr);
    assert!(
        said.contains("--device cuda: the kernel compiler NVRTC") && said.contains("nvidia-cuda-nvrtc"),
        "{said}"
    );
    let auto = without("train regression.toml --out run");
    succeeded(&auto);
    let said = text(&auto.stderr);
    assert!(said.starts_with("warning: the GPU is not used: ") && said.contains("\ndevice: CPU ("), "{said}");
    let doctor = without("doctor --json");
    succeeded(&doctor);
    let [libraries, gpus, advice] =
        ["cuda_libraries", "gpus", "advice"].map(|key| object(&doctor)[key].clone());
    let found = |i: usize| libraries[i]["found"].is_string();
    assert_eq!([found(0), found(1), found(2)], [true, false, false], "{libraries}");
    assert!(gpus[0]["compute_capability"].is_string() && gpus[0]["memory_bytes"].is_number(), "{gpus}");
    assert!(advice.to_string().contains("nvidia-cublas") && advice.to_string().contains("nvidia-cuda-nvrtc"));
}

#[test]
fn a_profile_shows_the_kernels() {
    let folder = folder();
    let Some(gpu) = with_gpu(folder.path()) else { return };
    let output = run(gpu, "train regression.toml --out run --max-steps 5 --profile");
    succeeded(&output);
    let said = text(&output.stdout);
    assert!(said.contains("operations [layers]") && said.contains(" forward  dot"), "{said}");
}

#[test]
fn rates_of_a_gpu_are_measured() {
    let folder = folder();
    let Some(gpu) = with_gpu(folder.path()) else { return };
    let output = run(gpu, "bench --seconds 0 --json");
    succeeded(&output);
    let found = object(&output);
    assert!(found["device"].as_str().unwrap().contains("sm_"));
    let rates = found["rates"].as_array().unwrap();
    assert!(rates.len() == 9 && rates.iter().all(|row| row["rate"].is_number()), "{found}");
}
