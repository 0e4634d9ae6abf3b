//! CUDA without a GPU: libraries with the names and the functions of CUDA's own, over host memory, built by g++ from
//! `crates/cuda/standin`. A kernel's text is compiled for the CPU there; what the stand-in knows to refuse is told on
//! standard error. Its own variables, read once by a process:
//!
//! - `IRONLEARN_SIM_ORDER=seed`: threads of a block, and blocks, run in another strewn order; 0: in that of their numbers
//! - `IRONLEARN_SIM_MEMORY=bytes`: how large the device is
//! - `IRONLEARN_SIM_DEVICES=n`: so many devices, of one memory
//! - `IRONLEARN_SIM_LOSE=n`: the n-th launch fails, and the device with it
//! - `IRONLEARN_SIM_SANITIZE=address`: kernels are watched, where libasan was loaded before the program
//! - `IRONLEARN_SIM_CACHE=folder`: where compiled kernels are kept

use crate::tier::skipped;
use std::ffi::OsStr;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::{env, fs, io, process};

/// The libraries in the order in which they are loaded, each with its folder of sources.
const LIBRARIES: [(&str, &str); 4] = [
    ("libcuda.so", "cuda"),
    ("libnvrtc.so", "nvrtc"),
    ("libcublasLt.so", "cublaslt"),
    ("libnccl.so", "nccl"),
];

const FLAGS: [&str; 7] =
    ["-std=c++17", "-O1", "-fPIC", "-shared", "-fvisibility=hidden", "-fwrapv", "-ffp-contract=off"];

/// The folder with the libraries, for `LD_LIBRARY_PATH`; `None`, and a line that says so, where they cannot be built.
///
/// # Panics
/// Where g++ refuses the sources, or the folder cannot be written.
pub fn folder() -> Option<&'static Path> {
    static FOLDER: OnceLock<Option<PathBuf>> = OnceLock::new();
    FOLDER.get_or_init(|| ready().map_err(|why| skipped("the stand-in for CUDA", why)).ok()).as_deref()
}

/// Makes this process use the stand-in, if CUDA was not looked for before. False where there is none.
///
/// # Panics
/// As [`folder`], and where the libraries that it built cannot be loaded.
#[cfg(unix)]
pub fn load() -> bool {
    static LOADED: OnceLock<bool> = OnceLock::new();
    *LOADED.get_or_init(|| {
        let Some(folder) = folder() else { return false };
        for (library, _) in LIBRARIES {
            use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_NOW};
            // SAFETY: what runs on loading is the stand-in's own: constructors of its variables.
            let loaded = unsafe { Library::open(Some(folder.join(library)), RTLD_NOW | RTLD_GLOBAL) };
            // Never closed: whoever asks for the name from now on gets this one.
            std::mem::forget(loaded.unwrap_or_else(|e| panic!("{library}: {e}")));
        }
        true
    })
}

/// Makes this process use the stand-in, which there is none of on this system.
#[cfg(not(unix))]
pub fn load() -> bool {
    folder().is_some()
}

fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../cuda/standin")
}

fn target() -> PathBuf {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    workspace.join(env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into()))
}

/// Files of a folder of sources, in the order of their names.
fn files(folder: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(sources().join(folder)).unwrap_or_else(|e| panic!("{folder}: {e}"));
    let mut files: Vec<_> =
        entries.map(|entry| entry.unwrap_or_else(|e| panic!("{folder}: {e}")).path()).collect();
    files.sort();
    files
}

/// The folder for the present sources, built if nobody did so before.
fn ready() -> Result<PathBuf, &'static str> {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        return Err("it is written for Linux on x86-64");
    }
    if Command::new("g++").arg("--version").stdout(Stdio::null()).status().is_err() {
        return Err("there is no g++");
    }
    let mut hash = DefaultHasher::new();
    FLAGS.hash(&mut hash);
    for path in ["sim", "cuda", "nvrtc", "cublaslt", "nccl"].into_iter().flat_map(files) {
        (path.file_name(), fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display())))
            .hash(&mut hash);
    }
    let folder = target().join(format!("standin/{:016x}", hash.finish()));
    if !folder.exists() {
        // Several processes may come here at once: each builds, and the first one gives it the name.
        let own = folder.with_extension(process::id().to_string());
        build(&own).unwrap_or_else(|e| panic!("the stand-in for CUDA, {}: {e}", own.display()));
        if let Err(e) = fs::rename(&own, &folder) {
            assert!(folder.exists(), "{}: {e}", folder.display());
            // Another one was first; what is left of this one is in nobody's way.
            let _ = fs::remove_dir_all(&own);
        }
    }
    Ok(folder.canonicalize().unwrap_or(folder))
}

fn build(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder.join("sim"))?;
    for header in files("sim") {
        fs::copy(&header, folder.join("sim").join(header.file_name().unwrap_or_default()))?;
    }
    // libcublasLt and libnccl refer to libcuda, and so wait for it.
    let [cuda, nvrtc, cublaslt, nccl] =
        LIBRARIES.map(|(library, sources)| move || compile(folder, library, sources));
    let (cuda, nvrtc) = (cuda()?, nvrtc()?);
    finish(cuda)?;
    finish(cublaslt()?)?;
    finish(nccl()?)?;
    finish(nvrtc)
}

fn compile(folder: &Path, library: &str, sources: &str) -> io::Result<Child> {
    let mut compiler = Command::new("g++");
    compiler.env_remove("LD_PRELOAD"); // g++ itself is not to be watched
    compiler.args(FLAGS);
    compiler.args(files(sources).iter().filter(|file| file.extension() == Some(OsStr::new("cpp"))));
    compiler.arg("-o").arg(folder.join(library)).arg(format!("-Wl,-soname,{library},-rpath,$ORIGIN"));
    if matches!(sources, "cublaslt" | "nccl") {
        compiler.arg("-L").arg(folder).arg("-l:libcuda.so");
    }
    compiler.spawn()
}

fn finish(mut compiler: Child) -> io::Result<()> {
    if compiler.wait()?.success() { Ok(()) } else { Err(io::Error::other("g++ refuses it")) }
}
