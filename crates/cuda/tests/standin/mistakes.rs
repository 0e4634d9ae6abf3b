//! Mistakes, and how the device names them. Those that it does not survive are made in a process of their own.

use crate::apart::apart;
use crate::device::{Device, OK, cu, launch, synchronize};
use cudarc::driver::sys::{CUdeviceptr, CUresult, CUstream};
use std::ffi::CStr;
use std::ptr::null_mut;

/// A text with a mistake, launched with 64 threads and room for 64 numbers: what the device says from then on.
fn lose(text: &str) -> CUresult {
    let device = Device::open().unwrap();
    let (function, y) = (device.function(text, "wrong"), device.empty(4 * 64));
    assert_eq!(launch!(device, function, [2, 1, 1], [64, 1, 1], 0, y), OK, "a launch does not wait");
    let result = synchronize(&device);
    for other in [
        cu!(cuMemAlloc_v2(&mut 0, 4)),
        cu!(cuMemcpyDtoH_v2([0u32].as_mut_ptr().cast(), y, 4)),
        launch!(device, function, [1, 1, 1], [64, 1, 1], 0, y),
        cu!(cuCtxSynchronize()),
    ] {
        assert_eq!(other, result, "it stays so");
    }
    result
}

/// Expects a text on standard error of the process in which `body` runs, with the threads in the order of their numbers.
fn told(test: &str, body: fn(), expected: &[&str]) {
    let Some((_, told)) = apart(test, &[("IRONLEARN_SIM_ORDER", "0")], body) else { return };
    for text in expected {
        assert!(told.contains(text), "{text:?} is not in:\n{told}");
    }
}

#[test]
fn a_barrier_that_half_of_a_block_reaches() {
    let body = || {
        let text = "extern \"C\" __global__ void wrong(int* y) {\n    if (threadIdx.x < 32) {\n        __syncthreads();\n    }\n}";
        assert_eq!(lose(text), CUresult::CUDA_ERROR_LAUNCH_FAILED);
    };
    let expected = [
        "kernel wrong, block (0,0,0), thread (31,0,0), line 3: __syncthreads is reached by a part of the block",
    ];
    told("mistakes::a_barrier_that_half_of_a_block_reaches", body, &expected);
}

#[test]
fn threads_at_different_barriers() {
    let body = || {
        let text = "extern \"C\" __global__ void wrong(int* y) {\nif (threadIdx.x < 32)\n__syncthreads();\nelse\n__syncthreads();\n}";
        assert_eq!(lose(text), CUresult::CUDA_ERROR_LAUNCH_FAILED);
    };
    told(
        "mistakes::threads_at_different_barriers",
        body,
        &["line 3: deadlock: other threads wait at the __syncthreads of line 5"],
    );
}

#[test]
fn a_shuffle_that_a_lane_does_not_reach() {
    let body = || {
        let text = "extern \"C\" __global__ void wrong(int* y) { if (threadIdx.x % 32) y[threadIdx.x] = __shfl_sync(~0u, 1, 0); else __syncthreads(); }";
        assert_eq!(lose(text), CUresult::CUDA_ERROR_LAUNCH_FAILED);
    };
    told(
        "mistakes::a_shuffle_that_a_lane_does_not_reach",
        body,
        &["deadlock: __shfl_sync waits for lanes of mask ffffffff"],
    );
}

#[test]
fn a_null_pointer_that_is_followed() {
    let body = || {
        let text = "extern \"C\" __global__ void wrong(int* y) { if (blockIdx.x == 1 && threadIdx.x == 5) y = nullptr; y[threadIdx.x] = 1; }";
        assert_eq!(lose(text), CUresult::CUDA_ERROR_ILLEGAL_ADDRESS);
    };
    told(
        "mistakes::a_null_pointer_that_is_followed",
        body,
        &["kernel wrong, block (1,0,0), thread (5,0,0): reads or writes address 0x14"],
    );
}

#[test]
fn a_wide_read_from_an_odd_place() {
    let body = || {
        let text = "extern \"C\" __global__ void wrong(int* y) { ((uint4*)(y + (threadIdx.x == 5)))[threadIdx.x / 8].x += 1; }";
        assert_eq!(lose(text), CUresult::CUDA_ERROR_MISALIGNED_ADDRESS);
    };
    told(
        "mistakes::a_wide_read_from_an_odd_place",
        body,
        &["kernel wrong, block (0,0,0), thread (5,0,0): reads or writes several bytes where"],
    );
}

#[test]
fn a_write_behind_an_allocation() {
    let body = || {
        let text = "extern \"C\" __global__ void wrong(int* y) { y[64 + threadIdx.x] = 1; }";
        assert_eq!(lose(text), CUresult::CUDA_ERROR_ILLEGAL_ADDRESS);
    };
    told(
        "mistakes::a_write_behind_an_allocation",
        body,
        &["kernel wrong, block (0,0,0), thread (0,0,0): reads or writes address"],
    );
}

#[test]
fn a_pointer_to_what_was_freed() {
    let body = || {
        let device = Device::open().unwrap();
        let function = device.function("extern \"C\" __global__ void wrong(int* y, int* z) {}", "wrong");
        let (y, z) = (device.empty(4), device.empty(4));
        assert_eq!(cu!(cuMemFree_v2(z)), OK);
        assert_eq!(launch!(device, function, [1, 1, 1], [1, 1, 1], 0, y, z), OK);
        assert_eq!(synchronize(&device), CUresult::CUDA_ERROR_ILLEGAL_ADDRESS);
    };
    told("mistakes::a_pointer_to_what_was_freed", body, &["kernel wrong: argument 1 is 0x"]);
}

