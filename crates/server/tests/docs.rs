//! `docs/server-metrics.md` is made from the table in the code. `LIMPID_UPDATE_DOCS=1 cargo test -p limpid-server --test docs`
//! writes it anew.

use limpid_server::figures::FAMILIES;
use std::fmt::Write;

const HEAD: &str = "# Metrics of the server

What the server says of itself at `http://127.0.0.1:7117/metrics`, in Prometheus' text format; with tokens set up it needs one
with the role `read`. What the agents measure is in [metrics.md](metrics.md).

    histogram_quantile(0.95, sum by (route, le) (rate(limpid_api_request_duration_seconds_bucket[5m])))
    sum by (cause) (increase(limpid_losses_total{part=\"store\"}[1h])) > 0

This page is made from the table in the code.

| name | kind | what |
| --- | --- | --- |
";

#[test]
fn the_page_of_metrics_is_that_of_the_table() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/server-metrics.md");
    let mut page = HEAD.to_owned();
    for family in FAMILIES {
        let _ = writeln!(page, "| `{}` | {} | {} |", family.name, family.kind, family.help);
    }
    if std::env::var_os("LIMPID_UPDATE_DOCS").is_some() {
        std::fs::write(path, &page).expect("docs/server-metrics.md is writable");
    }
    let stands = std::fs::read_to_string(path).unwrap_or_default();
    assert_eq!(
        stands, page,
        "docs/server-metrics.md is not that of the table: run this test with LIMPID_UPDATE_DOCS=1"
    );
}
