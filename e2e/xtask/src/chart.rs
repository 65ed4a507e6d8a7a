//! The chart's check: linted, rendered and held against the API's schemas, over every combination of its main values.

use crate::{ahead::Ahead, cluster, process, report::Report, schemas, steps, workspace};
use anyhow::{Result, bail};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Mutex,
    thread,
};

const KUBERNETES: [&str; 2] = ["--kube-version", "1.30.0"];
const REQUIRED: &str = "region=east,image.repository=registry.example/cairn";

/// Each main value, as it is by default (nothing for an empty list) and as it may be.
const MAIN_VALUES: [[&str; 2]; 7] = [
    ["crds.install=true", "crds.install=false"],
    ["admissionPolicies.enabled=true", "admissionPolicies.enabled=false"],
    ["serviceMonitor.enabled=false", "serviceMonitor.enabled=true"],
    ["networkPolicy.enabled=false", "networkPolicy.enabled=true"],
    ["", "watchNamespaces={game,shop,cairn-system}"],
    ["api.writes=own", "api.writes=none"],
    ["", "imagePullSecrets={registry}"],
];

/// Other values, each on its own.
const OTHER_VALUES: [&str; 18] = [
    "api.tls.secretName=dynamodb-tls",
    "image.tag=v1",
    "image.digest=sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
    "router.replicas=1",
    "operator.replicas=2,operator.nodeSelector.pool=db,operator.podAnnotations.team=data,operator.priorityClassName=high",
    "router.tolerations[0].key=db,router.tolerations[0].operator=Exists,router.priorityClassName=high",
    "service.type=LoadBalancer,service.port=80,service.annotations.internal=yes",
    "uninstall.force=true",
    "storage.throttling=false",
    "storage.onDemandLimits=true",
    "prometheusRules.enabled=true,prometheusRules.labels.release=prometheus",
    ARCHIVE,
    "peers.enabled=true",
    "peers.enabled=true,peers.endpoint=https://east.example:8443,networkPolicy.enabled=true,networkPolicy.peers[0].ipBlock.cidr=203.0.113.0/24",
    "peers.enabled=true,peers.endpoint=https://[fd00::7]:30443,peers.service.type=NodePort,peers.service.nodePort=30443",
    "peers.enabled=true,peers.port=443,peers.service.type=LoadBalancer,peers.service.loadBalancerClass=example.com/lb,peers.service.annotations.zone=yes",
    "groupDefaults.archive.url=s3://backups/east,groupDefaults.archive.region=eu-central-1,groupDefaults.archive.pathStyle=false",
    "networkPolicy.enabled=true,networkPolicy.clients[0].podSelector.matchLabels.app=shop,\
     networkPolicy.apiServers[0].ipBlock.cidr=10.0.0.1/32,networkPolicy.metrics[0].namespaceSelector.matchLabels.team=data",
];

const ARCHIVE: &str = "groupDefaults.archive.url=s3://backups,groupDefaults.archive.endpoint=https://store.example:9000,\
     groupDefaults.archive.credentialsSecret.name=backups,groupDefaults.archive.ca.name=store-ca";

/// What the values' schema has to refuse, and a word of the refusal.
const REFUSED: [(&str, &str); 14] = [
    ("region=east,image.repository=cairn,api.tls.secretName=Secret", "secretName"),
    ("image.repository=cairn", "region"),
    ("region=East,image.repository=cairn", "region"),
    ("region=east", "repository"),
    ("region=east,image.repository=cairn,api.writes=some", "writes"),
    ("region=east,image.repository=cairn,router.replica=3", "replica"),
    ("region=east,image.repository=cairn,watchNamespaces={A}", "watchNamespaces"),
    ("region=east,image.repository=cairn,image.digest=latest", "digest"),
    ("region=east,image.repository=cairn,groupDefaults.archive.url=/backups", "url"),
    ("region=east,image.repository=cairn,groupDefaults.archive.region=eu", "region"),
    ("region=east,image.repository=cairn,storage.throttling=some", "throttling"),
    ("region=east,image.repository=cairn,peers.endpoint=http://east.example:8443", "endpoint"),
    ("region=east,image.repository=cairn,peers.service.type=ExternalName", "type"),
    ("region=east,image.repository=cairn,networkPolicy.clients[0].selector.app=shop", "selector"),
];

