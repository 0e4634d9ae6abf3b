//! What this machine offers: processor, memory, CUDA libraries.

use std::path::{Path, PathBuf};

/// The processor's own name, where the system tells it.
pub fn processor() -> Option<String> {
    field(&read("/proc/cpuinfo")?, "model name")
}

/// The operating system as it calls itself.
pub fn system() -> String {
    read("/etc/os-release")
        .and_then(|text| text.lines().find_map(|line| line.strip_prefix("PRETTY_NAME=").map(str::to_owned)))
        .map_or_else(|| std::env::consts::OS.to_owned(), |name| name.trim_matches('"').to_owned())
}

/// Instruction sets of the processor that matter to the kernels.
pub fn instruction_sets() -> Vec<&'static str> {
    let mut found = Vec::new();
    #[cfg(target_arch = "x86_64")]
    {
        let sets = [
            ("sse4.2", is_x86_feature_detected!("sse4.2")),
            ("avx", is_x86_feature_detected!("avx")),
            ("avx2", is_x86_feature_detected!("avx2")),
            ("fma", is_x86_feature_detected!("fma")),
            ("f16c", is_x86_feature_detected!("f16c")),
            ("avx512f", is_x86_feature_detected!("avx512f")),
            ("avx512bw", is_x86_feature_detected!("avx512bw")),
            ("avx512vnni", is_x86_feature_detected!("avx512vnni")),
            ("avx512bf16", is_x86_feature_detected!("avx512bf16")),
        ];
        found.extend(sets.iter().filter(|(_, is_there)| *is_there).map(|(name, _)| *name));
        // No stable test in the standard library yet; Linux lists them.
        let flags = read("/proc/cpuinfo").and_then(|text| field(&text, "flags")).unwrap_or_default();
        let amx = ["amx_tile", "amx_int8", "amx_bf16"];
        found.extend(amx.iter().filter(|name| flags.split(' ').any(|flag| flag == **name)));
    }
    #[cfg(target_arch = "aarch64")]
    {
        let sets = [
            ("neon", std::arch::is_aarch64_feature_detected!("neon")),
            ("dotprod", std::arch::is_aarch64_feature_detected!("dotprod")),
            ("i8mm", std::arch::is_aarch64_feature_detected!("i8mm")),
            ("bf16", std::arch::is_aarch64_feature_detected!("bf16")),
        ];
        found.extend(sets.iter().filter(|(_, is_there)| *is_there).map(|(name, _)| *name));
    }
    found
}

/// Cores that this process may use.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, |cores| cores.get())
}

/// Which cores these are, where the system tells it.
pub fn core_list() -> String {
    read("/proc/self/status").and_then(|text| field(&text, "Cpus_allowed_list")).unwrap_or_default()
}

/// The name of this machine, where the system tells it.
pub fn host() -> String {
    read("/proc/sys/kernel/hostname").map_or_else(|| "this machine".into(), |name| name.trim().to_owned())
}

/// The most memory that this process has used so far, in bytes, where the system tells it.
pub fn peak_memory() -> Option<u64> {
    kibibytes(&read("/proc/self/status")?, "VmHWM")
}

/// Where a library of CUDA lies, if anywhere the loader looks: the driver, the compiler of kernels, matrix products, links.
pub fn cuda_library(name: &str) -> Option<PathBuf> {
    library(match name {
        "CUDA driver" => &["libcuda.so.1", "nvcuda.dll"],
        "NVRTC" => &["libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so"],
        "cuBLASLt" => &["libcublasLt.so.13", "libcublasLt.so.12", "libcublasLt.so"],
        "NCCL" => &["libnccl.so.2", "libnccl.so"],
        _ => &[],
    })
}

/// Folders in which a loader on Linux looks, beyond those of its variable.
const LIBRARY_FOLDERS: [&str; 9] = [
    "/lib",
    "/lib64",
    "/lib/x86_64-linux-gnu",
    "/lib/aarch64-linux-gnu",
    "/usr/lib64",
    "/usr/local/lib",
    "/usr/local/cuda/lib64",
    "/usr/local/nvidia/lib64",
    "/usr/lib/wsl/lib",
];

fn library(names: &[&str]) -> Option<PathBuf> {
    let variable = if cfg!(windows) { "PATH" } else { "LD_LIBRARY_PATH" };
    let folders = std::env::var_os(variable).unwrap_or_default();
    let folders = std::env::split_paths(&folders).chain(LIBRARY_FOLDERS.iter().map(PathBuf::from));
    let found = folders.flat_map(|folder| names.iter().map(move |name| folder.join(name)));
    found.filter(|path| !path.as_os_str().is_empty()).find(|path| path.is_file())
}

fn read(path: impl AsRef<Path>) -> Option<String> {
    std::fs::read_to_string(path).ok()
}

/// The value of the first line `name : value`.
fn field(text: &str, name: &str) -> Option<String> {
    text.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == name).then(|| value.trim().to_owned())
    })
}

fn kibibytes(text: &str, name: &str) -> Option<u64> {
    let value = field(text, name)?;
    Some(value.strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_the_system_files() {
        let text = "processor\t: 0\nmodel name\t: A CPU @ 2:00\nVmHWM:\t  12 kB\n";
        assert_eq!(field(text, "model name").as_deref(), Some("A CPU @ 2:00"));
        assert_eq!(kibibytes(text, "VmHWM"), Some(12 * 1024));
        assert_eq!(kibibytes(text, "VmRSS"), None);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn linux_tells_its_memory() {
        assert!(peak_memory().unwrap() > 100_000);
    }
}
