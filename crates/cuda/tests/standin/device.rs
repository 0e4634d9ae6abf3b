//! A device to call, and kernels for it.

use cudarc::driver::sys::{self, CUcontext, CUdeviceptr, CUfunction, CUmodule, CUresult, CUstream};
use cudarc::nvrtc::sys::{self as nvrtc, nvrtcProgram, nvrtcResult};
use std::any::Any;
use std::ffi::{CStr, CString, c_void};
use std::mem::size_of_val;
use std::ptr::{from_ref, null, null_mut};

pub const OK: CUresult = CUresult::CUDA_SUCCESS;

/// Calls a function of the driver, or of the library in brackets.
macro_rules! cu {
    ([$($library:tt)*] $function:ident($($argument:expr),* $(,)?)) => {{
        // SAFETY: pointers are to what outlives the call, or stand for the very mistake that is tested.
        unsafe { $($library)*::$function($($argument),*) }
    }};
    ($function:ident($($argument:expr),* $(,)?)) => {
        $crate::device::cu!([cudarc::driver::sys] $function($($argument),*))
    };
}

/// Launches a function with arguments on the stream of a device.
macro_rules! launch {
    ($device:expr, $function:expr, $grid:expr, $block:expr, $shared:expr $(, $argument:expr)*) => {
        $device.launch($function, $grid, $block, $shared, &[$(&$argument as &dyn std::any::Any),*])
    };
}

pub(crate) use {cu, launch};

pub struct Device {
    pub stream: CUstream,
}

impl Device {
    /// `None` where there is no stand-in, which is said once.
    pub fn open() -> Option<Device> {
        if !ironlearn_testkit::standin::load() {
            return None;
        }
        let (mut device, mut context, mut stream): (_, CUcontext, _) = (0, null_mut(), null_mut());
        assert_eq!(cu!(cuInit(0)), OK);
        assert_eq!(cu!(cuDeviceGet(&mut device, 0)), OK);
        assert_eq!(cu!(cuDevicePrimaryCtxRetain(&mut context, device)), OK);
        assert_eq!(cu!(cuCtxSetCurrent(context)), OK);
        assert_eq!(cu!(cuStreamCreate(&mut stream, 1)), OK);
        Some(Device { stream })
    }

    /// Memory on the device with these values.
    pub fn with<T: Copy>(&self, values: &[T]) -> CUdeviceptr {
        let at = self.empty(size_of_val(values));
        assert_eq!(cu!(cuMemcpyHtoD_v2(at, values.as_ptr().cast(), size_of_val(values))), OK);
        at
    }

    pub fn empty(&self, bytes: usize) -> CUdeviceptr {
        let mut at = 0;
        assert_eq!(cu!(cuMemAlloc_v2(&mut at, bytes)), OK);
        at
    }

    pub fn read<T: Copy + Default>(&self, at: CUdeviceptr, count: usize) -> Vec<T> {
        let mut values = vec![T::default(); count];
        let bytes = size_of_val(values.as_slice());
        assert_eq!(cu!(cuMemcpyDtoH_v2(values.as_mut_ptr().cast(), at, bytes)), OK);
        values
    }

    /// A function of a text that is compiled for the device.
    pub fn function(&self, text: &str, name: &str) -> CUfunction {
        let module = self.module(&compile(text, &["--gpu-architecture=sm_90"]).unwrap());
        let name = CString::new(name).unwrap();
        let mut function = null_mut();
        assert_eq!(cu!(cuModuleGetFunction(&mut function, module, name.as_ptr())), OK);
        function
    }

    pub fn launch(
        &self,
        function: CUfunction,
        [x, y, z]: [u32; 3],
        [threads_x, threads_y, threads_z]: [u32; 3],
        shared: u32,
        arguments: &[&dyn Any],
    ) -> CUresult {
        let mut places: Vec<*mut c_void> = arguments.iter().map(|&a| from_ref(a).cast_mut().cast()).collect();
        let (places, stream) = (places.as_mut_ptr(), self.stream);
        cu!(cuLaunchKernel(
            function,
            x,
            y,
            z,
            threads_x,
            threads_y,
            threads_z,
            shared,
            stream,
            places,
            null_mut()
        ))
    }

    pub fn module(&self, cubin: &[u8]) -> CUmodule {
        let mut module = null_mut();
        assert_eq!(cu!(cuModuleLoadData(&mut module, cubin.as_ptr().cast())), OK);
        module
    }
}

/// What NVRTC makes of a text, or its log.
pub fn compile(text: &str, options: &[&str]) -> Result<Vec<u8>, (nvrtcResult, String)> {
    const OK: nvrtcResult = nvrtcResult::NVRTC_SUCCESS;
    let (text, name) = (CString::new(text).unwrap(), c"kernels.cu");
    let mut program: nvrtcProgram = null_mut();
    let made = cu!([nvrtc] nvrtcCreateProgram(&mut program, text.as_ptr(), name.as_ptr(), 0, null(), null()));
    assert_eq!(made, OK);
    let options: Vec<_> = options.iter().map(|&option| CString::new(option).unwrap()).collect();
    let pointers: Vec<_> = options.iter().map(|option| option.as_ptr()).collect();
    let result = cu!([nvrtc] nvrtcCompileProgram(program, pointers.len() as i32, pointers.as_ptr()));
    let mut size = 0;
    assert_eq!(cu!([nvrtc] nvrtcGetProgramLogSize(program, &mut size)), OK);
    let mut log = vec![0u8; size];
    assert_eq!(cu!([nvrtc] nvrtcGetProgramLog(program, log.as_mut_ptr().cast())), OK);
    assert_eq!(cu!([nvrtc] nvrtcGetCUBINSize(program, &mut size)), OK);
    let mut cubin = vec![0u8; size];
    if result == OK && size > 0 {
        assert_eq!(cu!([nvrtc] nvrtcGetCUBIN(program, cubin.as_mut_ptr().cast())), OK);
    }
    assert_eq!(cu!([nvrtc] nvrtcDestroyProgram(&mut program)), OK);
    let log = CStr::from_bytes_until_nul(&log).unwrap().to_string_lossy().into_owned();
    if result == OK { Ok(cubin) } else { Err((result, log)) }
}

/// What the device says once all its work is done.
pub fn synchronize(device: &Device) -> CUresult {
    cu!([sys] cuStreamSynchronize(device.stream))
}
