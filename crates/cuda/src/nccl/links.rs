//! [`Links`]: a communicator of NCCL.

use super::Transfer;
use crate::driver::Context;
use crate::error::{CudaError, Library};
use cudarc::nccl::sys;
use ironlearn_ir::ranks::Ranks;
use std::ffi::CStr;
use std::ptr;
use std::sync::Arc;

/// True where the library can be loaded.
pub fn is_present() -> bool {
    // SAFETY: opens a library by its well-known name; never panics.
    unsafe { sys::is_culib_present() }
}

/// The version, such as (2, 28).
pub fn version() -> Result<(i32, i32), CudaError> {
    if !is_present() {
        return Err(CudaError::Missing { library: Library::Links });
    }
    let mut version = 0;
    // SAFETY: the library is there; writes a number that lives.
    checked("ncclGetVersion", unsafe { sys::ncclGetVersion(&mut version) })?;
    Ok((version / 10_000, version % 10_000 / 100))
}

/// The GPUs of all ranks, as one of them sees them.
pub struct Links {
    context: Arc<Context>,
    communicator: sys::ncclComm_t,
    rank: usize,
}

// SAFETY: a name of an object of the library; calls are made by whoever has the turn on the stream.
unsafe impl Send for Links {}
// SAFETY: as above.
unsafe impl Sync for Links {}

/// What a rank tells the others before GPUs are linked: whether it has the library, and which GPU it is.
const WITHOUT: u8 = 0;
const WITH: u8 = 1;
/// Bytes of `ncclUniqueId`.
const ID: usize = 128;

impl Links {
    /// Links the GPUs of all ranks, which call it together. All come to the same: links, or why there are none, so that what
    /// they add up goes through the host.
    pub fn new(context: &Arc<Context>, ranks: &dyn Ranks) -> Result<Result<Links, String>, CudaError> {
        let gather = |mine: Vec<u8>| ranks.gather(mine).map_err(CudaError::Ranks);
        let has = if is_present() { WITH } else { WITHOUT };
        let all = gather([&[has][..], &context.uuid()?].concat())?;
        if let Some(why) = unlinked(&all) {
            return Ok(Err(why));
        }
        let id = if ranks.rank() == 0 { unique_id() } else { Vec::new() };
        let told = gather(id)?;
        let Some(id) = told.first().and_then(|id| <[u8; ID]>::try_from(&id[..]).ok()) else {
            return Ok(Err("rank 0 could not begin to link them".into()));
        };
        let id = sys::ncclUniqueId { internal: id.map(|byte| byte as std::ffi::c_char) };
        let mut communicator = ptr::null_mut();
        let linked = run(context, "ncclCommInitRank", || {
            // SAFETY: writes a handle; all ranks make this call, each once.
            unsafe { sys::ncclCommInitRank(&mut communicator, ranks.count() as i32, id, ranks.rank() as i32) }
        });
        let links = linked.map(|()| Links { context: context.clone(), communicator, rank: ranks.rank() });
        let said = links.as_ref().err().map_or_else(String::new, ToString::to_string);
        let failed = |(rank, said): (usize, Vec<u8>)| {
            let said = String::from_utf8_lossy(&said).into_owned();
            (!said.is_empty()).then(|| format!("rank {rank}: {said}"))
        };
        match gather(said.into_bytes())?.into_iter().enumerate().find_map(failed) {
            Some(why) => Ok(Err(why)),
            None => links.map(Ok),
        }
    }

    /// Which rank this is.
    pub fn rank(&self) -> usize {
        self.rank
    }

