//! What a person or a supervisor asks for: the end (SIGINT, SIGTERM), or to read the settings again (SIGHUP).

use std::io::IsTerminal;
use tokio::signal::unix::{Signal, SignalKind, signal};

pub async fn terminated() {
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

/// SIGHUPs from now on, also those that come before anybody asks.
pub struct HangUps {
    signals: Option<Signal>,
    terminal: Terminal,
}

impl HangUps {
    /// Must be called inside a tokio runtime.
    pub fn listen() -> HangUps {
        HangUps { signals: signal(SignalKind::hangup()).ok(), terminal: Terminal::now() }
    }

    /// Calls `reload` at each. Ends when the signal meant that the terminal is gone, which is the end of a program that
    /// a person has started there.
    pub async fn each(mut self, mut reload: impl AsyncFnMut()) {
        let Some(signals) = &mut self.signals else { return std::future::pending().await };
        while signals.recv().await.is_some() {
            if self.terminal.is_gone() {
                return;
            }
            reload().await;
        }
    }
}

/// Whether the program was started on a terminal.
pub struct Terminal(bool);

impl Terminal {
    pub fn now() -> Terminal {
        Terminal(std::io::stderr().is_terminal())
    }

    /// One that has hung up is none any more.
    pub fn is_gone(&self) -> bool {
        self.0 && !std::io::stderr().is_terminal()
    }
}
