//! The end, as asked for by a person (SIGINT) or a supervisor (SIGTERM).

pub async fn terminated() {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut terminate), Ok(mut interrupt)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        // Without handlers the default action ends the process just the same.
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

/// Nobody listens yet, and the default would end the program.
#[cfg(feature = "server")]
pub fn ignore_hangup() {
    // SAFETY: no handler of ours; tokio's takes its place later.
    unsafe { libc::signal(libc::SIGHUP, libc::SIG_IGN) };
}

/// SIGHUP: read the files anew.
#[cfg(feature = "server")]
pub async fn on_hangup(reload: impl Fn()) {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut hangup) = signal(SignalKind::hangup()) else { return };
    while hangup.recv().await.is_some() {
        reload();
    }
}
