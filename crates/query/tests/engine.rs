//! The engine over the model's own series: what Prometheus' scripts do not ask, above all native histograms as they are
//! stored and what is computed from them.

use limpid_model::series::{MatchOp, Metadata, MetricType, STALE_NAN_BITS, SourceError};
use limpid_model::{ExpHistogram, Labels, Matcher, Sample, Series, SeriesSource, Value};
use limpid_query::ErrorKind;
use limpid_query::promql::{self, Engine, Limits, QueryValue};
use promql_parser::label::{self as parsed};
use promql_parser::parser::token::{T_EQL_REGEX, T_NEQ_REGEX};
use std::sync::Arc;
use std::time::Duration;

#[derive(Default)]
struct Memory(Vec<Series>);

impl Memory {
    fn with(mut self, labels: &[(&str, &str)], samples: impl IntoIterator<Item = (i64, Value)>) -> Self {
        let samples = samples.into_iter().map(|(seconds, value)| Sample { time_ms: seconds * 1000, value }).collect();
        self.0.push(Series { labels: Labels::from_pairs(labels.iter().copied()), samples, starts: Vec::new() });
        self
    }
}

fn fits(labels: &Labels, matcher: &Matcher) -> bool {
    let value = labels.get(&matcher.name).unwrap_or_default();
    let regex = |id| {
        parsed::Matcher::new_matcher(id, matcher.name.to_string(), matcher.value.to_string()).unwrap().is_match(value)
    };
    match matcher.op {
        MatchOp::Equal => value == matcher.value,
        MatchOp::NotEqual => value != matcher.value,
        MatchOp::Regex => regex(T_EQL_REGEX),
        MatchOp::NotRegex => regex(T_NEQ_REGEX),
    }
}

impl SeriesSource for Memory {
    fn select(&self, matchers: &[Matcher], start_ms: i64, end_ms: i64) -> Result<Vec<Series>, SourceError> {
        let mut found = self.0.clone();
        found.retain(|series| matchers.iter().all(|matcher| fits(&series.labels, matcher)));
        found
            .iter_mut()
            .for_each(|series| series.samples.retain(|sample| (start_ms..=end_ms).contains(&sample.time_ms)));
        Ok(found)
    }

    fn series(&self, matchers: &[Matcher], _: i64, _: i64) -> Result<Vec<Labels>, SourceError> {
        let fitting = self.0.iter().filter(|series| matchers.iter().all(|matcher| fits(&series.labels, matcher)));
        Ok(fitting.map(|series| series.labels.clone()).collect())
    }

    fn metadata(&self) -> Vec<Metadata> {
        vec![Metadata { name: "x".into(), kind: MetricType::Histogram, unit: "s".into(), help: "".into() }]
    }
}

/// Counts up by `per_sample` values of `ms` every ten seconds.
fn counter(per_sample: u64, ms: u64, times: std::ops::RangeInclusive<i64>) -> Vec<(i64, Value)> {
    let mut histogram = ExpHistogram::default();
    times
        .step_by(10)
        .map(|time| {
            (0..per_sample).for_each(|_| histogram.record_ns(ms * 1_000_000));
            (time, Value::Histogram(Arc::new(histogram.clone())))
        })
        .collect()
}

fn world() -> Memory {
    Memory::default()
        .with(&[("__name__", "x"), ("service", "a")], counter(100, 20, 0..=600))
        .with(&[("__name__", "x"), ("service", "b")], counter(50, 3000, 0..=600))
}

fn instant(source: &Memory, expr: &str, seconds: i64) -> Vec<(String, f64)> {
    let answer = Engine::new(Limits::default())
        .instant(source, expr, seconds * 1000)
        .unwrap_or_else(|error| panic!("{expr}: {error}"));
    let QueryValue::Vector(samples) = answer.value else { panic!("{expr} gives no vector") };
    let mut rows: Vec<(String, f64)> = samples
        .iter()
        .map(|sample| {
            let labels: Vec<String> = sample.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
            (labels.join(","), sample.value.float().expect("a float"))
        })
        .collect();
    rows.sort_by(|a, b| a.0.cmp(&b.0));
    rows
}

fn near(got: f64, expected: f64, tolerance: f64) {
    assert!((got - expected).abs() <= tolerance * expected.abs(), "{got} is not near {expected}");
}

#[test]
fn rates_and_quantiles_of_stored_histograms() {
    let world = world();
    let rates = instant(&world, "sum by (service) (histogram_count(rate(x[1m])))", 600);
    near(rates[0].1, 10.0, 1e-9);
    near(rates[1].1, 5.0, 1e-9);
    let quantiles = instant(&world, "histogram_quantile(0.95, sum by (service) (rate(x[1m])))", 600);
    near(quantiles[0].1, 0.020, 0.05);
    near(quantiles[1].1, 3.0, 0.05);
    near(instant(&world, "histogram_avg(sum(rate(x[1m])))", 600)[0].1, (10.0 * 0.02 + 5.0 * 3.0) / 15.0, 1e-6);
}

