//! `docs/metrics.md` is made from the tables in the code. `LIMPID_UPDATE_DOCS=1 cargo test -p limpid-agent --test docs`
//! writes it anew.

use limpid_agent::collectors::{CollectorStatus, ProgramState};
use limpid_agent::identity::{Identity, usage};
use limpid_agent::losses;
use limpid_agent::pipeline;
use limpid_agent::self_status::{CollectorReport, SelfStatus};
use limpid_agent::telemetry::{Families, FamilySnapshot};
use std::fmt::Write;

const HEAD: &str = "# Metrics

What the agent measures, under the names of OTLP. In PromQL dots are underscores, and unit and `_total` are added:
`limpid.request.duration` in seconds is `limpid_request_duration_seconds`. Every histogram is a native histogram, and answers
as `x_bucket{le}`, `x_count` and `x_sum` too, so that rules and dashboards made for classic histograms work.

    histogram_quantile(0.95, sum by (service) (rate(limpid_request_duration_seconds[5m])))
    sum by (service) (rate(limpid_request_duration_seconds_count{side=\"server\",status!=\"ok\"}[5m]))

`service` is the watched process' service, `peer` the other end's (`peer_address` where it is not known), `side` from which end
of the connection the request was seen, `status` is `ok`, `error` or `unanswered`. A label that had too many values holds
`_OTHER`, counted as a loss.

This page is made from the tables in the code.
";

fn rows(out: &mut String, families: &[FamilySnapshot]) {
    let _ = writeln!(out, "| name | unit | what | labels |\n| --- | --- | --- | --- |");
    for family in families {
        let labels: Vec<String> = family.labels.iter().map(|label| format!("`{label}`")).collect();
        let _ = writeln!(out, "| `{}` | {} | {} | {} |", family.name, family.unit, family.help, labels.join(", "));
    }
}

fn page() -> String {
    let identity = Identity::start();
    let host = identity.host().clone();
    let reports = || {
        let status = CollectorStatus { name: "sockets", state: ProgramState::Running, programs: Vec::new() };
        vec![CollectorReport { status, programs: Vec::new() }]
    };
    let mut out = HEAD.to_owned();
    out.push_str("\n## Requests and connections\n\n");
    rows(&mut out, &pipeline::described());
    out.push_str("\n## Watched processes\n\n");
    rows(&mut out, &usage::described());
    out.push_str("\n## The agent itself\n\n");
    rows(&mut out, &SelfStatus::new(host, reports).families());
    out.push_str("\n## Losses\n\nThe label `cause` of `limpid.losses`:\n\n| cause | what was lost |\n| --- | --- |\n");
    for loss in losses::ALL {
        let _ = writeln!(out, "| `{}` | {} |", loss.cause, loss.help);
    }
    out
}

#[test]
fn the_page_of_metrics_is_that_of_the_tables() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/metrics.md");
    let page = page();
    if std::env::var_os("LIMPID_UPDATE_DOCS").is_some() {
        std::fs::write(path, &page).expect("docs/metrics.md is writable");
    }
    let stands = std::fs::read_to_string(path).unwrap_or_default();
    assert_eq!(stands, page, "docs/metrics.md is not that of the tables: run this test with LIMPID_UPDATE_DOCS=1");
}
