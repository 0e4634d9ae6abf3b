//! Nothing is linked in this build.

use super::Transfer;
use crate::driver::Context;
use crate::error::CudaError;
use ironlearn_ir::ranks::Ranks;
use std::sync::Arc;

/// There are none.
pub enum Links {}

impl Links {
    /// Why the GPUs of ranks are not linked.
    pub fn new(_: &Arc<Context>, _: &dyn Ranks) -> Result<Result<Links, String>, CudaError> {
        Ok(Err("this build is without the feature `nccl`".into()))
    }

    /// Which rank this is.
    pub fn rank(&self) -> usize {
        match *self {}
    }

    /// Queues sends and receives, all at once.
    pub fn exchange(&self, _: &[Transfer], _: &[Transfer]) -> Result<(), CudaError> {
        match *self {}
    }
}
