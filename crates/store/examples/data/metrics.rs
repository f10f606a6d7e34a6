//! Series of the request family as the agent sends them: histograms of 25 services that call each other. The same
//! arguments give the same samples.

use limpid_model::series::{Point, Sample, Value};
use limpid_model::{ExpHistogram, Labels};
use std::sync::Arc;

pub struct Requests {
    series: Vec<(Labels, ExpHistogram, f64)>,
    start_second: u64,
    pub last_second: u64,
    state: u64,
}

impl Requests {
    /// `rate`: requests a second in all series together.
    pub fn new(series: usize, start_second: u64, rate: f64) -> Self {
        // Some are busy and most are not: the first has as much as the next nine together.
        let weight = |at: usize| 1.0 / (1.0 + at as f64 / 10.0);
        let total: f64 = (0..series).map(weight).sum();
        let one = |at: usize| (labels(at), ExpHistogram::default(), rate * weight(at) / total);
        Requests {
            series: (0..series).map(one).collect(),
            start_second,
            last_second: start_second,
            state: 0x9e37_79b9_7f4a_7c15,
        }
    }

    /// The next sample of every series.
    pub fn points(&mut self, second: u64) -> Vec<Point> {
        let seconds = (second - self.last_second) as f64;
        self.last_second = second;
        let (start_ms, time_ms) = (self.start_second as i64 * 1000, second as i64 * 1000);
        let state = &mut self.state;
        let mut noise = || {
            *state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            *state >> 33
        };
        let mut points = Vec::with_capacity(self.series.len());
        for (at, (labels, histogram, rate)) in self.series.iter_mut().enumerate() {
            let calls = *rate * seconds + noise() as f64 / (1u64 << 31) as f64;
            for _ in 0..calls as u64 {
                // About log-normal around a median of its own.
                let spread: f64 = (0..4).map(|_| (noise() % 1000) as f64 / 1000.0).sum::<f64>() - 2.0;
                histogram.record_ns((1e6 * (1 + at % 50) as f64 * spread.exp()) as u64);
            }
            let sample = Sample { time_ms, value: Value::Histogram(Arc::new(histogram.clone())) };
            points.push(Point { labels: labels.clone(), start_ms, sample });
        }
        points
    }
}

fn labels(at: usize) -> Labels {
    let (client, server) = (format!("service-{}", at / 2 % 25), format!("service-{}", (at / 2 * 7 + 1) % 25));
    let is_client = at % 2 == 0;
    let (service, peer) = if is_client { (&client, &server) } else { (&server, &client) };
    Labels::from_pairs([
        ("__name__", "limpid_request_duration_seconds".to_owned()),
        ("service", service.clone()),
        ("peer", peer.clone()),
        ("protocol", "http".to_owned()),
        ("operation", "GET".to_owned()),
        ("resource", format!("/route/{}", at / 2)),
        ("status", if at / 2 % 10 == 3 { "error" } else { "ok" }.to_owned()),
        ("side", if is_client { "client" } else { "server" }.to_owned()),
        ("instance", format!("process:m/{service}")),
        ("host", "alpha".to_owned()),
    ])
}
