//! The signals that ask a server to end.

use std::io;

/// Ends with the first SIGTERM or SIGINT. From the second on they end the program at once, with the exit codes that
/// other commands have.
#[cfg(unix)]
pub fn asked() -> io::Result<impl Future<Output = ()>> {
    use crate::signals::Interruption;
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminated = signal(SignalKind::terminate())?;
    let mut interrupted = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! { _ = terminated.recv() => {} _ = interrupted.recv() => {} }
        tokio::spawn(async move {
            let signal = tokio::select! {
                _ = terminated.recv() => Interruption::Terminated,
                _ = interrupted.recv() => Interruption::Interrupted,
            };
            std::process::exit(i32::from(signal.exit_code()));
        });
    })
}

/// Ends with the first Ctrl-C.
#[cfg(not(unix))]
pub fn asked() -> io::Result<impl Future<Output = ()>> {
    Ok(async {
        if tokio::signal::ctrl_c().await.is_err() {
            // Nothing will ever ask: serve for good.
            std::future::pending::<()>().await;
        }
    })
}
