//! The program `cairn`: one process with a role. Configuration, wiring and ports; nothing of the data path itself.

pub mod admin;
pub mod archive;
mod backoff;
pub mod dev;
mod disk;
pub mod environment;
mod exports;
mod indexes;
pub mod internal;
mod listen;
mod memory;
mod node;
mod node_gauges;
mod regions;
pub mod router;
mod shutdown;
pub mod storage;
mod throttle;
pub mod tls;

use clap::{Parser, Subcommand};
use std::process::ExitCode;
use tracing_subscriber::{EnvFilter, fmt};

/// A DynamoDB for your own Kubernetes.
#[derive(Debug, Parser)]
#[command(name = "cairn", version, max_term_width = 110)]
struct Arguments {
    #[command(subcommand)]
    role: Role,
    /// How logs are written: `text` for people, `json` for collectors.
    #[arg(long, global = true, env = "CAIRN_LOG_FORMAT", value_enum, default_value = "text")]
    log_format: LogFormat,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum LogFormat {
    Text,
    Json,
}

#[derive(Debug, Subcommand)]
enum Role {
    /// Everything in one process, with tables in a folder and no Kubernetes.
    Dev(dev::Arguments),
    /// A storage node: replicas of partitions on a volume.
    Storage(storage::Arguments),
    /// A request router: what clients talk to.
    Router(router::Arguments),
    /// The archive beside a storage node: ships its log into a bucket, and brings tables back from there.
    Archive(archive::role::Arguments),
}

/// Runs the role that the command line names, to its end.
#[allow(clippy::print_stderr)] // the last word goes to whoever started the program
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    log_to_stderr(arguments.log_format);
    // The only provider that is compiled in; a second call finds it installed.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("cairn: failed to start its threads: {error}");
            return ExitCode::FAILURE;
        }
    };
    let ended = runtime.block_on(async {
        match arguments.role {
            Role::Dev(arguments) => dev::run(arguments).await,
            Role::Storage(arguments) => storage::run(arguments).await,
            Role::Router(arguments) => router::run(arguments).await,
            Role::Archive(arguments) => archive::role::run(arguments).await,
        }
    });
    // Connections and timers that are left have nothing more to say.
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cairn: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn log_to_stderr(format: LogFormat) {
    let filter = EnvFilter::try_from_env("CAIRN_LOG")
        .unwrap_or_else(|_| EnvFilter::new("info,fjall=warn,lsm_tree=warn,raft_engine=warn"));
    let builder = fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match format {
        LogFormat::Text => builder.init(),
        LogFormat::Json => builder.json().flatten_event(true).init(),
    }
}
