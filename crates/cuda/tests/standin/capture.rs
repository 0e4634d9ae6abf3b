//! Streams that are captured, and the graphs that come of it.

use crate::device::{Device, OK, cu, launch, synchronize};
use cudarc::driver::sys::{CUgraph, CUgraphExec, CUresult, CUstreamCaptureMode_enum as Mode};
use std::ptr::null_mut;

const ADD: &str = r#"extern "C" __global__ void add(int* y, int n) { y[threadIdx.x] += n; }"#;

#[test]
fn a_graph_runs_when_it_is_launched() {
    let Some(device) = Device::open() else { return };
    let (function, y) = (device.function(ADD, "add"), device.with(&[0i32; 4]));
    let mut given = [10i32, 20, 30, 40];
    assert_eq!(cu!(cuStreamBeginCapture_v2(device.stream, Mode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL)), OK);
    assert_eq!(cu!(cuMemcpyHtoDAsync_v2(y, given.as_ptr().cast(), 16, device.stream)), OK);
    let mut n = 1i32;
    assert_eq!(launch!(device, function, [2, 1, 1], [4, 1, 1], 0, y, n), OK);
    n += 1; // what was captured has its own
    assert_eq!(launch!(device, function, [1, 1, 1], [4, 1, 1], 0, y, n), OK);
    let mut graph: CUgraph = null_mut();
    assert_eq!(cu!(cuStreamEndCapture(device.stream, &mut graph)), OK);
    assert_eq!(device.read::<i32>(y, 4), [0; 4], "nothing ran");

    let (mut exec, mut nodes): (CUgraphExec, usize) = (null_mut(), 0);
    assert_eq!(cu!(cuGraphGetNodes(graph, null_mut(), &mut nodes)), OK);
    assert_eq!(nodes, 3);
    assert_eq!(cu!(cuGraphInstantiateWithFlags(&mut exec, graph, 0)), OK);
    assert_eq!(cu!(cuGraphDestroy(graph)), OK);
    assert_eq!(cu!(cuGraphUpload(exec, device.stream)), OK);
    for add in 0..3 {
        given[0] = 10 + add; // the copy reads what is there at the time
        assert_eq!(cu!(cuGraphLaunch(exec, device.stream)), OK);
        assert_eq!(synchronize(&device), OK);
        assert_eq!(device.read::<i32>(y, 4), [14 + add, 24, 34, 44]);
    }
    assert_eq!(cu!(cuGraphExecDestroy(exec)), OK);
    assert_eq!(cu!(cuGraphLaunch(exec, device.stream)), CUresult::CUDA_ERROR_INVALID_HANDLE);
}

#[test]
fn what_is_forbidden_ends_a_capture() {
    let Some(device) = Device::open() else { return };
    let (unsupported, gone) =
        (CUresult::CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, CUresult::CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
    let y = device.with(&[0i32; 4]);
    let forbidden: [&dyn Fn() -> CUresult; 3] =
        [&|| cu!(cuMemAlloc_v2(&mut 0, 4)), &|| cu!(cuStreamSynchronize(device.stream)), &|| {
            cu!(cuCtxSynchronize())
        }];
    for call in forbidden {
        assert_eq!(
            cu!(cuStreamBeginCapture_v2(device.stream, Mode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL)),
            OK
        );
        assert_eq!(cu!(cuMemsetD8Async(y, 1, 16, device.stream)), OK);
        assert_eq!(call(), unsupported);
        assert_eq!(cu!(cuMemsetD8Async(y, 1, 16, device.stream)), gone);
        let mut graph: CUgraph = null_mut();
        assert_eq!(cu!(cuStreamEndCapture(device.stream, &mut graph)), gone);
        assert!(graph.is_null());
        assert_eq!(synchronize(&device), OK, "the stream is of use again");
    }
    assert_eq!(cu!(cuStreamEndCapture(device.stream, &mut null_mut())), CUresult::CUDA_ERROR_ILLEGAL_STATE);
    assert_eq!(cu!(cuStreamBeginCapture_v2(null_mut(), Mode::CU_STREAM_CAPTURE_MODE_RELAXED)), unsupported);
    assert_eq!(device.read::<i32>(y, 4), [0; 4]);
}

#[test]
fn an_event_takes_another_stream_into_the_capture() {
    let Some(device) = Device::open() else { return };
    let (mut other, mut fork, mut join) = (null_mut(), null_mut(), null_mut());
    assert_eq!(cu!(cuStreamCreate(&mut other, 1)), OK);
    assert_eq!(cu!(cuEventCreate(&mut fork, 2)), OK);
    assert_eq!(cu!(cuEventCreate(&mut join, 2)), OK);
    let y = device.with(&[0u32; 2]);
    for joined in [true, false] {
        assert_eq!(
            cu!(cuStreamBeginCapture_v2(device.stream, Mode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL)),
            OK
        );
        assert_eq!(cu!(cuEventRecord(fork, device.stream)), OK);
        assert_eq!(cu!(cuStreamWaitEvent(other, fork, 0)), OK);
        assert_eq!(cu!(cuMemsetD32Async(y, 7, 2, other)), OK);
        if joined {
            assert_eq!(cu!(cuEventRecord(join, other)), OK);
            assert_eq!(cu!(cuStreamWaitEvent(device.stream, join, 0)), OK);
        }
        let mut graph: CUgraph = null_mut();
        let expected = if joined { OK } else { CUresult::CUDA_ERROR_STREAM_CAPTURE_UNJOINED };
        assert_eq!(cu!(cuStreamEndCapture(device.stream, &mut graph)), expected);
        assert_eq!(graph.is_null(), !joined);
    }
    assert_eq!(device.read::<u32>(y, 2), [0; 2]);
}
