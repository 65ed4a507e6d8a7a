//! The program `cairn-operator`.

use cairn_operator::{config::Config, run, uninstall};
use clap::Parser;
use std::process::ExitCode;
use tracing_subscriber::{EnvFilter, layer::SubscriberExt, util::SubscriberInitExt};

#[tokio::main]
async fn main() -> ExitCode {
    // The one command beside the operator itself, for a Job of the chart; people read what it prints.
    if std::env::args().nth(1).as_deref() == Some("uninstall-check") {
        let arguments = uninstall::Arguments::parse_from(std::env::args().skip(1));
        return match uninstall::check(arguments).await {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("{}", cairn_operator::error::chain(&error));
                eprintln!("{}", uninstall::ADVICE);
                ExitCode::FAILURE
            }
        };
    }
    let config = Config::parse();
    tracing_subscriber::registry()
        .with(EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info")))
        .with(tracing_subscriber::fmt::layer().json().flatten_event(true))
        .init();
    match run::run(config).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = %cairn_operator::error::chain(&error), "the operator ends");
            ExitCode::FAILURE
        }
    }
}