pub(crate) fn check(report: &mut Report, ahead: &Ahead) -> Result<()> {
    ahead.require(&steps::CHART_TOOLS)?;
    let helm = cluster::tool("helm")?;
    let kubeconform = cluster::tool("kubeconform")?;
    let folder = workspace::target().join("chart");
    let _ = fs::remove_dir_all(&folder);
    let location = schemas::write(&cluster::openapi()?, &folder.join("schemas"))?;
    let rendered = folder.join("rendered");
    fs::create_dir_all(&rendered)?;

    let combinations = combinations();
    let failures = render_all(&helm, &combinations, &rendered)?;
    report.pass((combinations.len() - failures.len()) as u64);
    match failures.as_slice() {
        [] => {}
        [first] => report.fail(first),
        [first, rest @ ..] => report.fail(&format!("{first}\nand {} combinations more", rest.len())),
    }
    println!("{} combinations of values linted and rendered", combinations.len());

    // These belong to the Prometheus operator, whose schemas Kubernetes does not have.
    process::run(
        Command::new(&kubeconform)
            .args([
                "-strict",
                "-summary",
                "-exit-on-error",
                "-skip",
                "ServiceMonitor,PodMonitor,PrometheusRule",
                "-schema-location",
                &location,
            ])
            .arg(&rendered),
    )?;
    report.pass(1);
    for (values, word) in REFUSED {
        match template(&helm, values) {
            Err(error) if format!("{error:#}").contains(word) => report.pass(1),
            Err(error) => report.fail(&format!("the refusal of {values} does not name {word}: {error:#}")),
            Ok(_) => report.fail(&format!("{values} is not refused")),
        }
    }
    let text = template(&helm, REQUIRED)?;
    for kind in ["tables.cairn.dev", "storagegroups.cairn.dev", "backups.cairn.dev", "globaltables.cairn.dev"] {
        if !text.contains(&format!("name: {kind}")) {
            bail!("the chart does not install {kind}");
        }
    }
    report.pass(1);
    // Whoever watches more than its rights reach sees nothing.
    let text = template(&helm, &format!("{REQUIRED},watchNamespaces={{game,shop}}"))?;
    match text.matches("- --watch-namespaces=game,shop\n").count() {
        3 => report.pass(1),
        told => {
            report.fail(&format!("{told} of operator, router and uninstall-check are told which namespaces they watch"))
        }
    }
    client_port(&helm, report)?;
    archives(&helm, report)?;
    network_policies(&helm, report)
}

/// The port of clients is called the same whatever is spoken there; meshes and gateways are told where that is HTTPS.
fn client_port(helm: &Path, report: &mut Report) -> Result<()> {
    for (values, is_https) in [("", false), (",api.tls.secretName=dynamodb-tls", true)] {
        let text = template(helm, &format!("{REQUIRED}{values}"))?;
        let service = text
            .split("\n---")
            .find(|object| object.contains("\nkind: Service\n") && object.contains("name: dynamodb\n"));
        let service = service.unwrap_or_default();
        if service.contains("- name: http\n") && service.contains("appProtocol: https") == is_https {
            report.pass(1);
        } else {
            report.fail(&format!("with {REQUIRED}{values}, the Service of clients is{service}"));
        }
    }
    Ok(())
}

/// The groups that the operator makes have an archive where there is a bucket, and only there.
fn archives(helm: &Path, report: &mut Report) -> Result<()> {
    for (values, is_there) in [(REQUIRED.to_owned(), false), (format!("{REQUIRED},{ARCHIVE}"), true)] {
        let text = template(helm, &values)?;
        let group = text.split_once("group.yaml: |").map_or("", |(_, rest)| rest);
        let group = group.split_once("\n---").map_or(group, |(group, _)| group);
        if group.contains("archive:") == is_there && group.contains("url: s3://backups") == is_there {
            report.pass(1);
        } else {
            report.fail(&format!("the group's defaults for {values} are{group}"));
        }
    }
    Ok(())
}

/// What the rendered policies say, worked out beside those that the operator builds: the operator's tests know both.
fn network_policies(helm: &Path, report: &mut Report) -> Result<()> {
    let mut tests = workspace::cargo();
    tests.args(["test", "--locked", "--workspace", "--test", "network_policies", "--", "--ignored"]);
    let status = process::stream(tests.env("CAIRN_HELM", helm), |line| report.count(line))?;
    if !status.success() {
        bail!("the tests of network policies failed ({status})");
    }
    Ok(())
}

fn combinations() -> Vec<String> {
    let main = (0..1_u32 << MAIN_VALUES.len()).map(|bits| {
        let chosen = MAIN_VALUES.iter().enumerate().map(|(index, values)| values[(bits >> index & 1) as usize]);
        std::iter::once(REQUIRED).chain(chosen.filter(|value| !value.is_empty())).collect::<Vec<_>>().join(",")
    });
    main.chain(OTHER_VALUES.iter().map(|values| format!("{REQUIRED},{values}"))).collect()
}

/// Lints and renders each combination into a file of its own, on all cores; gives what failed.
fn render_all(helm: &Path, combinations: &[String], folder: &Path) -> Result<Vec<String>> {
    let failures = Mutex::new(Vec::new());
    let next = Mutex::new(combinations.iter().enumerate());
    let work = || {
        loop {
            let Some((index, values)) = next.lock().ok().and_then(|mut next| next.next()) else { return };
            let outcome = lint(helm, values).and_then(|()| template(helm, values)).and_then(|text| {
                fs::write(folder.join(format!("{index}.yaml")), text)?;
                Ok(())
            });
            if let Err(error) = outcome
                && let Ok(mut failures) = failures.lock()
            {
                failures.push(format!("{values}: {error:#}"));
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(work);
        }
    });
    Ok(failures.into_inner().unwrap_or_default())
}

fn chart() -> PathBuf {
    workspace::root().join("charts/cairn")
}

fn lint(helm: &Path, values: &str) -> Result<()> {
    process::output(
        Command::new(helm).args(["lint", "--strict", "--quiet"]).args(KUBERNETES).args(["--set", values]).arg(chart()),
    )?;
    Ok(())
}

fn template(helm: &Path, values: &str) -> Result<String> {
    process::output(
        Command::new(helm)
            .args(["template", "cairn"])
            .arg(chart())
            .args(["--namespace", "cairn-system"])
            .args(KUBERNETES)
            .args(["--set", values]),
    )
}
