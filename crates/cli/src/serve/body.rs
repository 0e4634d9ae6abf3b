//! Bodies of requests: no larger than they may be, in the time that they have, within the memory for all of them.

use super::refusal::Refusal;
use super::server::{Limits, Server};
use http_body_util::BodyExt;
use hyper::StatusCode;
use hyper::body::{Body, Incoming};
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, TryAcquireError};
use tokio::time::{Instant as AsyncInstant, timeout, timeout_at};

/// Bytes that a permit stands for.
pub const UNIT: usize = 1024;

/// How long what is not wanted is read.
const DRAINING: Duration = Duration::from_secs(1);

fn too_large(limits: &Limits) -> Refusal {
    let problem = format!("the request has more than {} bytes, the most that are taken", limits.body);
    Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, problem)
}

/// Room in memory for a body; for the largest where a client does not say how large it is.
pub fn room(body: &Incoming, server: &Server) -> Result<OwnedSemaphorePermit, Refusal> {
    let most = server.limits.body as u64;
    let bytes = body.size_hint().exact().unwrap_or(most);
    if bytes > most {
        return Err(too_large(&server.limits));
    }
    let units = (bytes as usize).div_ceil(UNIT) as u32;
    server.memory.clone().try_acquire_many_owned(units).map_err(|error| match error {
        TryAcquireError::NoPermits => {
            Refusal::busy("the requests in the server have all memory for them: try again later")
        }
        TryAcquireError::Closed => Refusal::busy("the server is about to end"),
    })
}

/// All of a body.
pub async fn read(body: &mut Incoming, limits: &Limits, deadline: Instant) -> Result<Vec<u8>, Refusal> {
    let deadline = AsyncInstant::from_std(deadline);
    let mut bytes = Vec::new();
    loop {
        let frame = timeout_at(deadline, body.frame()).await.map_err(|_| {
            let problem = format!("the request was not here within {:?}", limits.timeout);
            Refusal::new(StatusCode::REQUEST_TIMEOUT, problem)
        })?;
        let Some(frame) = frame else { return Ok(bytes) };
        let frame = frame.map_err(|error| Refusal::bad(format!("the request is broken off: {error}")))?;
        let Some(data) = frame.data_ref() else { continue };
        if bytes.len() + data.len() > limits.body {
            return Err(too_large(limits));
        }
        bytes.extend_from_slice(data);
    }
}

/// Reads what is left of a body and throws it away, as far as that is worth the time.
pub async fn drain(body: &mut Incoming, limits: &Limits) {
    let rest = async {
        let mut left = limits.body;
        while let Some(Ok(frame)) = body.frame().await {
            left = left.saturating_sub(frame.data_ref().map_or(0, |data| data.len()));
            if left == 0 {
                break;
            }
        }
    };
    // Where it takes longer, the connection is closed after the answer.
    let _ = timeout(DRAINING, rest).await;
}