#[test]
fn a_native_histogram_also_answers_as_a_classic_one() {
    let world = world();
    assert_eq!(instant(&world, "sum(x_count)", 600)[0].1, 61.0 * 150.0);
    near(instant(&world, "sum(rate(x_sum[1m]))", 600)[0].1, 10.0 * 0.02 + 5.0 * 3.0, 1e-6);
    let buckets = instant(&world, "x_bucket{service=\"a\"}", 600);
    assert_eq!(buckets.len(), 17, "the whole ladder");
    let at = |bound: &str| instant(&world, &format!("x_bucket{{service=\"a\",le=\"{bound}\"}}"), 600)[0].1;
    assert_eq!((at("0.01"), at("0.025"), at("+Inf")), (0.0, 6100.0, 6100.0));
    let classic = instant(&world, "histogram_quantile(0.95, sum by (le) (rate(x_bucket{service=\"b\"}[1m])))", 600);
    assert!((2.5..=5.0).contains(&classic[0].1), "{classic:?}");
    assert_eq!(instant(&world, "count(x_bucket{le=~\"0.1|1\"})", 600)[0].1, 4.0);
    assert_eq!(instant(&world, "x_bucket{le!=\"+Inf\",service=\"a\"}", 600).len(), 16);
}

#[test]
fn a_stored_series_goes_before_a_computed_one() {
    let world = world().with(&[("__name__", "x_count"), ("service", "a")], [(600, Value::Float(7.0))]);
    assert_eq!(instant(&world, "x_count", 600), [("__name__=x_count,service=a".to_string(), 7.0)]);
}

#[test]
fn a_counter_that_starts_anew_is_no_negative_rate() {
    let before = counter(100, 20, 0..=290);
    let after = counter(100, 20, 300..=600);
    let world = Memory::default().with(&[("__name__", "x")], before.into_iter().chain(after));
    near(instant(&world, "histogram_count(increase(x[5m]))", 450)[0].1, 3000.0, 0.01);
    near(instant(&world, "increase(x_count[5m])", 450)[0].1, 3000.0, 0.01);
}

#[test]
fn a_stale_histogram_is_gone_at_once() {
    let stale = (610, Value::Float(f64::from_bits(STALE_NAN_BITS)));
    let world = Memory::default().with(&[("__name__", "x")], counter(1, 20, 0..=600).into_iter().chain([stale]));
    assert_eq!(instant(&world, "histogram_count(x)", 605).len(), 1);
    assert!(instant(&world, "histogram_count(x)", 615).is_empty());
    assert!(instant(&world, "x_count", 615).is_empty());
    assert_eq!(instant(&world, "histogram_count(rate(x[1m]))", 615).len(), 1, "a range does not see the marker");
}

#[test]
fn names_of_computed_series_are_listed() {
    let values = promql::label_values(&world(), "__name__", &[], 0, 600_000).expect("values");
    assert_eq!(values, ["x", "x_bucket", "x_count", "x_sum"]);
    let series = promql::series(&world(), &["x_bucket{service=\"a\"}".into()], 0, 600_000).expect("series");
    assert_eq!(series.len(), 17);
    assert_eq!(promql::label_names(&world(), &[], 0, 600_000).expect("names"), ["__name__", "service"]);
    assert_eq!(promql::parse_selector("sum(x)").map_err(|error| error.kind), Err(ErrorKind::BadData));
}

