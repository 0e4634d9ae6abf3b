//! The NVIDIA driver, loaded when it is first asked for: a device with its context and one stream, on which
//! everything is ordered.
//!
//! All calls go through `Context::call`: it binds the context to the thread, turns codes into errors, and after
//! a failure that ends a context refuses everything later with the first cause, so that nothing is asked of a
//! driver that is beyond answering, and nothing panics while unwinding.

mod event;
mod graph;
mod memory;
mod module;

pub use event::Event;
pub use graph::Graph;
pub use memory::{DeviceMemory, HostMemory};
pub use module::{Function, Module, Shape};

use crate::error::{CudaError, Library};
use cudarc::driver::sys;
use std::ffi::CStr;
use std::ptr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A device, its context, and the stream of all its work.
pub struct Context {
    device: sys::CUdevice,
    context: sys::CUcontext,
    stream: sys::CUstream,
    description: Description,
    /// The first failure that ended the context.
    lost: Mutex<Option<String>>,
    /// Held by the thread whose turn on the stream it is.
    turn: Mutex<()>,
    /// The calls of the driver so far, by name.
    #[cfg(test)]
    pub(crate) calls: Mutex<Vec<&'static str>>,
}

/// What a device is.
#[derive(Clone, Debug, PartialEq)]
pub struct Description {
    /// Its place among the devices, from 0.
    pub index: usize,
    /// Name.
    pub name: String,
    /// Compute capability, such as (9, 0).
    pub capability: (i32, i32),
    /// Streaming multiprocessors.
    pub multiprocessors: usize,
    /// Bytes of memory.
    pub memory: usize,
    /// The most bytes of shared memory that a block can ask for.
    pub shared: usize,
    /// What the driver supports, such as 13000 for CUDA 13.0.
    pub driver: i32,
}

// SAFETY: the handles are names of driver objects, which may be used from any thread that has bound the context;
// `call` binds it.
unsafe impl Send for Context {}
// SAFETY: as above; the driver locks.
unsafe impl Sync for Context {}

/// Codes after which a context answers nothing any more (CUDA Driver API, `CUresult`).
const ENDS_CONTEXT: [sys::CUresult; 10] = [
    sys::CUresult::CUDA_ERROR_ILLEGAL_ADDRESS,
    sys::CUresult::CUDA_ERROR_LAUNCH_TIMEOUT,
    sys::CUresult::CUDA_ERROR_ASSERT,
    sys::CUresult::CUDA_ERROR_HARDWARE_STACK_ERROR,
    sys::CUresult::CUDA_ERROR_ILLEGAL_INSTRUCTION,
    sys::CUresult::CUDA_ERROR_MISALIGNED_ADDRESS,
    sys::CUresult::CUDA_ERROR_INVALID_ADDRESS_SPACE,
    sys::CUresult::CUDA_ERROR_INVALID_PC,
    sys::CUresult::CUDA_ERROR_LAUNCH_FAILED,
    sys::CUresult::CUDA_ERROR_ECC_UNCORRECTABLE,
];

/// True where the driver's library can be loaded.
pub fn is_present() -> bool {
    // SAFETY: opens a library by its well-known name; never panics.
    unsafe { sys::is_culib_present() }
}

/// The result of a call that needs no context.
fn checked(call: &'static str, code: sys::CUresult) -> Result<(), CudaError> {
    if code == sys::CUresult::CUDA_SUCCESS {
        return Ok(());
    }
    Err(CudaError::Call { call, problem: name(code) })
}

/// The name and description of a code.
fn name(code: sys::CUresult) -> String {
    let text = |of: unsafe fn(sys::CUresult, *mut *const std::ffi::c_char) -> sys::CUresult| {
        let mut text = ptr::null();
        // SAFETY: the function writes a pointer to a string that lives as long as the library, or leaves null.
        let code = unsafe { of(code, &mut text) };
        (code == sys::CUresult::CUDA_SUCCESS && !text.is_null())
            // SAFETY: as above.
            .then(|| unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned())
    };
    let name = text(sys::cuGetErrorName).unwrap_or_else(|| format!("error {}", code as u32));
    match text(sys::cuGetErrorString) {
        Some(what) if what != name => format!("{name} ({what})"),
        _ => name,
    }
}

/// The devices that the driver sees.
pub fn devices() -> Result<Vec<Description>, CudaError> {
    let count = start()?;
    (0..count).map(describe).collect()
}

/// Loads and starts the driver, and counts the devices.
fn start() -> Result<usize, CudaError> {
    if !is_present() {
        return Err(CudaError::Missing { library: Library::Driver });
    }
    // SAFETY: the library is there; cuInit may be called any number of times.
    let code = unsafe { sys::cuInit(0) };
    if code == sys::CUresult::CUDA_ERROR_NO_DEVICE {
        return Ok(0);
    }
    checked("cuInit", code)?;
    let mut count = 0;
    // SAFETY: writes to a number that lives.
    checked("cuDeviceGetCount", unsafe { sys::cuDeviceGetCount(&mut count) })?;
    Ok(count.max(0) as usize)
}

fn handle(index: usize) -> Result<sys::CUdevice, CudaError> {
    let mut device = 0;
    // SAFETY: writes to a number that lives.
    checked("cuDeviceGet", unsafe { sys::cuDeviceGet(&mut device, index as i32) })?;
    Ok(device)
}

