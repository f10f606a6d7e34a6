//! Feeds every reader of foreign bytes with what nobody would send, and stops at the first that panics, hangs or breaks
//! its promises.
//!
//!     cargo run -p limpid-fuzz --release -- [--seconds 180] [--target NAME] [--seed N]
//!     cargo run -p limpid-fuzz --release -- --target NAME --reproduce FILE
//!
//! No nightly compiler and no instrumentation: inputs are mutated from real conversations, so that they stay close to
//! what the readers accept. The time is shared by all rows of `TARGETS`. A failing input is saved in `fuzz/failures`.

mod corpus;
mod mutate;
mod targets;

use mutate::Random;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};
use targets::{TARGETS, Target};

/// An input that takes longer is a hang: inputs are at most `mutate::MAX_BYTES` long.
const MAX_RUN: Duration = Duration::from_secs(2);

struct Options {
    seconds: u64,
    seed: u64,
    target: Option<String>,
    reproduce: Option<PathBuf>,
}

fn options() -> Result<Options, String> {
    let mut options = Options { seconds: 60, seed: 1, target: None, reproduce: None };
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        let value = arguments.next().ok_or(format!("{name} needs a value"))?;
        let number = || value.parse().map_err(|_| format!("{name} needs a number, not {value}"));
        match name.as_str() {
            "--seconds" => options.seconds = number()?,
            "--seed" => options.seed = number()?,
            "--target" => options.target = Some(value),
            "--reproduce" => options.reproduce = Some(value.into()),
            _ => return Err(format!("unknown option {name}; there are --seconds, --seed, --target and --reproduce")),
        }
    }
    Ok(options)
}

fn main() -> ExitCode {
    match options().and_then(|options| run(&options)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("limpid-fuzz: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<(), String> {
    let chosen = |target: &&Target| options.target.as_deref().is_none_or(|name| name == target.name);
    let targets: Vec<&Target> = TARGETS.iter().filter(chosen).collect();
    if targets.is_empty() {
        let names: Vec<_> = TARGETS.iter().map(|target| target.name).collect();
        return Err(format!("no such target; there are {}", names.join(", ")));
    }
    if let Some(file) = &options.reproduce {
        let input = std::fs::read(file).map_err(|error| format!("{}: {error}", file.display()))?;
        return targets.iter().try_for_each(|target| attempt(target, &input));
    }
    let share = Duration::from_secs(options.seconds) / targets.len() as u32;
    targets.iter().try_for_each(|target| fuzz(target, share, options.seed))
}

fn fuzz(target: &Target, time: Duration, seed: u64) -> Result<(), String> {
    let seeds = (target.seeds)()?;
    if seeds.is_empty() {
        return Err(format!("{}: no seeds", target.name));
    }
    for seed in &seeds {
        attempt(target, seed)?;
    }
    let (mut random, began, mut executions, mut bytes) = (Random::new(seed), Instant::now(), 0u64, 0u64);
    while began.elapsed() < time {
        for _ in 0..64 {
            let input = (target.mutate)(&seeds, &mut random);
            attempt(target, &input)?;
            executions += 1;
            bytes += input.len() as u64;
        }
    }
    let seconds = began.elapsed().as_secs_f64();
    println!(
        "{:24} {executions:>10} executions  {:>8.0}/s  {:>6.1} MB  {} seeds  ok",
        target.name,
        executions as f64 / seconds,
        bytes as f64 / 1e6,
        seeds.len()
    );
    Ok(())
}

fn attempt(target: &Target, input: &[u8]) -> Result<(), String> {
    let began = Instant::now();
    let outcome = catch_unwind(AssertUnwindSafe(|| (target.run)(input)));
    let failure = match outcome {
        Ok(Ok(())) if began.elapsed() <= MAX_RUN => return Ok(()),
        Ok(Ok(())) => format!("took {:.1} s", began.elapsed().as_secs_f64()),
        Ok(Err(promise)) => promise,
        Err(_) => "panicked".to_owned(),
    };
    let file = save(target, input)?;
    Err(format!("{} {failure}; reproduce with --target {} --reproduce {}", target.name, target.name, file.display()))
}

fn save(target: &Target, input: &[u8]) -> Result<PathBuf, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("failures");
    std::fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let hash = input
        .iter()
        .fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3));
    let file = folder.join(format!("{}-{hash:016x}", target.name));
    std::fs::write(&file, input).map_err(|error| format!("{}: {error}", file.display()))?;
    Ok(file)
}
