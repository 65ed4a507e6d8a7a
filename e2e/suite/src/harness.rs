//! Runs scenarios one after the other on one installation, and keeps what explains a failure.

use crate::{
    bucket::Bucket,
    client::{Dynamo, now},
    kube::{self, RELEASE_NAMESPACE},
    sigv4::Signer,
};
use anyhow::{Context, Result};
use futures::future::BoxFuture;
use serde_json::Value;
use std::{
    env, fs,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

pub(crate) const NAMESPACE: &str = "game";
pub(crate) const REGION: &str = "east";
pub(crate) const ACCESS_KEY: &str = "AKIAGAME0000EXAMPLE1";
pub(crate) const SECRET_KEY: &str = "correct-horse-battery-staple";

type Run = for<'a> fn(&'a mut World) -> BoxFuture<'a, Result<Verdict>>;

/// One scenario: a statement, and what shows that it is so.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) run: Run,
    /// Without it none of the later ones can run.
    pub(crate) essential: bool,
}

#[derive(Debug)]
pub(crate) enum Verdict {
    /// With figures worth printing.
    Passed(String),
    /// With the reason.
    Skipped(&'static str),
}

/// What scenarios share.
#[derive(Debug)]
pub(crate) struct World {
    endpoint: Option<String>,
    forward: Option<Child>,
    /// What the etcd scenario applies again.
    pub(crate) manifests: Vec<String>,
    /// Where the account's tables have their backups; none where the suite can't run an S3 server that the pods reach.
    pub(crate) bucket: Option<Bucket>,
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(mut forward) = self.forward.take() {
            let _ = forward.kill();
            let _ = forward.wait();
        }
    }
}

impl World {
    /// Host and port of the Service, as clients reach it from here.
    pub(crate) fn endpoint(&mut self) -> Result<String> {
        if let Some(endpoint) = &self.endpoint {
            return Ok(endpoint.clone());
        }
        let endpoint = if kube::is_direct() {
            let service = kube::get(&["service", "dynamodb", "-n", RELEASE_NAMESPACE])?;
            let address = service["spec"]["clusterIP"].as_str().context("the Service has no address")?.to_owned();
            format!("{address}:{}", service["spec"]["ports"][0]["port"])
        } else {
            // kubectl's forwarding ends with the pod it goes to: start it again each time.
            let script =
                "while :; do kubectl -n cairn-system port-forward service/dynamodb 18000:8000; sleep 0.2; done";
            self.forward =
                Some(Command::new("sh").args(["-c", script]).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?);
            std::thread::sleep(Duration::from_secs(2));
            "127.0.0.1:18000".to_owned()
        };
        self.endpoint = Some(endpoint.clone());
        Ok(endpoint)
    }

    /// The Service's address is another one after etcd was emptied.
    pub(crate) fn forget_endpoint(&mut self) {
        self.endpoint = None;
    }

    pub(crate) fn dynamo(&mut self) -> Result<Dynamo> {
        let signer = Signer { access_key: ACCESS_KEY.into(), secret_key: SECRET_KEY.into(), region: REGION.into() };
        Ok(Dynamo::new(self.endpoint()?, signer))
    }

    /// A program of the Python environment with what the AWS SDKs read from theirs.
    pub(crate) fn python(&mut self, program: &str) -> Result<Command> {
        let folder = PathBuf::from(env::var_os("CAIRN_E2E_PYTHON").context("CAIRN_E2E_PYTHON is not set")?);
        let mut command = Command::new(folder.join(program));
        command
            .env("AWS_ENDPOINT_URL", format!("http://{}", self.endpoint()?))
            .env("AWS_REGION", REGION)
            .env("AWS_DEFAULT_REGION", REGION)
            .env("AWS_ACCESS_KEY_ID", ACCESS_KEY)
            .env("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("AWS_PAGER", "");
        Ok(command)
    }
}

/// `aws dynamodb …`, with what it prints; null where it prints nothing.
pub(crate) fn aws(world: &mut World, arguments: &[&str]) -> Result<Value> {
    let text = kube::output(world.python("aws")?.arg("dynamodb").args(arguments))?;
    Ok(if text.trim().is_empty() { Value::Null } else { serde_json::from_str(&text)? })
}

/// Runs all, or those whose name contains one of the words of `only` (with commas between) and the essential ones; true when none failed.
pub(crate) async fn run(scenarios: &[Scenario], only: Option<&str>) -> Result<bool> {
    let mut context = World { endpoint: None, forward: None, manifests: Vec::new(), bucket: Bucket::start()? };
    let (mut passed, mut failed, mut skipped) = (0, 0, 0);
    let mut broken = false;
    for scenario in scenarios {
        if broken
            || only
                .is_some_and(|words| !scenario.essential && !words.split(',').any(|word| scenario.name.contains(word)))
        {
            skipped += 1;
            continue;
        }
        let start = now();
        let outcome = (scenario.run)(&mut context).await;
        let took = start.elapsed().as_secs_f64();
        match outcome {
            Ok(Verdict::Passed(figures)) => {
                passed += 1;
                println!("test {} ... ok ({took:.1} s) {figures}", scenario.name);
            }
            Ok(Verdict::Skipped(why)) => {
                skipped += 1;
                println!("test {} ... ignored, {why}", scenario.name);
            }
            Err(error) => {
                failed += 1;
                broken = scenario.essential;
                println!("test {} ... FAILED ({took:.1} s)\n    {error:#}", scenario.name);
                if let Some(folder) = keep(scenario.name) {
                    println!("    logs and objects of that moment: {}", folder.display());
                }
            }
        }
    }
    if broken {
        println!("the scenarios after this one need it and did not run");
    }
    let verdict = if failed == 0 { "ok" } else { "FAILED" };
    println!("\ntest result: {verdict}. {passed} passed; {failed} failed; {skipped} ignored");
    Ok(failed == 0)
}

/// Writes what the cluster says of itself to files.
fn keep(name: &str) -> Option<PathBuf> {
    let folder = PathBuf::from(env::var_os("CAIRN_E2E_LOGS")?).join(name);
    fs::create_dir_all(&folder).ok()?;
    let write = |file: &str, arguments: &[&str]| {
        let text = kube::kubectl(arguments).unwrap_or_else(|error| format!("{error:#}"));
        let _ = fs::write(folder.join(file), text);
    };
    write("pods.txt", &["get", "pods", "-A", "-o", "wide"]);
    write(
        "objects.yaml",
        &["get", "tables,backups.cairn.dev,scheduledbackups,storagegroups,statefulsets,pods,pvc", "-A", "-o", "yaml"],
    );
    write("events.txt", &["get", "events", "-A", "--sort-by=.lastTimestamp"]);
    for component in ["operator", "router"] {
        let selector = format!("app.kubernetes.io/component={component}");
        write(
            &format!("{component}.log"),
            &["logs", "-n", RELEASE_NAMESPACE, "-l", &selector, "--prefix", "--tail=500"],
        );
    }
    let storage = "app.kubernetes.io/component=storage";
    write("storage.log", &["logs", "-n", NAMESPACE, "-l", storage, "-c", "storage", "--prefix", "--tail=500"]);
    write("archive.log", &["logs", "-n", NAMESPACE, "-l", storage, "-c", "archive", "--prefix", "--tail=500"]);
    write(
        "storage-previous.log",
        &["logs", "-n", NAMESPACE, "-l", storage, "-c", "storage", "--prefix", "--tail=500", "--previous"],
    );
    Some(folder)
}
