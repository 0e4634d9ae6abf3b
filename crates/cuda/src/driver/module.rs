//! Compiled kernels: loading them, and launching them with arguments that fit.

use super::Context;
use crate::error::CudaError;
use cudarc::driver::sys;
use std::ffi::{CString, c_void};
use std::ptr;
use std::sync::Arc;

/// Machine code on the device.
pub struct Module {
    context: Arc<Context>,
    module: sys::CUmodule,
}

// SAFETY: a name of a driver object; see `Context`.
unsafe impl Send for Module {}
// SAFETY: as above.
unsafe impl Sync for Module {}

/// A kernel of a module. All its parameters are words of eight bytes: addresses and counts.
#[derive(Clone, Copy)]
pub struct Function {
    function: sys::CUfunction,
    parameters: usize,
}

// SAFETY: a name of a driver object; see `Context`.
unsafe impl Send for Function {}
// SAFETY: as above.
unsafe impl Sync for Function {}

/// How many threads run a kernel, and with how much shared memory beyond what it declares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Blocks along three axes.
    pub grid: [u32; 3],
    /// Threads of a block.
    pub block: u32,
    /// Bytes of shared memory that the launch gives.
    pub shared: u32,
}

impl Module {
    /// Loads machine code.
    pub fn load(context: &Arc<Context>, image: &[u8]) -> Result<Module, CudaError> {
        let mut module = ptr::null_mut();
        // SAFETY: reads an image that the compiler made or the cache has checked.
        context.call("cuModuleLoadData", || unsafe {
            sys::cuModuleLoadData(&mut module, image.as_ptr().cast())
        })?;
        Ok(Module { context: context.clone(), module })
    }

    /// The kernel of this name, which must have so many parameters.
    pub fn function(&self, name: &str, parameters: usize, shared: u32) -> Result<Function, CudaError> {
        let wrong = |problem: String| CudaError::Launch { kernel: name.to_string(), problem };
        let text = CString::new(name).map_err(|_| wrong("its name holds a zero".into()))?;
        let mut function = ptr::null_mut();
        self.context.call("cuModuleGetFunction", || {
            // SAFETY: writes a handle; the module lives.
            unsafe { sys::cuModuleGetFunction(&mut function, self.module, text.as_ptr()) }
        })?;
        self.check_parameters(name, function, parameters)?;
        if shared > 48 << 10 {
            let which = sys::CUfunction_attribute::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES;
            self.context.call("cuFuncSetAttribute", || {
                // SAFETY: the function was just found.
                unsafe { sys::cuFuncSetAttribute(function, which, shared as i32) }
            })?;
        }
        Ok(Function { function, parameters })
    }

    /// Compares the parameters with those that the machine code has, where the driver can tell (12.4 or newer).
    fn check_parameters(
        &self,
        name: &str,
        function: sys::CUfunction,
        expected: usize,
    ) -> Result<(), CudaError> {
        if self.context.description().driver < 12_040 {
            return Ok(());
        }
        for i in 0..expected {
            let (mut offset, mut size) = (0, 0);
            // SAFETY: writes two numbers; an index beyond the last is answered with a code.
            let code = unsafe { sys::cuFuncGetParamInfo(function, i, &mut offset, &mut size) };
            if code != sys::CUresult::CUDA_SUCCESS || size != 8 || offset != 8 * i {
                let problem =
                    format!("it was to have {expected} words as parameters, and parameter {i} differs");
                return Err(CudaError::Launch { kernel: name.to_string(), problem });
            }
        }
        Ok(())
    }
}

impl Drop for Module {
    fn drop(&mut self) {
        // SAFETY: loaded by `load`; nothing launches its kernels any more.
        let _ = self.context.call("cuModuleUnload", || unsafe { sys::cuModuleUnload(self.module) });
    }
}

impl Function {
    /// Queues the kernel. `name` is for messages.
    pub fn launch(
        &self,
        context: &Context,
        name: &str,
        shape: Shape,
        words: &mut [u64],
    ) -> Result<(), CudaError> {
        let wrong = |problem: String| CudaError::Launch { kernel: name.to_string(), problem };
        if words.len() != self.parameters {
            return Err(wrong(format!("{} arguments for {} parameters", words.len(), self.parameters)));
        }
        let Shape { grid: [x, y, z], block, shared } = shape;
        if x == 0
            || y == 0
            || z == 0
            || x > i32::MAX as u32
            || y > 65_535
            || z > 65_535
            || !(1..=1024).contains(&block)
        {
            return Err(wrong(format!("{x} x {y} x {z} blocks of {block} threads are not possible")));
        }
        let mut pointers = [ptr::null_mut::<c_void>(); MOST_PARAMETERS];
        if words.len() > MOST_PARAMETERS {
            return Err(wrong(format!("{} arguments are more than {MOST_PARAMETERS}", words.len())));
        }
        pointers.iter_mut().zip(words.iter_mut()).for_each(|(p, word)| *p = ptr::from_mut(word).cast());
        let launched = context.call("cuLaunchKernel", || {
            // SAFETY: the function has as many parameters as there are pointers, each of eight bytes, checked when
            // it was loaded; the driver copies them before it returns.
            unsafe {
                sys::cuLaunchKernel(
                    self.function,
                    x,
                    y,
                    z,
                    block,
                    1,
                    1,
                    shared,
                    context.stream(),
                    pointers.as_mut_ptr(),
                    ptr::null_mut(),
                )
            }
        });
        launched.map_err(|e| match e {
            CudaError::Call { problem, .. } => wrong(problem),
            other => other,
        })
    }
}

/// The most parameters of a kernel: what fits the 4 KiB that every driver gives them.
pub const MOST_PARAMETERS: usize = 480;
