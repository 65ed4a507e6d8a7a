//! What the service tells of itself, operation by operation; and of each table ([`tables`]).

pub(crate) mod tables;

use crate::{http::reply::type_name, operations::OPERATIONS};
use cairn_model::ErrorKind;
use prometheus::{Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, Opts, Registry};
use std::time::Duration;

/// Seconds: a GetItem takes some hundred microseconds, a Scan's page some ten milliseconds, a leader's loss seconds.
const LATENCY_BUCKETS: &[f64] =
    &[0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

#[derive(Debug)]
pub(crate) struct Metrics {
    operations: Vec<OperationMetrics>,
    errors: IntCounterVec,
}

#[derive(Debug)]
struct OperationMetrics {
    requests: IntCounter,
    seconds: Histogram,
}

impl Metrics {
    pub(crate) fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let requests = IntCounterVec::new(
            Opts::new("cairn_api_requests_total", "Requests answered, whatever the answer"),
            &["operation"],
        )?;
        let errors = IntCounterVec::new(
            Opts::new("cairn_api_errors_total", "Requests answered with an error"),
            &["operation", "error"],
        )?;
        let seconds = HistogramVec::new(
            HistogramOpts::new("cairn_api_request_duration_seconds", "Time from a request's head to its answer")
                .buckets(LATENCY_BUCKETS.to_vec()),
            &["operation"],
        )?;
        registry.register(Box::new(requests.clone()))?;
        registry.register(Box::new(errors.clone()))?;
        registry.register(Box::new(seconds.clone()))?;
        let operations = OPERATIONS
            .iter()
            .map(|operation| OperationMetrics {
                requests: requests.with_label_values(&[operation.name]),
                seconds: seconds.with_label_values(&[operation.name]),
            })
            .collect();
        Ok(Self { operations, errors })
    }

    /// One request of the operation at `index` of the table.
    pub(crate) fn record(&self, index: usize, took: Duration, error: Option<ErrorKind>) {
        let operation = &self.operations[index];
        operation.requests.inc();
        operation.seconds.observe(took.as_secs_f64());
        if let Some(kind) = error {
            self.errors.with_label_values(&[OPERATIONS[index].name, type_name(kind)]).inc();
        }
    }
}
