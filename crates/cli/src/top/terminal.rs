//! The terminal itself: raw mode, size, keys as they come, and giving it back as it was, whatever ends the program.
//!
//! Signals and readings wake the one loop through a pipe, so that nothing is missed between a look and the next wait.

use super::keys::{Key, Keys};
use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::time::{Duration, Instant};

/// Another screen, no cursor, no line breaks of its own.
const ENTER: &[u8] = b"\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[2J";
const LEAVE: &[u8] = b"\x1b[0m\x1b[?7h\x1b[?25h\x1b[?1049l";
/// So long after Esc a sequence must have gone on; slow lines need some of it.
const ESCAPE_WAIT: Duration = Duration::from_millis(40);
const SMALLEST: (usize, usize) = (20, 5);

/// What a signal handler and a panic need: they can be handed nothing.
static BEFORE: OnceLock<(RawFd, libc::termios)> = OnceLock::new();
static TAKEN: AtomicBool = AtomicBool::new(false);
static WAKE: AtomicI32 = AtomicI32::new(-1);
static STOPPED_BY: AtomicI32 = AtomicI32::new(0);
static RESIZED: AtomicBool = AtomicBool::new(false);

pub struct Terminal {
    tty: File,
    wake: OwnedFd,
    keys: Keys,
}

/// Wakes the loop from another thread.
#[derive(Clone, Copy)]
pub struct Waker;

#[derive(Debug, PartialEq, Eq)]
pub enum Event {
    Key(Key),
    Resized,
    /// A signal that asks for the end.
    Stop(i32),
    /// A wake from another thread, or the time is over.
    Woken,
}

impl Terminal {
    pub fn enter() -> io::Result<Terminal> {
        // Keys come from the terminal also when something else is piped in.
        let stdin = io::stdin();
        let tty = if stdin.is_terminal() { File::from(clone(stdin.as_raw_fd())?) } else { File::open("/dev/tty")? };
        let wake = pipe()?;
        let before = attributes(tty.as_raw_fd())?;
        let _ = BEFORE.set((tty.as_raw_fd(), before));
        on_signals();
        on_panic();
        let terminal = Terminal { tty, wake, keys: Keys::default() };
        terminal.take()?;
        Ok(terminal)
    }

    fn take(&self) -> io::Result<()> {
        let mut raw = attributes(self.tty.as_raw_fd())?;
        // SAFETY: the struct is whole.
        unsafe { libc::cfmakeraw(&mut raw) };
        set_attributes(self.tty.as_raw_fd(), &raw)?;
        TAKEN.store(true, Ordering::SeqCst);
        self.write_all(ENTER)
    }

    /// Columns and lines.
    pub fn size(&self) -> (usize, usize) {
        let (columns, lines) =
            size_of(libc::STDOUT_FILENO).or_else(|| size_of(self.tty.as_raw_fd())).unwrap_or((80, 24));
        (columns.max(SMALLEST.0), lines.max(SMALLEST.1))
    }

    pub fn write(&self, text: &str) -> io::Result<()> {
        if text.is_empty() { Ok(()) } else { self.write_all(text.as_bytes()) }
    }

    fn write_all(&self, bytes: &[u8]) -> io::Result<()> {
        let mut out = io::stdout().lock();
        out.write_all(bytes)?;
        out.flush()
    }

    /// Gives the terminal back, stops like any other program, and takes it again when it goes on.
    pub fn suspend(&self) -> io::Result<()> {
        restore();
        // SAFETY: the default action of this signal is to stop the process.
        unsafe { libc::raise(libc::SIGTSTP) };
        self.take()
    }

    pub fn waker(&self) -> Waker {
        Waker
    }

    /// The next thing that happens, at the latest at `until`.
    pub fn next(&mut self, until: Instant) -> io::Result<Event> {
        loop {
            if let Some(event) = pending() {
                return Ok(event);
            }
            if let Some(key) = self.keys.next(false) {
                return Ok(Event::Key(key));
            }
            let left = until.saturating_duration_since(Instant::now());
            let left = if self.keys.is_waiting() { left.min(ESCAPE_WAIT) } else { left };
            let (has_keys, woken) = self.wait(left)?;
            if has_keys {
                self.read_keys()?;
                continue;
            }
            if let Some(key) = self.keys.next(true) {
                return Ok(Event::Key(key));
            }
            if let Some(event) = pending() {
                return Ok(event);
            }
            if woken || Instant::now() >= until {
                return Ok(Event::Woken);
            }
        }
    }