#[test]
fn answers_have_prometheus_json() {
    let engine = Engine::new(Limits::default());
    let json =
        |expr: &str| serde_json::to_string(&engine.instant(&world(), expr, 600_500).expect(expr).value).expect("json");
    assert_eq!(json("1 / 0"), r#"{"resultType":"scalar","result":[600.5,"+Inf"]}"#);
    assert_eq!(json("\"a\""), r#"{"resultType":"string","result":[600.5,"a"]}"#);
    assert_eq!(json("count(x)"), r#"{"resultType":"vector","result":[{"metric":{},"value":[600.5,"2"]}]}"#);
    let histogram = json("sum(x{service=\"a\"})");
    assert!(
        histogram
            .starts_with(r#"{"resultType":"vector","result":[{"metric":{},"histogram":[600.5,{"count":"6100","sum":"#),
        "{histogram}"
    );
    assert!(histogram.contains(r#""buckets":[[0,"0.0"#), "{histogram}");
    let matrix = engine.range(&world(), "count(x)", 0, 20_000, 10_000).expect("a matrix");
    assert_eq!(
        serde_json::to_string(&matrix.value).expect("json"),
        r#"{"resultType":"matrix","result":[{"metric":{},"values":[[0.0,"2"],[10.0,"2"],[20.0,"2"]]}]}"#
    );
}

#[test]
fn limits_are_clear_errors() {
    let world = world();
    let engine = Engine::new(Limits { max_samples: 50, ..Limits::default() });
    let error = engine.instant(&world, "x[10m]", 600_000).expect_err("too many samples");
    assert_eq!((error.kind, error.text.contains("too many samples")), (ErrorKind::Execution, true));
    let engine = Engine::new(Limits { max_read: 100, ..Limits::default() });
    assert_eq!(
        engine.instant(&world, "rate(x[20m])", 600_000).map_err(|error| error.kind).err(),
        Some(ErrorKind::Execution)
    );
    let engine = Engine::new(Limits { max_series: 1, ..Limits::default() });
    assert_eq!(engine.instant(&world, "x", 600_000).map_err(|error| error.kind).err(), Some(ErrorKind::Execution));
    let engine = Engine::new(Limits { timeout: Duration::ZERO, ..Limits::default() });
    assert_eq!(engine.instant(&world, "x", 600_000).map_err(|error| error.kind).err(), Some(ErrorKind::Timeout));
    let engine = Engine::new(Limits::default());
    let refused = |expr: &str, start: i64, end: i64, step: i64| {
        engine.range(&world, expr, start, end, step).map_err(|error| error.kind).err()
    };
    assert_eq!(refused("x", 0, 11_000_000, 1000), Some(ErrorKind::BadData), "11,001 points");
    assert_eq!(refused("x", 0, 10_999_000, 1000), None);
    assert_eq!(refused("x", 10, 0, 1000), Some(ErrorKind::BadData));
    assert_eq!(refused("x", 0, 10, 0), Some(ErrorKind::BadData));
    assert_eq!(refused("x[5m]", 0, 10, 1), Some(ErrorKind::BadData));
}

#[test]
fn hostile_queries_are_refused_not_run() {
    let world = world();
    let engine = Engine::new(Limits { timeout: Duration::from_secs(2), ..Limits::default() });
    let deep = format!("{}x{}", "(".repeat(30_000), ")".repeat(30_000));
    let long = vec!["x"; 10_000].join("+");
    let minus = format!("{}x", "-".repeat(20_000));
    let queries = [
        deep.as_str(),
        long.as_str(),
        minus.as_str(),
        "",
        "x{",
        "x[5m",
        "sum(",
        "x{a=~\"((a{1000}){1000}){1000}\"}",
        "label_replace(x, \"d\", \"$1\", \"service\", \"(((a{500}){500}){500})\")",
        "quantile_over_time(2, x[1m])[1y:1ms]",
        "x[",
        "max_over_time(vector(1)[1000y:1ms])",
        "topk(NaN, x)",
        "nosuch(x)",
        "rate(x)",
        "x and 1",
        "count_values(\"\", x)",
    ];
    for query in queries {
        let instant = engine.instant(&world, query, 600_000).map_err(|error| error.kind);
        assert!(instant.is_err(), "{query:.60} gives {instant:?}");
        let range = engine.range(&world, query, 0, 600_000, 60_000).map_err(|error| error.kind);
        assert!(range.is_err(), "{query:.60} gives {range:?}");
    }
    for query in
        ["x @ 1e300", "x offset 99999y", "max_over_time(x[99999y])", "x @ -1e300", "day_of_year(vector(1e300))"]
    {
        let answer = engine.instant(&world, query, 600_000);
        assert!(answer.is_ok() || answer.is_err_and(|error| error.kind == ErrorKind::BadData), "{query}");
    }
}

#[test]
fn damaged_queries_never_panic() {
    const GOOD: &[&str] = &[
        "histogram_quantile(0.95, sum by (service) (rate(x{a=~\"b.*\",c!=\"d\"}[5m] offset 1m)))",
        "topk(3, x @ start()) and on (service) label_replace(x, \"d\", \"$1\", \"service\", \"(.*)\")",
        "-x ^ 2 % 3 == bool 1 or absent(x) unless vector(1)",
        "max_over_time(rate(x_count[1m])[5m:30s]) / ignoring(a) group_left(b) sum without (c) (x_sum)",
        "count_values(\"v\", round(x_bucket, 0.5)) > 1e-3 + 0x1F - .5 * Inf",
    ];
    const PIECES: &[&str] = &[
        "(", ")", "{", "}", "[", "]", "\"", "'", "`", ":", ",", "@", "-", "1e", "\\x", "\\", "\u{e9}", " by ", "=~",
        "0", "5m", "\0", "#",
    ];
    let world = world();
    let engine = Engine::new(Limits { timeout: Duration::from_secs(2), max_samples: 100_000, ..Limits::default() });
    let mut random = 1u64;
    let mut next = |below: usize| {
        random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (random >> 33) as usize % below
    };
    let mut answered = 0;
    for round in 0..4000 {
        let mut query: Vec<char> = GOOD[round % GOOD.len()].chars().collect();
        for _ in 0..=next(3) {
            if query.is_empty() {
                break;
            }
            let at = next(query.len());
            match next(3) {
                0 => drop(query.remove(at)),
                1 => drop(query.splice(at..at, PIECES[next(PIECES.len())].chars())),
                _ => query.truncate(at.max(1)),
            }
        }
        let query: String = query.into_iter().collect();
        answered += usize::from(engine.instant(&world, &query, 600_000).is_ok());
    }
    assert!((100..3900).contains(&answered), "{answered} of 4000 are fine: the damage is of no use");
}
