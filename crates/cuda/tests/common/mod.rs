//! A device for tests: the card that is there, else the stand-in.

use ironlearn_cuda::{Cuda, CudaError, driver};
use std::sync::OnceLock;

/// The device; `None`, and a line that says so, where there is neither.
pub fn device() -> Option<&'static Cuda> {
    static DEVICE: OnceLock<Option<Cuda>> = OnceLock::new();
    let open = || {
        if !driver::is_present() && !ironlearn_testkit::standin::load() {
            return None;
        }
        match Cuda::open(0) {
            Ok(cuda) => {
                println!("tested on {}", cuda.name());
                Some(cuda)
            }
            Err(error) => panic!("{error}; {}", CudaError::hint(&error)),
        }
    };
    DEVICE.get_or_init(open).as_ref()
}