    /// Queues sends and receives, all at once.
    pub fn exchange(&self, sends: &[Transfer], receives: &[Transfer]) -> Result<(), CudaError> {
        let (context, of) = (&self.context, sys::ncclDataType_t::ncclUint8);
        let stream: sys::cudaStream_t = context.stream().cast();
        // SAFETY: belongs to this thread alone.
        run(context, "ncclGroupStart", || unsafe { sys::ncclGroupStart() })?;
        let send = |t: &Transfer| {
            run(context, "ncclSend", || {
                // SAFETY: the program owns that many bytes there; the other rank has asked for as many.
                unsafe {
                    sys::ncclSend(t.at as *const _, t.bytes, of, t.peer as i32, self.communicator, stream)
                }
            })
        };
        let receive = |t: &Transfer| {
            run(context, "ncclRecv", || {
                // SAFETY: as above.
                unsafe {
                    sys::ncclRecv(t.at as *mut _, t.bytes, of, t.peer as i32, self.communicator, stream)
                }
            })
        };
        let queued = sends.iter().try_for_each(send).and_then(|()| receives.iter().try_for_each(receive));
        // SAFETY: ends what was begun above, also where something failed.
        let ended = run(context, "ncclGroupEnd", || unsafe { sys::ncclGroupEnd() });
        queued.and(ended)
    }
}

impl Drop for Links {
    fn drop(&mut self) {
        let communicator = self.communicator;
        // Waits for nobody, where destroying would wait for ranks that may be gone.
        // SAFETY: made by `new`, and nothing uses it any more.
        let _ = run(&self.context, "ncclCommAbort", || unsafe { sys::ncclCommAbort(communicator) });
    }
}

/// Why GPUs cannot be linked, of which ranks have told this.
fn unlinked(all: &[Vec<u8>]) -> Option<String> {
    if let Some(rank) = all.iter().position(|told| told.first() != Some(&WITH)) {
        return Some(format!("rank {rank} has no NCCL (libnccl)"));
    }
    all.iter().enumerate().find_map(|(rank, told)| {
        let other = all[..rank].iter().position(|earlier| earlier == told)?;
        Some(format!("ranks {other} and {rank} have the same GPU"))
    })
}

/// What the first rank tells the others to find it by; nothing where the library has none.
fn unique_id() -> Vec<u8> {
    let mut id = sys::ncclUniqueId { internal: [0; ID] };
    // SAFETY: the library is there; writes as many bytes as that.
    match checked("ncclGetUniqueId", unsafe { sys::ncclGetUniqueId(&mut id) }) {
        Ok(()) => id.internal.iter().map(|&c| c as u8).collect(),
        Err(_) => Vec::new(),
    }
}

/// Calls the library with the context bound to this thread.
fn run(
    context: &Context,
    call: &'static str,
    f: impl FnOnce() -> sys::ncclResult_t,
) -> Result<(), CudaError> {
    let mut result = sys::ncclResult_t::ncclSuccess;
    context.call(call, || {
        result = f();
        cudarc::driver::sys::CUresult::CUDA_SUCCESS
    })?;
    checked(call, result)
}

fn checked(call: &'static str, result: sys::ncclResult_t) -> Result<(), CudaError> {
    if result == sys::ncclResult_t::ncclSuccess {
        return Ok(());
    }
    // SAFETY: gives a string that lives as long as the library.
    let text = unsafe { sys::ncclGetErrorString(result) };
    let problem = match text.is_null() {
        true => format!("result {}", result as u32),
        // SAFETY: as above.
        false => unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned(),
    };
    Err(CudaError::Call { call, problem })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gpus_are_linked_where_each_rank_has_one_of_its_own_and_the_library() {
        let of = |told: &[(u8, u8)]| unlinked(&told.iter().map(|t| vec![t.0, t.1]).collect::<Vec<_>>());
        assert_eq!(of(&[(WITH, 1), (WITH, 2), (WITH, 3)]), None);
        let why = of(&[(WITH, 1), (WITH, 2), (WITHOUT, 3)]);
        assert_eq!(why.as_deref(), Some("rank 2 has no NCCL (libnccl)"));
        let why = of(&[(WITH, 1), (WITH, 2), (WITH, 1)]);
        assert_eq!(why.as_deref(), Some("ranks 0 and 2 have the same GPU"));
    }
}
