//! Kernels from their text to their results.

use crate::apart::apart;
use crate::device::{Device, OK, compile, cu, launch, synchronize};
use cudarc::driver::sys::{CUfunction_attribute as Attribute, CUresult};
use cudarc::nvrtc::sys::nvrtcResult;
use std::ptr::null_mut;

const BIAS_TANH: &str = r#"
// A comment that names extern "C" __global__ void no_kernel(int) does not make one.
__device__ __forceinline__ float act(float x) { return tanh(x); }
extern "C" __global__ void __launch_bounds__(256) bias_tanh(float* __restrict__ y, const float* __restrict__ b,
                                                            long long rows, int cols, unsigned char set) {
    long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x;
    if (i >= rows * cols) return;
    y[i] = act(y[i] + b[i % cols]);
    if (set) y[i] = -1.0f;
}
"#;

#[test]
fn a_kernel_end_to_end() {
    let Some(device) = Device::open() else { return };
    let (rows, cols) = (301i64, 7i32);
    let x: Vec<f32> = (0..rows * i64::from(cols)).map(|i| (i as f32 * 0.37).sin()).collect();
    let bias: Vec<f32> = (0..cols).map(|i| i as f32 * 0.1).collect();
    let (y, b) = (device.with(&x), device.with(&bias));
    let function = device.function(BIAS_TANH, "bias_tanh");
    let blocks = (x.len() as u32).div_ceil(256);
    assert_eq!(launch!(device, function, [blocks, 1, 1], [256, 1, 1], 0, y, b, rows, cols, 0u8), OK);
    assert_eq!(synchronize(&device), OK);
    for (i, y) in device.read::<f32>(y, x.len()).into_iter().enumerate() {
        let expected = (f64::from(x[i]) + f64::from(bias[i % cols as usize])).tanh();
        assert!((f64::from(y) - expected).abs() < 1e-6, "{i}: {y} {expected}");
    }
}

#[test]
fn a_function_tells_its_parameters_and_limits() {
    let Some(device) = Device::open() else { return };
    let function = device.function(BIAS_TANH, "bias_tanh");
    let mut found = Vec::new();
    let (mut offset, mut size) = (0, 0);
    while cu!(cuFuncGetParamInfo(function, found.len(), &mut offset, &mut size)) == OK {
        found.push((offset, size));
    }
    assert_eq!(found, [(0, 8), (8, 8), (16, 8), (24, 4), (28, 1)]);
    let mut threads = 0;
    let most = Attribute::CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK;
    assert_eq!(cu!(cuFuncGetAttribute(&mut threads, most, function)), OK);
    assert_eq!(threads, 256);
    let invalid = CUresult::CUDA_ERROR_INVALID_VALUE;
    let (y, b) = (device.empty(4), device.empty(4));
    for (grid, block, shared) in [
        ([1, 1, 1], [257, 1, 1], 0),
        ([0, 1, 1], [32, 1, 1], 0),
        ([1, 65536, 1], [32, 1, 1], 0),
        ([1, 1, 1], [1, 1, 65], 0),
        ([1, 1, 1], [32, 1, 1], 48 * 1024 + 1),
    ] {
        assert_eq!(
            launch!(device, function, grid, block, shared, y, b, 0i64, 1i32, 0u8),
            invalid,
            "{grid:?} {block:?}"
        );
    }
    let dynamic = Attribute::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES;
    assert_eq!(cu!(cuFuncSetAttribute(function, dynamic, 227 * 1024 + 1)), invalid);
    assert_eq!(cu!(cuFuncSetAttribute(function, dynamic, 227 * 1024)), OK);
    assert_eq!(launch!(device, function, [1, 1, 1], [32, 1, 1], 227 * 1024, y, b, 0i64, 1i32, 0u8), OK);
    let missing = CUresult::CUDA_ERROR_NOT_FOUND;
    let module = device.module(&compile(BIAS_TANH, &["--gpu-architecture=sm_90"]).unwrap());
    assert_eq!(cu!(cuModuleGetFunction(&mut null_mut(), module, c"no_kernel".as_ptr())), missing);
}

#[test]
fn shared_memory_begins_as_nan_in_every_block() {
    let text = r#"
        template <int N> __device__ __forceinline__ float& of_template(int i) {
            __shared__ float s[N];
            return s[i];
        }
        extern "C" __global__ void fill(float* y) {
            __shared__ __align__(16) float s[8][4];
            IL_DYNAMIC_SHARED(float, d);
            int t = threadIdx.x;
            y[blockIdx.x * 32 + t] = isnan(s[t / 4][t % 4]) + 10 * isnan(d[t]) + 100 * isnan(of_template<32>(t));
            __syncthreads();
            s[t / 4][t % 4] = d[t] = of_template<32>(t) = 3.0f;
        }"#;
    let Some(device) = Device::open() else { return };
    let (function, y) = (device.function(text, "fill"), device.empty(4 * 96));
    assert!(device.read::<f32>(y, 96).iter().all(|x| x.is_nan()), "new memory");
    assert_eq!(launch!(device, function, [3, 1, 1], [32, 1, 1], 128, y), OK);
    assert_eq!(device.read::<f32>(y, 96), [111.0; 96]);
    let mut bytes = 0;
    let shared = Attribute::CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES;
    assert_eq!(cu!(cuFuncGetAttribute(&mut bytes, shared, function)), OK);
    assert_eq!(bytes, 128);
    let too_much = 48 * 1024 - 127;
    let invalid = CUresult::CUDA_ERROR_INVALID_VALUE;
    assert_eq!(launch!(device, function, [3, 1, 1], [32, 1, 1], too_much, y), invalid, "in all");
    assert_eq!(launch!(device, function, [3, 1, 1], [32, 1, 1], too_much - 1, y), OK);
}

