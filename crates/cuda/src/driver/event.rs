//! Marks on the stream, with the time at which it passed them.

use super::Context;
use crate::error::CudaError;
use cudarc::driver::sys;
use std::ptr;
use std::sync::Arc;

/// A mark.
pub struct Event {
    context: Arc<Context>,
    event: sys::CUevent,
}

// SAFETY: a name of a driver object; see `Context`.
unsafe impl Send for Event {}

impl Event {
    /// A mark that is nowhere yet.
    pub fn new(context: &Arc<Context>) -> Result<Event, CudaError> {
        let mut event = ptr::null_mut();
        // SAFETY: writes a handle.
        context.call("cuEventCreate", || unsafe { sys::cuEventCreate(&mut event, 0) })?;
        Ok(Event { context: context.clone(), event })
    }

    /// Queues the mark.
    pub fn record(&self) -> Result<(), CudaError> {
        let stream = self.context.stream();
        // SAFETY: both handles live.
        self.context.call("cuEventRecord", || unsafe { sys::cuEventRecord(self.event, stream) })
    }

    /// Waits until the stream has passed the mark.
    pub fn wait(&self) -> Result<(), CudaError> {
        // SAFETY: the handle lives.
        self.context.call("cuEventSynchronize", || unsafe { sys::cuEventSynchronize(self.event) })
    }

    /// Seconds from this mark to another, both of which the stream has passed.
    pub fn seconds_to(&self, later: &Event) -> Result<f64, CudaError> {
        let mut milliseconds = 0f32;
        let driver = self.context.description().driver;
        if driver < 12_080 {
            let problem = format!("driver version {driver} has no such function");
            return Err(CudaError::Call { call: "cuEventElapsedTime", problem });
        }
        self.context.call("cuEventElapsedTime", || {
            // SAFETY: writes a number; both handles live.
            unsafe { sys::cuEventElapsedTime_v2(&mut milliseconds, self.event, later.event) }
        })?;
        Ok(f64::from(milliseconds) / 1e3)
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        // SAFETY: made by `new`.
        let _ = self.context.call("cuEventDestroy", || unsafe { sys::cuEventDestroy_v2(self.event) });
    }
}
