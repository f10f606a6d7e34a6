//! Prometheus' own evaluation scripts, run against the engine. The folder is given by `PROMQL_TESTDATA`, or is
//! `../shared/promql` beside the workspace; without it this test has nothing to run and says so. The floors are what was
//! reached: fewer passing cases in any file is a failure.

mod compare;
mod memory;
mod script;

use memory::Memory;
use script::Command;
use std::path::PathBuf;

/// File and cases that must pass. The nine that do not, all in `native_histograms`, want `histogram_count(sum(…))` to
/// warn of conflicting counter resets, which Prometheus' storage finds out only below that function.
const FLOORS: &[(&str, usize)] = &[
    ("aggregators", 116),
    ("at_modifier", 60),
    ("collision", 1),
    ("functions", 270),
    ("histograms", 163),
    ("literals", 25),
    ("name_label_dropping", 23),
    ("native_histograms", 176),
    ("operators", 105),
    ("range_queries", 5),
    ("selectors", 29),
    ("staleness", 13),
    ("subquery", 26),
    ("trig_functions", 18),
];

fn folder() -> Option<PathBuf> {
    if let Some(folder) = std::env::var_os("PROMQL_TESTDATA") {
        return Some(folder.into());
    }
    let beside = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/promql");
    beside.is_dir().then_some(beside)
}

#[derive(Default)]
struct Count {
    passed: usize,
    failed: usize,
    not_applicable: usize,
}

fn run(text: &str, file: &str) -> Result<Count, String> {
    let mut memory = Memory::default();
    let mut count = Count::default();
    for command in script::parse(text)? {
        match command {
            Command::Clear => memory = Memory::default(),
            Command::Load { gap_ms, with_custom_buckets, series } => memory.load(gap_ms, &series, with_custom_buckets),
            Command::Eval(eval) => match compare::check(&memory, &eval) {
                Ok(()) => count.passed += 1,
                Err(compare::Verdict::NotApplicable) => count.not_applicable += 1,
                Err(compare::Verdict::Failed(why)) => {
                    count.failed += 1;
                    println!("{file}:{}: {}\n    {why}", eval.line, eval.expr);
                }
            },
        }
    }
    Ok(count)
}

#[test]
fn upstream_scripts() {
    let Some(folder) = folder() else {
        println!("no evaluation scripts: set PROMQL_TESTDATA to Prometheus' promql/promqltest/testdata");
        return;
    };
    let mut files: Vec<PathBuf> = std::fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("cannot read {}: {error}", folder.display()))
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "test"))
        .collect();
    files.sort();
    let mut below = Vec::new();
    let mut table = String::new();
    for path in files {
        let file = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&path).expect("a script");
        let count = run(&text, &file).unwrap_or_else(|error| panic!("{file}: {error}"));
        table += &format!(
            "{file:24} {:4} passed {:4} failed {:4} not applicable\n",
            count.passed, count.failed, count.not_applicable
        );
        let floor = FLOORS.iter().find(|(name, _)| *name == file).map_or(0, |(_, floor)| *floor);
        if count.passed < floor {
            below.push(format!("{file}: {} of {floor}", count.passed));
        }
    }
    println!("{table}");
    assert!(below.is_empty(), "fewer cases pass than before: {below:?}");
}