/// Each thread reads what its neighbour wrote; `BARRIER` decides whether it waits for it.
const NEIGHBOUR: &str = r#"
    extern "C" __global__ void neighbour(int* y) {
        __shared__ int s[256];
        s[threadIdx.x] = threadIdx.x;
        BARRIER
        y[threadIdx.x] = s[(threadIdx.x + 37) % 256];
    }"#;

fn neighbour() {
    let device = Device::open().unwrap();
    for (name, barrier) in [("with", "__syncthreads();"), ("without", "")] {
        let function = device.function(&NEIGHBOUR.replace("BARRIER", barrier), "neighbour");
        let y = device.empty(4 * 256);
        assert_eq!(launch!(device, function, [1, 1, 1], [256, 1, 1], 0, y), OK);
        println!("{name}: {:?}", device.read::<i32>(y, 256));
    }
}

#[test]
fn a_missing_barrier_shows_in_another_order() {
    let run = |seed| {
        apart(
            "kernels::a_missing_barrier_shows_in_another_order",
            &[("IRONLEARN_SIM_ORDER", seed)],
            neighbour,
        )
    };
    let (Some((first, _)), Some((second, _))) = (run("1"), run("2")) else { return };
    let line = |text: &str, name: &str| {
        let begin = format!("{name}: ");
        text.lines().find_map(|line| Some(line.split_once(&begin)?.1.to_owned())).unwrap()
    };
    assert_eq!(line(&first, "with"), line(&second, "with"));
    assert_ne!(line(&first, "without"), line(&second, "without"));
    assert_eq!(line(&first, "with"), format!("{:?}", (0..256).map(|i| (i + 37) % 256).collect::<Vec<_>>()));
}

/// Each thread copies two numbers, of which its neighbour reads both; so many groups of copies may still be under way.
const COPIES: &str = r#"
    extern "C" __global__ void copies(const int4* x, int* y) {
        __shared__ int4 s[2][64];
        for (int i = 0; i < 2; i++) {
            il_sim::copy_async(&s[i][threadIdx.x], x + 64 * i + threadIdx.x, 16, threadIdx.x == 5 ? 8 : 16);
            il_sim::commit(il_sim::Later::Copy);
        }
        WAIT
        __syncthreads();
        for (int i = 0; i < 2; i++) {
            int4 of = s[i][(threadIdx.x + 1) % 64];
            y[64 * i + threadIdx.x] = of.x + of.y + of.z + of.w;
        }
    }"#;

#[test]
fn a_copy_that_nobody_waits_for_is_not_there() {
    let Some(device) = Device::open() else { return };
    let x: Vec<i32> = (0..512).collect();
    let at = device.with(&x);
    let sum = |i: usize| {
        let neighbour = i / 64 * 64 + (i + 1) % 64;
        // Of one of them the second half is not read.
        x[4 * neighbour..][..if neighbour % 64 == 5 { 2 } else { 4 }].iter().sum::<i32>()
    };
    const NOTHING: i32 = -4; // all bits, four times
    for (wait, there) in [
        ("il_sim::wait(il_sim::Later::Copy, 0);", 128),
        ("il_sim::wait(il_sim::Later::Copy, 1);", 64),
        ("", 0),
    ] {
        let function = device.function(&COPIES.replace("WAIT", wait), "copies");
        let y = device.empty(4 * 128);
        assert_eq!(launch!(device, function, [1, 1, 1], [64, 1, 1], 0, at, y), OK);
        let right = (0..128).map(|i| if i < there { sum(i) } else { NOTHING }).collect::<Vec<_>>();
        assert_eq!(device.read::<i32>(y, 128), right, "{wait:?}");
    }
}

#[test]
fn denormals_are_zero_where_that_is_asked() {
    let text = r#"extern "C" __global__ void half(float* y) { *y = *y * 0.5f; }"#;
    let Some(device) = Device::open() else { return };
    let least = f32::from_bits(2);
    for (option, expected) in [("-ftz=false", 1), ("--ftz=true", 0), ("--use_fast_math", 0)] {
        let module = device.module(&compile(text, &["-arch=sm_90", option]).unwrap());
        let (mut function, y) = (null_mut(), device.with(&[least]));
        assert_eq!(cu!(cuModuleGetFunction(&mut function, module, c"half".as_ptr())), OK);
        assert_eq!(launch!(device, function, [1, 1, 1], [1, 1, 1], 0, y), OK);
        assert_eq!(device.read::<u32>(y, 1), [expected], "{option}");
        assert_eq!(cu!(cuModuleUnload(module)), OK);
    }
}

#[test]
fn what_does_not_compile_is_told() {
    let Some(_device) = Device::open() else { return };
    let (result, log) = compile("\n\nextern \"C\" __global__ void f(int* y) { *y = x; }", &[]).unwrap_err();
    assert_eq!(result, nvrtcResult::NVRTC_ERROR_COMPILATION);
    assert!(log.contains("kernels.cu:3") && log.contains("was not declared in this scope"), "{log}");
    let (result, log) = compile("", &["--gpu-architecure=sm_90"]).unwrap_err();
    assert_eq!(result, nvrtcResult::NVRTC_ERROR_INVALID_OPTION);
    assert!(log.contains("--gpu-architecure=sm_90"), "{log}");
    assert_eq!(
        compile("", &["--gpu-architecture=compute_90"]).unwrap(),
        [],
        "no cubin for a virtual architecture"
    );
    assert!(
        !compile("static_assert(N == 3 && S == 1 && IL_SIM, \"\");", &["-arch=sm_90", "-D", "N=3", "-DS"])
            .unwrap()
            .is_empty()
    );
}
