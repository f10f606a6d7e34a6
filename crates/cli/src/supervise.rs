//! Two children that live and die on their own: a crash of one leaves the other alive and is followed by a restart;
//! a mistake of the user (exit code 2 or a failure to start) ends both with the line that the child has printed. When
//! the supervisor itself is killed, the kernel ends the children (PR_SET_PDEATHSIG).

use crate::commands::CommandError;
use crate::config::Config;
use crate::signals::Terminal;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, ExitCode, ExitStatus};
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::time::{Duration, Instant};

pub struct Child {
    pub role: &'static str,
    pub flags: Vec<String>,
    pub settings: Config,
}

/// A child that ends sooner than this has not started: restarting it would only repeat the line.
const STARTED_AFTER: Duration = Duration::from_secs(3);
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// How long the children may take to write what they have.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// The signal that ends everything, and whether settings are to be read again.
static SIGNAL: AtomicI32 = AtomicI32::new(0);
static HUNG_UP: AtomicBool = AtomicBool::new(false);

extern "C" fn note_signal(signal: libc::c_int) {
    match signal {
        libc::SIGHUP => HUNG_UP.store(true, Ordering::SeqCst),
        _ => SIGNAL.store(signal, Ordering::SeqCst),
    }
}

struct Running {
    process: Option<std::process::Child>,
    started: Instant,
    pause: Duration,
    restart_at: Instant,
    ever_started: bool,
}

/// `reload` gives the children as they are to be by now, or nothing when that was refused.
pub fn run(mut children: Vec<Child>, mut reload: impl FnMut() -> Option<Vec<Child>>) -> Result<ExitCode, CommandError> {
    let terminal = Terminal::now();
    catch_signals();
    let mut running = Vec::new();
    for child in &children {
        running.push(start(child)?);
    }
    loop {
        let hung_up = HUNG_UP.swap(false, Ordering::SeqCst);
        if SIGNAL.load(Ordering::SeqCst) != 0 || hung_up && terminal.is_gone() {
            stop(&mut running);
            return Ok(ExitCode::SUCCESS);
        }
        if hung_up && let Some(changed) = reload() {
            children = changed;
            pass_on_hang_up(&running);
        }
        for (child, state) in children.iter().zip(&mut running) {
            if let Some(code) = watch(child, state)? {
                stop(&mut running);
                return Ok(code);
            }
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn catch_signals() {
    for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGHUP] {
        // SAFETY: the handler only stores to an atomic, which is async-signal-safe.
        unsafe { libc::signal(signal, note_signal as *const () as libc::sighandler_t) };
    }
}

/// Those that are being started again read the settings anyway.
fn pass_on_hang_up(running: &[Running]) {
    for process in running.iter().filter_map(|state| state.process.as_ref()) {
        // SAFETY: the child has not been waited for, so its pid is still its own.
        unsafe { libc::kill(process.id() as i32, libc::SIGHUP) };
    }
}

fn start(child: &Child) -> Result<Running, CommandError> {
    let now = Instant::now();
    let process = spawn(child)?;
    Ok(Running { process: Some(process), started: now, pause: FIRST_PAUSE, restart_at: now, ever_started: false })
}

fn spawn(child: &Child) -> Result<std::process::Child, CommandError> {
    // This very file, also when another version has been put in its place, or when its folder is closed to this user.
    let mut command = Command::new("/proc/self/exe");
    command.arg0(std::env::args_os().next().unwrap_or_else(|| "limpid".into()));
    let supervisor = std::process::id();
    // The flags say it all: what the environment holds was resolved into them already.
    let own = std::env::vars_os().map(|(name, _)| name).filter(|name| name.as_encoded_bytes().starts_with(b"LIMPID_"));
    own.for_each(|name| {
        command.env_remove(name);
    });
    command.arg(child.role).args(&child.flags).arg("--config=/dev/null").process_group(0);
    // SAFETY: prctl and getppid are async-signal-safe; nothing is allocated between fork and exec.
    unsafe {
        command.pre_exec(move || {
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM);
            // Until the child listens to it.
            libc::signal(libc::SIGHUP, libc::SIG_IGN);
            // The supervisor may have died before the line above.
            if libc::getppid() as u32 != supervisor { Err(std::io::ErrorKind::BrokenPipe.into()) } else { Ok(()) }
        });
    }
    command.spawn().map_err(|error| format!("the {} cannot be started: {error}; is /proc mounted?", child.role).into())
}

/// `Some` when everything must end.
fn watch(child: &Child, state: &mut Running) -> Result<Option<ExitCode>, CommandError> {
    let Some(process) = &mut state.process else {
        if Instant::now() >= state.restart_at {
            state.started = Instant::now();
            state.process = Some(spawn(child)?);
        }
        return Ok(None);
    };
    let Some(status) = process.try_wait()? else {
        if state.started.elapsed() > STARTED_AFTER {
            state.ever_started = true;
        }
        return Ok(None);
    };
    state.process = None;
    if !state.ever_started && status.code().is_some_and(|code| code != 0) {
        // It has said why, in one line of its own.
        return Ok(Some(ExitCode::from(status.code().unwrap_or(1) as u8)));
    }
    if state.started.elapsed() > LONGEST_PAUSE {
        state.pause = FIRST_PAUSE;
    }
    log::warn!("the {} {}, it is started again in {:.1} s", child.role, describe(status), state.pause.as_secs_f64());
    state.restart_at = Instant::now() + state.pause;
    state.pause = (state.pause * 2).min(LONGEST_PAUSE);
    Ok(None)
}

fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("ended with exit code {code}"),
        (None, Some(signal)) => format!("was ended by signal {signal}"),
        (None, None) => "ended".into(),
    }
}

/// The agent first, so that the server still takes what it sends last.
fn stop(running: &mut [Running]) {
    for state in running.iter_mut().rev() {
        let Some(process) = &mut state.process else { continue };
        // SAFETY: the child has not been waited for, so its pid is still its own.
        unsafe { libc::kill(process.id() as i32, libc::SIGTERM) };
        let asked = Instant::now();
        while !matches!(process.try_wait(), Ok(Some(_))) {
            if asked.elapsed() > STOP_TIMEOUT {
                let _ = process.kill();
                let _ = process.wait();
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}
