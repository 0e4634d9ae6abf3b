//! Work that is recorded once and then launched as a whole.

use super::Context;
use crate::error::CudaError;
use cudarc::driver::sys;
use std::ptr;
use std::sync::Arc;

/// Recorded work, ready to be launched.
pub struct Graph {
    context: Arc<Context>,
    graph: sys::CUgraph,
    exec: sys::CUgraphExec,
}

// SAFETY: names of driver objects; see `Context`.
unsafe impl Send for Graph {}

impl Graph {
    /// Records what `work` queues on the stream.
    pub fn record(
        context: &Arc<Context>,
        work: impl FnOnce() -> Result<(), CudaError>,
    ) -> Result<Graph, CudaError> {
        let stream = context.stream();
        let mode = sys::CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL;
        // SAFETY: the stream lives.
        context.call("cuStreamBeginCapture", || unsafe { sys::cuStreamBeginCapture_v2(stream, mode) })?;
        let worked = work();
        let (mut graph, mut exec) = (ptr::null_mut(), ptr::null_mut());
        // SAFETY: writes a handle; ends what was begun above, also where the work failed.
        let ended =
            context.call("cuStreamEndCapture", || unsafe { sys::cuStreamEndCapture(stream, &mut graph) });
        let mut made = Graph { context: context.clone(), graph, exec };
        worked?;
        ended?;
        // SAFETY: writes a handle; the graph was just made.
        context.call("cuGraphInstantiate", || unsafe {
            sys::cuGraphInstantiateWithFlags(&mut exec, graph, 0)
        })?;
        made.exec = exec;
        // SAFETY: the executable graph was just made.
        context.call("cuGraphUpload", || unsafe { sys::cuGraphUpload(exec, stream) })?;
        Ok(made)
    }

    /// Queues all of it.
    pub fn launch(&self) -> Result<(), CudaError> {
        let stream = self.context.stream();
        // SAFETY: the executable graph lives, and so does all memory that it uses: their owner is that of the graph.
        self.context.call("cuGraphLaunch", || unsafe { sys::cuGraphLaunch(self.exec, stream) })
    }
}

impl Drop for Graph {
    fn drop(&mut self) {
        if !self.exec.is_null() {
            // SAFETY: made by `record`.
            let _ = self.context.call("cuGraphExecDestroy", || unsafe { sys::cuGraphExecDestroy(self.exec) });
        }
        if !self.graph.is_null() {
            // SAFETY: made by `record`.
            let _ = self.context.call("cuGraphDestroy", || unsafe { sys::cuGraphDestroy(self.graph) });
        }
    }
}
