//! From kernel text to machine code: NVRTC, and what it has made before.

mod cache;

use crate::driver::Context;
use crate::error::{CudaError, Library};
use cudarc::nvrtc::sys;
use std::ffi::{CStr, CString};
use std::ptr;

/// True where NVRTC can be loaded.
pub fn is_present() -> bool {
    // SAFETY: opens a library by its well-known name; never panics.
    unsafe { sys::is_culib_present() }
}

/// The version of NVRTC, such as (13, 0).
pub fn version() -> Result<(i32, i32), CudaError> {
    if !is_present() {
        return Err(CudaError::Missing { library: Library::Compiler });
    }
    let (mut major, mut minor) = (0, 0);
    // SAFETY: writes to two numbers.
    checked("nvrtcVersion", unsafe { sys::nvrtcVersion(&mut major, &mut minor) })?;
    Ok((major, minor))
}

/// How a text is compiled.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Settings {
    /// Compute capability.
    pub capability: (i32, i32),
    /// Every access is checked.
    pub check: bool,
    /// Functions may be approximate.
    pub fast: bool,
}

impl Settings {
    fn options(self) -> Vec<String> {
        // Instructions that only this very architecture has are part of `sm_90a`.
        let suffix = if self.capability == (9, 0) { "a" } else { "" };
        let mut options = vec![
            format!("--gpu-architecture=sm_{}{}{suffix}", self.capability.0, self.capability.1),
            "--std=c++17".into(),
            "-default-device".into(),
            "--ftz=true".into(),
            "-lineinfo".into(),
        ];
        if self.check {
            options.push("-DIL_CHECK".into());
        }
        if self.fast {
            options.push("-DIL_FAST".into());
        }
        options
    }
}

/// The machine code of a text, from the cache on disk or newly made.
pub fn compile(context: &Context, text: &str, check: bool, fast: bool) -> Result<Vec<u8>, CudaError> {
    let settings = Settings { capability: context.description().capability, check, fast };
    let (version, options) = (version()?, settings.options());
    let key = cache::key(&[text, &options.join(" "), &format!("{version:?}"), env!("CARGO_PKG_VERSION")]);
    if let Some(code) = cache::find(key) {
        return Ok(code);
    }
    let code = make(text, &options)?.0;
    cache::keep(key, &code);
    Ok(code)
}

/// Machine code, and what the compiler said: with `--ptxas-options=-v` registers and spills of each kernel.
pub fn make(text: &str, options: &[String]) -> Result<(Vec<u8>, String), CudaError> {
    version()?;
    let zero = |_| CudaError::Compile { log: "the text holds a zero".into() };
    let text = CString::new(text).map_err(zero)?;
    let options =
        options.iter().map(|o| CString::new(o.as_str()).map_err(zero)).collect::<Result<Vec<_>, _>>()?;
    let pointers: Vec<_> = options.iter().map(|o| o.as_ptr()).collect();
    let mut program = ptr::null_mut();
    checked("nvrtcCreateProgram", unsafe {
        // SAFETY: writes a handle; the text lives, and there are no headers.
        sys::nvrtcCreateProgram(
            &mut program,
            text.as_ptr(),
            c"ironlearn.cu".as_ptr(),
            0,
            ptr::null(),
            ptr::null(),
        )
    })?;
    let program = Program(program);
    // SAFETY: the options live.
    let code = unsafe { sys::nvrtcCompileProgram(program.0, pointers.len() as i32, pointers.as_ptr()) };
    let log = program.log()?;
    if code == sys::nvrtcResult::NVRTC_ERROR_COMPILATION {
        return Err(CudaError::Compile { log });
    }
    checked("nvrtcCompileProgram", code)?;
    Ok((program.code()?, log))
}

struct Program(sys::nvrtcProgram);

impl Program {
    fn log(&self) -> Result<String, CudaError> {
        let mut size = 0;
        // SAFETY: writes a number.
        checked("nvrtcGetProgramLogSize", unsafe { sys::nvrtcGetProgramLogSize(self.0, &mut size) })?;
        let mut log = vec![0u8; size.max(1)];
        // SAFETY: there is room for as much as was said.
        checked("nvrtcGetProgramLog", unsafe { sys::nvrtcGetProgramLog(self.0, log.as_mut_ptr().cast()) })?;
        log.truncate(log.iter().position(|&c| c == 0).unwrap_or(log.len()));
        Ok(String::from_utf8_lossy(&log).into_owned())
    }

    fn code(&self) -> Result<Vec<u8>, CudaError> {
        let mut size = 0;
        // SAFETY: writes a number.
        checked("nvrtcGetCUBINSize", unsafe { sys::nvrtcGetCUBINSize(self.0, &mut size) })?;
        let mut code = vec![0u8; size];
        // SAFETY: there is room for as much as was said.
        checked("nvrtcGetCUBIN", unsafe { sys::nvrtcGetCUBIN(self.0, code.as_mut_ptr().cast()) })?;
        Ok(code)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // SAFETY: made by nvrtcCreateProgram.
        let _ = unsafe { sys::nvrtcDestroyProgram(&mut self.0) };
    }
}

fn checked(call: &'static str, code: sys::nvrtcResult) -> Result<(), CudaError> {
    if code == sys::nvrtcResult::NVRTC_SUCCESS {
        return Ok(());
    }
    // SAFETY: gives a string that lives as long as the library.
    let text = unsafe { sys::nvrtcGetErrorString(code) };
    let problem = match text.is_null() {
        true => format!("error {}", code as u32),
        // SAFETY: as above.
        false => unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned(),
    };
    Err(CudaError::Call { call, problem })
}
