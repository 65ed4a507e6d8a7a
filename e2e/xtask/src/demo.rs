//! `cargo xtask demo`: sets everything up and shows Cairn's main job as a tour.

use crate::{cluster::Cluster, process, python, workspace};
use anyhow::{Context, Result, bail};
use std::{
    path::PathBuf,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

const ACCESS_KEY: &str = "AKIADEMO0000EXAMPLE1";
const SECRET_KEY: &str = "the-demo-keeps-no-secrets";
const NAMESPACE: &str = "game";
const REGION: &str = "demo";

const MANIFESTS: &str = "apiVersion: v1
kind: Namespace
metadata: {name: game}
---
apiVersion: v1
kind: Secret
metadata: {name: leaderboard-service, namespace: game, labels: {cairn.dev/credentials: \"true\"}}
stringData: {accessKeyId: AKIADEMO0000EXAMPLE1, secretAccessKey: the-demo-keeps-no-secrets}
---
apiVersion: cairn.dev/v1alpha1
kind: Table
metadata: {name: scores, namespace: game}
spec:
  attributeDefinitions:
    - {attributeName: Player, attributeType: S}
    - {attributeName: Round, attributeType: \"N\"}
  keySchema:
    - {attributeName: Player, keyType: HASH}
    - {attributeName: Round, keyType: RANGE}
  billingMode: PAY_PER_REQUEST
";

pub(crate) fn run() -> Result<()> {
    heading("Set-up");
    step("Python environment with the unmodified AWS CLI and boto3");
    let programs = python::environment()?;
    step(
        "the tools, the image localhost/cairn:dev and a cluster of three zones (the first time, building them takes a while)",
    );
    let cluster = Cluster::create("demo")?;
    let tour = Tour { cluster, programs, endpoint: String::new(), forward: None };
    tour.take()
}

fn heading(text: &str) {
    println!("\n━━━ {text}\n");
}

fn step(text: &str) {
    println!("• {text}");
}

struct Tour {
    cluster: Cluster,
    programs: PathBuf,
    endpoint: String,
    /// Where the Service can't be reached directly: what forwards a port to it.
    forward: Option<process::Running>,
}

impl Tour {
    fn take(mut self) -> Result<()> {
        heading("1. Install the chart");
        let chart = workspace::root().join("charts/cairn");
        let (repository, tag) = self.cluster.image.rsplit_once(':').context("an image without a tag")?;
        let values = format!("region={REGION},image.repository={repository},image.tag={tag}");
        println!("$ helm install cairn charts/cairn --namespace cairn-system --create-namespace --set {values}");
        let mut helm = self.cluster.command("helm");
        helm.arg("install").arg("cairn").arg(chart).args([
            "--namespace",
            "cairn-system",
            "--create-namespace",
            "--wait",
        ]);
        process::output(helm.args(["--timeout", "3m", "--set", &values]))?;
        self.show(&["-n", "cairn-system", "get", "pods", "-o", "wide"])?;
        self.endpoint = self.service_address()?;

        heading("2. Declare an access key and a table; a namespace is an account");
        let manifests = workspace::target().join("demo.yaml");
        std::fs::write(&manifests, MANIFESTS)?;
        println!("{MANIFESTS}");
        self.show(&["apply", "-f", &manifests.to_string_lossy()])?;
        let start = now();
        self.wait_active("scores")?;
        step(&format!(
            "ACTIVE after {:.1} s: storage pods came up, one in each zone, and hold the table's three replicas",
            start.elapsed().as_secs_f64()
        ));
        self.show(&["-n", NAMESPACE, "get", "tables,storagegroups"])?;
        self.show(&["-n", NAMESPACE, "get", "pods", "-o", "wide"])?;

        heading("3. The AWS CLI, unmodified");
        self.aws(&["describe-table", "--table-name", "scores", "--query", "Table.[TableName,TableStatus,TableArn]"])?;
        for (round, points) in [(1, 250), (2, 410), (3, 380)] {
            let item =
                format!(r#"{{"Player": {{"S": "ada"}}, "Round": {{"N": "{round}"}}, "Points": {{"N": "{points}"}}}}"#);
            self.aws(&["put-item", "--table-name", "scores", "--item", &item])?;
        }
        let key = r#"{"Player": {"S": "ada"}, "Round": {"N": "2"}}"#;
        self.aws(&["get-item", "--table-name", "scores", "--consistent-read", "--key", key])?;
        self.aws(&[
            "update-item",
            "--table-name",
            "scores",
            "--key",
            key,
            "--update-expression",
            "SET Points = Points + :bonus",
            "--condition-expression",
            "Points > :least",
            "--expression-attribute-values",
            r#"{":bonus": {"N": "50"}, ":least": {"N": "400"}}"#,
            "--return-values",
            "UPDATED_NEW",
        ])?;
        self.aws(&[
            "query",
            "--table-name",
            "scores",
            "--key-condition-expression",
            "Player = :p AND Round >= :r",
            "--expression-attribute-values",
            r#"{":p": {"S": "ada"}, ":r": {"N": "2"}}"#,
        ])?;
        step("a table can also be made through the API: it becomes the same kind of resource");
        self.aws(&[
            "create-table",
            "--table-name",
            "sessions",
            "--billing-mode",
            "PAY_PER_REQUEST",
            "--attribute-definitions",
            "AttributeName=Id,AttributeType=S",
            "--key-schema",
            "AttributeName=Id,KeyType=HASH",
            "--query",
            "TableDescription.TableStatus",
        ])?;
        self.wait_active("sessions")?;
        self.show(&["-n", NAMESPACE, "get", "tables"])?;

        heading("4. boto3, unmodified");
        self.boto3()?;

        heading("5. A zone is killed");
        self.kill_a_zone()?;

        heading("That was the tour");
        step("cleaning up");
        Ok(())
    }

    /// Where the Service answers: its own address where that can be reached, or a forwarded port.
    fn service_address(&mut self) -> Result<String> {
        if !self.cluster.is_direct() {
            let mut kubectl = self.cluster.command("kubectl");
            kubectl.args(["-n", "cairn-system", "port-forward", "service/dynamodb", "18000:8000"]);
            self.forward = Some(process::Running::start(kubectl.stdout(Stdio::null()))?);
            thread::sleep(Duration::from_secs(2));
            return Ok("http://127.0.0.1:18000".to_owned());
        }
        let address = self.kubectl(&[
            "-n",
            "cairn-system",
            "get",
            "service",
            "dynamodb",
            "-o",
            "jsonpath={.spec.clusterIP}:{.spec.ports[0].port}",
        ])?;
        Ok(format!("http://{address}"))
    }

    fn kubectl(&self, arguments: &[&str]) -> Result<String> {
        process::output(self.cluster.command("kubectl").args(arguments))
    }

    fn show(&self, arguments: &[&str]) -> Result<()> {
        println!("$ kubectl {}", arguments.join(" "));
        println!("{}", self.kubectl(arguments)?);
        Ok(())
    }

    fn wait_active(&self, table: &str) -> Result<()> {
        let deadline = now() + Duration::from_secs(180);
        while self.kubectl(&["-n", NAMESPACE, "get", "table", table, "-o", "jsonpath={.status.tableStatus}"])?
            != "ACTIVE"
        {
            if now() > deadline {
                self.show(&["-n", NAMESPACE, "get", "table", table, "-o", "yaml"])?;
                bail!("the table {table} did not become ACTIVE within 3 minutes");
            }
            thread::sleep(Duration::from_millis(100));
        }
        Ok(())
    }

    fn wait_zones(&self, wanted: impl Fn(&str) -> bool) -> Result<()> {
        let deadline = now() + Duration::from_secs(120);
        let arguments = ["-n", NAMESPACE, "get", "table", "scores", "-o", "jsonpath={.status.zonesReady}"];
        while !wanted(&self.kubectl(&arguments)?) {
            if now() > deadline {
                bail!("the table's zones did not change within 2 minutes");
            }
            thread::sleep(Duration::from_millis(500));
        }
        Ok(())
    }

    fn client(&self, program: &str) -> Command {
        let mut command = self.cluster.command(self.programs.join(program));
        command
            .env("AWS_ENDPOINT_URL", &self.endpoint)
            .env("AWS_REGION", REGION)
            .env("AWS_DEFAULT_REGION", REGION)
            .env("AWS_ACCESS_KEY_ID", ACCESS_KEY)
            .env("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("AWS_PAGER", "");
        command
    }

    fn aws(&self, arguments: &[&str]) -> Result<()> {
        let shown: Vec<String> = arguments
            .iter()
            .map(|text| if text.contains([' ', '"']) { format!("'{text}'") } else { (*text).to_owned() })
            .collect();
        println!("$ aws dynamodb {}", shown.join(" "));
        let start = now();
        let answer = process::output(self.client("aws").arg("dynamodb").args(arguments))?;
        print!("{answer}");
        println!("  ({:.1} s, most of it Python starting)\n", start.elapsed().as_secs_f64());
        Ok(())
    }

    fn boto3(&self) -> Result<()> {
        const SCRIPT: &str = r#"import boto3
scores = boto3.resource("dynamodb").Table("scores")
with scores.batch_writer() as batch:
    for round in range(1, 101):
        batch.put_item(Item={"Player": "grace", "Round": round, "Points": round * 7 % 100})
answer = scores.scan(Select="COUNT", ConsistentRead=True)
print("items in the table:", answer["Count"])
scores.delete_item(Key={"Player": "grace", "Round": 100})
print("after one is deleted:", scores.scan(Select="COUNT", ConsistentRead=True)["Count"])
"#;
        println!("{SCRIPT}");
        println!("{}", process::output(self.client("python").args(["-c", SCRIPT]))?);
        Ok(())
    }

    fn kill_a_zone(&self) -> Result<()> {
        step("zone demo-b loses its kubelet and every container at once, with SIGKILL, while the CLI goes on");
        self.cluster.node(2, "stop")?;
        let item = r#"{"Player": {"S": "ada"}, "Round": {"N": "4"}, "Points": {"N": "990"}}"#;
        self.aws(&["put-item", "--table-name", "scores", "--item", item])?;
        for round in [2, 4] {
            let key = format!(r#"{{"Player": {{"S": "ada"}}, "Round": {{"N": "{round}"}}}}"#);
            self.aws(&["get-item", "--table-name", "scores", "--consistent-read", "--key", &key])?;
        }
        step("the operator notices; two of three replicas are a quorum");
        self.wait_zones(|zones| zones != "3/3")?;
        self.show(&["-n", NAMESPACE, "get", "tables"])?;
        step("the zone comes back, and its replicas catch up");
        self.cluster.node(2, "start")?;
        self.wait_zones(|zones| zones == "3/3")?;
        self.show(&["-n", NAMESPACE, "get", "tables,pods"])
    }
}

#[expect(clippy::disallowed_methods, reason = "waiting for a cluster happens in real time")]
fn now() -> Instant {
    Instant::now()
}