#[test]
fn a_launch_that_is_lost() {
    let body = || {
        let device = Device::open().unwrap();
        let text = "extern \"C\" __global__ void count(int* y) { *y += 1; }";
        let (function, y) = (device.function(text, "count"), device.with(&[0i32]));
        for _ in 0..2 {
            assert_eq!(launch!(device, function, [1, 1, 1], [1, 1, 1], 0, y), OK);
        }
        assert_eq!(device.read::<i32>(y, 1), [2]);
        assert_eq!(launch!(device, function, [1, 1, 1], [1, 1, 1], 0, y), OK);
        assert_eq!(synchronize(&device), CUresult::CUDA_ERROR_ILLEGAL_ADDRESS);
    };
    apart("mistakes::a_launch_that_is_lost", &[("IRONLEARN_SIM_LOSE", "3")], body);
}

#[test]
fn a_small_device_is_full() {
    let body = || {
        let _device = Device::open().unwrap();
        let (mut available, mut total, mut at) = (0, 0, 0);
        assert_eq!(cu!(cuMemGetInfo_v2(&mut available, &mut total)), OK);
        assert_eq!((available, total), (4096, 4096));
        assert_eq!(cu!(cuMemAlloc_v2(&mut at, 4097)), CUresult::CUDA_ERROR_OUT_OF_MEMORY);
        assert_eq!(cu!(cuMemAlloc_v2(&mut at, 4000)), OK);
        assert_eq!(cu!(cuMemAlloc_v2(&mut 0, 1)), CUresult::CUDA_ERROR_OUT_OF_MEMORY);
        assert_eq!(cu!(cuMemFree_v2(at)), OK, "that is no error that stays");
        assert_eq!(cu!(cuMemAlloc_v2(&mut at, 4096)), OK);
    };
    apart("mistakes::a_small_device_is_full", &[("IRONLEARN_SIM_MEMORY", "4096")], body);
}

#[test]
fn copies_and_fills_stay_inside() {
    let Some(device) = Device::open() else { return };
    let (at, mut host) = (device.with(&[5u32; 16]), [0u32; 32]);
    let invalid = CUresult::CUDA_ERROR_INVALID_VALUE;
    let inside = at + 4;
    assert_eq!(cu!(cuMemcpyDtoH_v2(host.as_mut_ptr().cast(), inside, 64)), invalid);
    assert_eq!(cu!(cuMemcpyHtoD_v2(inside, host.as_ptr().cast(), 64)), invalid);
    assert_eq!(cu!(cuMemcpyHtoDAsync_v2(at - 4, host.as_ptr().cast(), 4, device.stream)), invalid);
    assert_eq!(cu!(cuMemcpyDtoDAsync_v2(at, inside, 64, device.stream)), invalid);
    assert_eq!(cu!(cuMemsetD8Async(inside, 0, 61, device.stream)), invalid);
    assert_eq!(cu!(cuMemsetD32Async(at + 2, 0, 1, device.stream)), invalid, "not aligned");
    assert_eq!(cu!(cuMemcpyDtoH_v2(null_mut(), at, 4)), invalid);
    assert_eq!(device.read::<u32>(at, 16), [5; 16], "nothing was done, and nothing stays");
    assert_eq!(cu!(cuMemFree_v2(inside)), invalid);
    assert_eq!(cu!(cuMemFree_v2(at)), OK);
    assert_eq!(cu!(cuMemFree_v2(at)), invalid);
}

#[test]
fn handles_and_arguments_are_looked_at() {
    let Some(device) = Device::open() else { return };
    let handle = CUresult::CUDA_ERROR_INVALID_HANDLE;
    let mut stream: CUstream = null_mut();
    assert_eq!(cu!(cuStreamCreate(&mut stream, 0)), OK);
    assert_eq!(cu!(cuStreamDestroy_v2(stream)), OK);
    assert_eq!(cu!(cuStreamDestroy_v2(stream)), handle);
    assert_eq!(cu!(cuStreamSynchronize(stream)), handle);
    let function = device.function("extern \"C\" __global__ void f(int* y) {}", "f");
    let mut places = [null_mut()];
    let no_arguments =
        cu!(cuLaunchKernel(function, 1, 1, 1, 1, 1, 1, 0, device.stream, null_mut(), null_mut()));
    assert_eq!(no_arguments, CUresult::CUDA_ERROR_INVALID_VALUE);
    let null_argument =
        cu!(cuLaunchKernel(function, 1, 1, 1, 1, 1, 1, 0, device.stream, places.as_mut_ptr(), null_mut()));
    assert_eq!(null_argument, CUresult::CUDA_ERROR_INVALID_VALUE);
    let nothing: CUdeviceptr = 0;
    assert_eq!(launch!(device, function, [1, 1, 1], [1, 1, 1], 0, nothing), OK, "null is a good argument");
    let without_context = std::thread::spawn(|| cu!(cuMemAlloc_v2(&mut 0, 4))).join().unwrap();
    assert_eq!(without_context, CUresult::CUDA_ERROR_INVALID_CONTEXT);
    assert_eq!(
        cu!(cuModuleLoadData(&mut null_mut(), c"no image at all".as_ptr().cast())),
        CUresult::CUDA_ERROR_INVALID_IMAGE
    );
    let mut name = std::ptr::null();
    assert_eq!(cu!(cuGetErrorName(handle, &mut name)), OK);
    assert_eq!(cu!([CStr] from_ptr(name)), c"CUDA_ERROR_INVALID_HANDLE");
}
