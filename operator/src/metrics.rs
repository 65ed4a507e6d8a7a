//! What the operator counts, in Prometheus' words.

use crate::error::Result;
use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder};
use std::time::Duration;

#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Registry,
    reconciles: IntCounterVec,
    reconcile_seconds: HistogramVec,
    leading: IntGauge,
    certificate_expiry: IntGaugeVec,
    archive_unhealthy: IntGaugeVec,
    log_held_bytes: IntGaugeVec,
    recovery_unhealthy: IntGaugeVec,
    global_table_unhealthy: IntGaugeVec,
    clocks_differ: IntGaugeVec,
}

impl Metrics {
    pub fn new() -> Result<Self> {
        let registry = Registry::new();
        let reconciles = IntCounterVec::new(
            Opts::new("cairn_operator_reconciles_total", "Reconciles, by kind and outcome."),
            &["kind", "outcome"],
        )?;
        let reconcile_seconds = HistogramVec::new(
            HistogramOpts::new("cairn_operator_reconcile_seconds", "How long reconciles took."),
            &["kind"],
        )?;
        let leading = IntGauge::new("cairn_operator_leading", "1 while this operator holds the lease.")?;
        let certificate_expiry = IntGaugeVec::new(
            Opts::new("cairn_operator_certificate_expiry_timestamp_seconds", "When a certificate ends, by its Secret."),
            &["namespace", "secret"],
        )?;
        // Not `namespace`, which is the operator's own where it is scraped.
        let group = ["account", "group"];
        let archive_unhealthy = IntGaugeVec::new(
            Opts::new("cairn_operator_archive_unhealthy", "1 while archives of a group do not reach their bucket."),
            &group,
        )?;
        let log_held_bytes = IntGaugeVec::new(
            Opts::new(
                "cairn_operator_log_held_bytes",
                "The most log that waits for the archive in one replica of a group.",
            ),
            &group,
        )?;
        let recovery_unhealthy = IntGaugeVec::new(
            Opts::new(
                "cairn_operator_table_recovery_unhealthy",
                "1 while a table's past is not kept as it is to be, 0 while it is; by Table. Its condition ContinuousBackups says why.",
            ),
            &["namespace", "table"],
        )?;
        let global_table = ["account", "global_table"];
        let global_table_unhealthy = IntGaugeVec::new(
            Opts::new(
                "cairn_operator_global_table_unhealthy",
                "1 while regions of a GlobalTable do not all replicate, 0 while they do. Its condition Ready says why.",
            ),
            &global_table,
        )?;
        let clocks_differ = IntGaugeVec::new(
            Opts::new(
                "cairn_operator_global_table_clocks_differ",
                "1 while clocks of a GlobalTable's regions differ by too much. Its condition ClocksAgree says which.",
            ),
            &global_table,
        )?;
        registry.register(Box::new(reconciles.clone()))?;
        registry.register(Box::new(reconcile_seconds.clone()))?;
        registry.register(Box::new(leading.clone()))?;
        registry.register(Box::new(certificate_expiry.clone()))?;
        registry.register(Box::new(archive_unhealthy.clone()))?;
        registry.register(Box::new(log_held_bytes.clone()))?;
        registry.register(Box::new(recovery_unhealthy.clone()))?;
        registry.register(Box::new(global_table_unhealthy.clone()))?;
        registry.register(Box::new(clocks_differ.clone()))?;
        Ok(Self {
            registry,
            reconciles,
            reconcile_seconds,
            leading,
            certificate_expiry,
            archive_unhealthy,
            log_held_bytes,
            recovery_unhealthy,
            global_table_unhealthy,
            clocks_differ,
        })
    }

    pub fn reconciled(&self, kind: &str, is_ok: bool, took: Duration) {
        self.reconciles.with_label_values(&[kind, if is_ok { "ok" } else { "error" }]).inc();
        self.reconcile_seconds.with_label_values(&[kind]).observe(took.as_secs_f64());
    }

    pub fn set_leading(&self, leading: bool) {
        self.leading.set(i64::from(leading));
    }

    pub fn certificate_ends(&self, namespace: &str, secret: &str, at_seconds: i64) {
        self.certificate_expiry.with_label_values(&[namespace, secret]).set(at_seconds);
    }

    pub fn archive_ships(&self, account: &str, group: &str, ships: bool) {
        self.archive_unhealthy.with_label_values(&[account, group]).set(i64::from(!ships));
    }

    pub fn log_is_held(&self, account: &str, group: &str, bytes: u64) {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        self.log_held_bytes.with_label_values(&[account, group]).set(bytes);
    }

    /// The group, or its archive, is gone.
    pub fn forget_archive(&self, account: &str, group: &str) {
        for gauge in [&self.archive_unhealthy, &self.log_held_bytes] {
            // There may be none.
            let _ = gauge.remove_label_values(&[account, group]);
        }
    }

    pub fn recovery_is_on(&self, namespace: &str, table: &str, is_healthy: bool) {
        self.recovery_unhealthy.with_label_values(&[namespace, table]).set(i64::from(!is_healthy));
    }

    pub fn recovery_is_off(&self, namespace: &str, table: &str) {
        // There is none for a table whose recovery was never on.
        let _ = self.recovery_unhealthy.remove_label_values(&[namespace, table]);
    }

    pub fn global_table_is(&self, account: &str, name: &str, is_healthy: bool, do_clocks_agree: bool) {
        self.global_table_unhealthy.with_label_values(&[account, name]).set(i64::from(!is_healthy));
        self.clocks_differ.with_label_values(&[account, name]).set(i64::from(!do_clocks_agree));
    }

    pub fn global_table_is_gone(&self, account: &str, name: &str) {
        for gauge in [&self.global_table_unhealthy, &self.clocks_differ] {
            // There is none before it was first looked at.
            let _ = gauge.remove_label_values(&[account, name]);
        }
    }

    /// The metrics in the text format.
    pub fn text(&self) -> Result<String> {
        Ok(TextEncoder::new().encode_to_string(&self.registry.gather())?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_global_table_that_is_gone_is_not_counted() {
        let metrics = Metrics::new().unwrap();
        metrics.global_table_is("game", "users", false, true);
        let text = metrics.text().unwrap();
        let labels = r#"{account="game",global_table="users"}"#;
        assert!(text.contains(&format!("cairn_operator_global_table_unhealthy{labels} 1")), "{text}");
        assert!(text.contains(&format!("cairn_operator_global_table_clocks_differ{labels} 0")), "{text}");
        metrics.global_table_is_gone("game", "users");
        metrics.global_table_is_gone("game", "users");
        assert!(!metrics.text().unwrap().contains("users"));
    }

    #[test]
    fn a_table_whose_recovery_is_off_is_not_counted() {
        let metrics = Metrics::new().unwrap();
        metrics.recovery_is_on("game", "users", false);
        let line = r#"cairn_operator_table_recovery_unhealthy{namespace="game",table="users"} 1"#;
        assert!(metrics.text().unwrap().contains(line));
        metrics.recovery_is_off("game", "users");
        metrics.recovery_is_off("game", "users");
        assert!(!metrics.text().unwrap().contains("users"));
    }
}
