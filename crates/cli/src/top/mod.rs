//! `limpid top`: what the agent of this machine sees, live, without a server.
//!
//! The agent's `/metrics` are cumulative: what is shown is what grew between two readings. One thread reads, the other
//! one draws and listens to keys; neither waits for the other.

mod body;
mod build;
mod cells;
mod columns;
mod draw;
mod figures;
mod help;
mod history;
mod judge;
mod keys;
mod labels;
mod once;
mod picture;
mod reading;
mod registry;
pub mod rows;
mod screen;
mod session;
mod terminal;
#[cfg(test)]
mod tests;
mod wire;

use crate::commands::CommandError;
use crate::http::Endpoint;
use crate::{clock, output};
use bytes::Bytes;
use history::History;
use rows::{Choice, Context, KINDS, Kind};
use screen::{Abilities, Screen};
use session::{Action, Session};
use std::io::IsTerminal;
use std::process::ExitCode;
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::{Duration, Instant};
use terminal::{Event, Terminal, Waker};

const ACCEPT: &str = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited";
const TIMEOUT: Duration = Duration::from_secs(10);
/// The clock in the corner goes on while nothing else does.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

pub struct Options {
    pub agent: Endpoint,
    pub interval: Duration,
    pub window: Duration,
    /// None: all of them in JSON, the services in text.
    pub view: Option<Kind>,
    pub choice: Choice,
    pub once: bool,
    pub json: bool,
}

/// A text whose characters cannot steer the terminal.
pub fn visible(text: &str) -> String {
    text.chars().map(|c| screen::shown(c, true)).collect()
}

/// An answer of the agent and when it came, or why there is none.
type Answer = Result<(Bytes, Instant, u64), String>;

pub fn run(options: Options) -> Result<ExitCode, CommandError> {
    let dumb = std::env::var("TERM").is_ok_and(|term| term == "dumb");
    if options.once || options.json || dumb || !std::io::stdout().is_terminal() {
        return print(&options);
    }
    let (send, answers) = mpsc::channel();
    let mut history = History::new();
    // The first answer decides whether there is anything to show.
    let first = runtime()?.block_on(read(&options.agent));
    take(&mut history, first).map_err(|error| no_agent(&error))?;
    let mut terminal = Terminal::enter()?;
    let (agent, interval, waker) = (options.agent.clone(), options.interval, terminal.waker());
    std::thread::spawn(move || keep_reading(&agent, interval, &send, waker));
    watch(&options, &mut terminal, history, &answers)
}

fn runtime() -> Result<tokio::runtime::Runtime, CommandError> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}

async fn read(agent: &Endpoint) -> Answer {
    let answer = agent.get("/metrics", &[("accept", ACCEPT)], TIMEOUT).await?;
    if !answer.status.is_success() {
        return Err(format!("{agent}/metrics answers {}", answer.status));
    }
    Ok((answer.body, Instant::now(), clock::now_ns()))
}

fn take(history: &mut History, answer: Answer) -> Result<(), String> {
    let (body, at, unix_ns) = answer?;
    history.add(&body, at, unix_ns)
}

fn no_agent(error: &str) -> String {
    format!(
        "no agent to look at: {error}; start one with `sudo limpid agent` or `sudo limpid up`, or name its \
         address with --agent"
    )
}

fn keep_reading(agent: &Endpoint, interval: Duration, send: &Sender<Answer>, waker: Waker) {
    let Ok(runtime) = runtime() else { return };
    let mut next = Instant::now();
    loop {
        // A late answer does not make up for itself by haste.
        next = (next + interval).max(Instant::now());
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
        if send.send(runtime.block_on(read(agent))).is_err() {
            return;
        }
        waker.wake();
    }
}

fn watch(
    options: &Options,
    terminal: &mut Terminal,
    mut history: History,
    answers: &Receiver<Answer>,
) -> Result<ExitCode, CommandError> {
    let mut session = Session::new(options.view.unwrap_or(Kind::Services), options.choice.clone(), options.window);
    let (width, height) = terminal.size();
    let mut screen = Screen::new(width, height, Abilities::of_environment());
    let mut picture = history.picture(session.window()).ok_or("the agent's answer is empty")?;
    let mut trouble: Option<String> = None;
    loop {
        let page = session.page(&Context { picture: &picture, history: &history });
        let shown = draw::Shown {
            picture: &picture,
            history: &history,
            session: &session,
            page: &page,
            trouble: trouble.as_deref(),
            every_seconds: options.interval.as_secs(),
        };
        draw::draw(&mut screen, &shown);
        terminal.write(&screen.changes())?;
        let mut recompute = false;
        match terminal.next(Instant::now() + LONGEST_WAIT)? {
            Event::Stop(signal) => return Ok(ExitCode::from(128u8.saturating_add(signal as u8))),
            Event::Resized => {
                let (width, height) = terminal.size();
                screen.resize(width, height);
            }
            Event::Woken => {}
            Event::Key(key) => match session.key(key, &page, &picture, screen.height.saturating_sub(8)) {
                Action::Quit => return Ok(ExitCode::SUCCESS),
                Action::Suspend => {
                    terminal.suspend()?;
                    let (width, height) = terminal.size();
                    screen.resize(width, height);
                }
                Action::Recompute => recompute = true,
                Action::Redraw if key == keys::Key::Control('l') => screen.resize(screen.width, screen.height),
                Action::Redraw | Action::None => {}
            },
        }
        while let Ok(answer) = answers.try_recv() {
            trouble = take(&mut history, answer).err().map(|error| away(&error, picture.unix_ns));
            recompute |= trouble.is_none();
        }
        if recompute && !session.paused {
            picture = history.picture(session.window()).unwrap_or(picture);
        }
    }
}

/// What is shown stays, with its time.
fn away(error: &str, shown_ns: u64) -> String {
    format!("No new figures: {error}. You see {}. Trying again.", clock::time(shown_ns))
}

/// Two readings, one picture.
fn print(options: &Options) -> Result<ExitCode, CommandError> {
    let runtime = runtime()?;
    let mut history = History::new();
    take(&mut history, runtime.block_on(read(&options.agent))).map_err(|error| no_agent(&error))?;
    std::thread::sleep(options.interval);
    take(&mut history, runtime.block_on(read(&options.agent)))?;
    let picture = history.picture(options.window).ok_or("the agent's answer is empty")?;
    let out = match options.json {
        true => {
            let kinds = options.view.map_or(KINDS.to_vec(), |view| vec![view]);
            once::json(&picture, &history, &kinds, &options.choice)
        }
        false => {
            let columns = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
            let width =
                terminal::size_of(libc::STDOUT_FILENO).map(|(width, _)| width).or(columns).unwrap_or(once::WIDTH);
            let kind = options.view.unwrap_or(Kind::Services);
            let utf8 = Abilities::of_environment().utf8;
            once::text(&picture, &history, kind, &options.choice, width.clamp(60, 1000), utf8)
        }
    };
    output::print(&out)?;
    Ok(ExitCode::SUCCESS)
}