fn describe(index: usize) -> Result<Description, CudaError> {
    use sys::CUdevice_attribute::*;
    let device = handle(index)?;
    let attribute = |which| {
        let mut value = 0;
        // SAFETY: writes to a number that lives.
        checked("cuDeviceGetAttribute", unsafe { sys::cuDeviceGetAttribute(&mut value, which, device) })?;
        Ok(value)
    };
    let mut text = [0; 256];
    // SAFETY: writes at most 256 bytes, the last a zero.
    checked("cuDeviceGetName", unsafe { sys::cuDeviceGetName(text.as_mut_ptr(), 256, device) })?;
    let bytes: Vec<u8> = text.iter().take_while(|&&c| c != 0).map(|&c| c as u8).collect();
    let (mut memory, mut driver) = (0, 0);
    // SAFETY: writes to a number that lives.
    checked("cuDeviceTotalMem", unsafe { sys::cuDeviceTotalMem_v2(&mut memory, device) })?;
    // SAFETY: as above.
    checked("cuDriverGetVersion", unsafe { sys::cuDriverGetVersion(&mut driver) })?;
    Ok(Description {
        index,
        name: String::from_utf8_lossy(&bytes).into_owned(),
        capability: (
            attribute(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR)?,
            attribute(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR)?,
        ),
        multiprocessors: attribute(CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT)?.max(1) as usize,
        memory,
        shared: attribute(CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN)?.max(0) as usize,
        driver,
    })
}

impl Context {
    /// The context of a device.
    pub fn open(index: usize) -> Result<Arc<Context>, CudaError> {
        let found = start()?;
        if index >= found {
            return Err(CudaError::NoDevice { asked: index, found });
        }
        let (device, description) = (handle(index)?, describe(index)?);
        let mut context = ptr::null_mut();
        // SAFETY: writes a handle; the device is one that the driver has named.
        checked("cuDevicePrimaryCtxRetain", unsafe { sys::cuDevicePrimaryCtxRetain(&mut context, device) })?;
        let mut made = Context {
            device,
            context,
            stream: ptr::null_mut(),
            description,
            lost: Mutex::new(None),
            turn: Mutex::new(()),
            #[cfg(test)]
            calls: Mutex::default(),
        };
        let mut stream = ptr::null_mut();
        let flags = sys::CUstream_flags::CU_STREAM_NON_BLOCKING as u32;
        // SAFETY: writes a handle.
        made.call("cuStreamCreate", || unsafe { sys::cuStreamCreate(&mut stream, flags) })?;
        made.stream = stream;
        Ok(Arc::new(made))
    }

    /// What the device is.
    pub fn description(&self) -> &Description {
        &self.description
    }

    /// What names the device wherever it is seen.
    #[cfg(feature = "nccl")]
    pub fn uuid(&self) -> Result<[u8; 16], CudaError> {
        let mut uuid = sys::CUuuid { bytes: [0; 16] };
        // SAFETY: writes as many bytes as that.
        self.call("cuDeviceGetUuid", || unsafe { sys::cuDeviceGetUuid_v2(&mut uuid, self.device) })?;
        Ok(uuid.bytes.map(|byte| byte as u8))
    }

    /// The stream of all work.
    pub fn stream(&self) -> sys::CUstream {
        self.stream
    }

    /// Waits until no other thread uses the stream, and keeps others off it: while work is recorded, theirs would be
    /// recorded too. Whoever holds it must not ask for it again.
    pub fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Calls the driver with the context bound to this thread.
    pub(crate) fn call(
        &self,
        call: &'static str,
        f: impl FnOnce() -> sys::CUresult,
    ) -> Result<(), CudaError> {
        self.alive()?;
        #[cfg(test)]
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).push(call);
        // SAFETY: the handle is retained as long as `self` lives.
        let bound = unsafe { sys::cuCtxSetCurrent(self.context) };
        let code = if bound == sys::CUresult::CUDA_SUCCESS { f() } else { bound };
        if code == sys::CUresult::CUDA_SUCCESS {
            return Ok(());
        }
        let problem = name(code);
        if ENDS_CONTEXT.contains(&code) {
            self.lost(format!("{call} failed: {problem}"));
        }
        Err(CudaError::Call { call, problem })
    }

    /// An error where the context has ended.
    pub fn alive(&self) -> Result<(), CudaError> {
        match &*self.lost.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(first) => Err(CudaError::Lost { first: first.clone() }),
            None => Ok(()),
        }
    }

    /// Records why the context has ended; the first cause stays.
    pub(crate) fn lost(&self, cause: String) {
        self.lost.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(cause);
    }

    /// Waits until all work is done.
    pub fn synchronize(&self) -> Result<(), CudaError> {
        // SAFETY: the stream lives as long as `self`.
        self.call("cuStreamSynchronize", || unsafe { sys::cuStreamSynchronize(self.stream) })
    }

    /// Bytes of memory that are free, and all.
    pub fn memory(&self) -> Result<(usize, usize), CudaError> {
        let (mut free, mut total) = (0, 0);
        // SAFETY: writes to numbers that live.
        self.call("cuMemGetInfo", || unsafe { sys::cuMemGetInfo_v2(&mut free, &mut total) })?;
        Ok((free, total))
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        if !self.stream.is_null() {
            // SAFETY: made by `open`, and nothing uses it any more. After a failure `call` does nothing.
            let _ = self.call("cuStreamDestroy", || unsafe { sys::cuStreamDestroy_v2(self.stream) });
        }
        let device = self.device;
        // SAFETY: retained once by `open`.
        let _ =
            self.call("cuDevicePrimaryCtxRelease", || unsafe { sys::cuDevicePrimaryCtxRelease_v2(device) });
    }
}