    /// Whether keys came, and whether somebody woke us.
    fn wait(&self, at_most: Duration) -> io::Result<(bool, bool)> {
        let watched = |fd: RawFd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
        let mut fds = [watched(self.tty.as_raw_fd()), watched(self.wake.as_raw_fd())];
        // A fraction of a millisecond is rounded up, so that no wait is none.
        let ms = i32::try_from(at_most.as_micros().div_ceil(1000)).unwrap_or(i32::MAX);
        // SAFETY: two whole structs.
        let found = unsafe { libc::poll(fds.as_mut_ptr(), 2, ms) };
        if found < 0 {
            let error = io::Error::last_os_error();
            return if error.kind() == io::ErrorKind::Interrupted { Ok((false, true)) } else { Err(error) };
        }
        let woken = fds[1].revents != 0;
        if woken {
            drain(self.wake.as_raw_fd());
        }
        Ok((fds[0].revents != 0, woken))
    }

    fn read_keys(&mut self) -> io::Result<()> {
        let mut bytes = [0; 256];
        match io::Read::read(&mut &self.tty, &mut bytes) {
            // The terminal is gone.
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(length) => {
                self.keys.feed(&bytes[..length]);
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            Err(error) => Err(error),
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        restore();
    }
}

impl Waker {
    pub fn wake(self) {
        wake();
    }
}

/// Columns and lines of the terminal behind `fd`.
pub fn size_of(fd: RawFd) -> Option<(usize, usize)> {
    // SAFETY: the call fills the struct; all zeroes is a valid value of it.
    let size = unsafe {
        let mut size: libc::winsize = std::mem::zeroed();
        (libc::ioctl(fd, libc::TIOCGWINSZ, &mut size) == 0).then_some(size)
    }?;
    (size.ws_col > 0 && size.ws_row > 0).then_some((size.ws_col.into(), size.ws_row.into()))
}

fn pending() -> Option<Event> {
    match STOPPED_BY.load(Ordering::SeqCst) {
        0 => RESIZED.swap(false, Ordering::SeqCst).then_some(Event::Resized),
        signal => Some(Event::Stop(signal)),
    }
}

/// As it was before. Only calls that a signal handler may make.
fn restore() {
    if !TAKEN.swap(false, Ordering::SeqCst) {
        return;
    }
    let Some((fd, before)) = BEFORE.get() else { return };
    // SAFETY: plain system calls on bytes and a struct that live for ever.
    unsafe {
        libc::write(libc::STDOUT_FILENO, LEAVE.as_ptr().cast(), LEAVE.len());
        libc::tcsetattr(*fd, libc::TCSANOW, before);
    }
}

fn wake() {
    let fd = WAKE.load(Ordering::SeqCst);
    // A full pipe wakes as well. SAFETY: one byte of a constant.
    unsafe { libc::write(fd, b"!".as_ptr().cast(), 1) };
}

extern "C" fn note(signal: libc::c_int) {
    match signal {
        libc::SIGWINCH => RESIZED.store(true, Ordering::SeqCst),
        _ => STOPPED_BY.store(signal, Ordering::SeqCst),
    }
    wake();
}

fn on_signals() {
    for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGQUIT, libc::SIGWINCH] {
        // SAFETY: the handler stores to atomics and writes to a pipe, which is async-signal-safe.
        unsafe { libc::signal(signal, note as *const () as libc::sighandler_t) };
    }
}

/// The words of a panic belong onto the screen that stays.
fn on_panic() {
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        restore();
        print(info);
    }));
}

fn pipe() -> io::Result<OwnedFd> {
    let mut ends = [0; 2];
    // SAFETY: room for two descriptors, which are nobody else's.
    let read = unsafe {
        if libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC | libc::O_NONBLOCK) != 0 {
            return Err(io::Error::last_os_error());
        }
        OwnedFd::from_raw_fd(ends[0])
    };
    // The other end stays open: a handler may write at any time.
    WAKE.store(ends[1], Ordering::SeqCst);
    Ok(read)
}

fn drain(fd: RawFd) {
    let mut bytes = [0u8; 64];
    // SAFETY: the buffer is as long as it says; the pipe does not block.
    while unsafe { libc::read(fd, bytes.as_mut_ptr().cast(), bytes.len()) } > 0 {}
}

fn clone(fd: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: the descriptor is open for as long as the process lives.
    unsafe { std::os::fd::BorrowedFd::borrow_raw(fd) }.try_clone_to_owned()
}

fn attributes(fd: RawFd) -> io::Result<libc::termios> {
    // SAFETY: the call fills the struct; all zeroes is a valid value of it.
    unsafe {
        let mut attributes: libc::termios = std::mem::zeroed();
        if libc::tcgetattr(fd, &mut attributes) == 0 { Ok(attributes) } else { Err(io::Error::last_os_error()) }
    }
}

fn set_attributes(fd: RawFd, attributes: &libc::termios) -> io::Result<()> {
    // SAFETY: the struct is whole.
    match unsafe { libc::tcsetattr(fd, libc::TCSANOW, attributes) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
