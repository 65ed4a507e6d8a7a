//! The pod of a storage node, and of the archive beside it.

use super::{archive, container, names};
use crate::{config::Config, controller::storage_group::validate::ValidatedGroup};
use k8s_openapi::api::core::v1::{
    Container, EnvVar, EnvVarSource, LocalObjectReference, ObjectFieldSelector, PodSecurityContext, PodSpec,
    ResourceFieldSelector, SeccompProfile, SecretVolumeSource, TopologySpreadConstraint, Volume,
};

/// The name of the node's container.
pub const CONTAINER: &str = "storage";
const ADMIN_PORT_NAME: &str = "admin";

/// Long enough to give leaderships away and write everything down.
const TERMINATION_SECONDS: i64 = 30;

pub fn build(group: &ValidatedGroup, zone: &str, config: &Config) -> PodSpec {
    let mut node_selector = group.spec.node_selector.clone().unwrap_or_default();
    node_selector.insert(config.zone_label.clone(), zone.to_owned());
    let archive = group.spec.archive.as_ref();
    PodSpec {
        service_account_name: Some(names::group_object(&group.name)),
        automount_service_account_token: Some(false),
        enable_service_links: Some(false),
        termination_grace_period_seconds: Some(TERMINATION_SECONDS),
        image_pull_secrets: (!config.image_pull_secrets.is_empty()).then(|| {
            config.image_pull_secrets.iter().map(|name| LocalObjectReference { name: name.clone() }).collect()
        }),
        security_context: Some(PodSecurityContext {
            run_as_non_root: Some(true),
            run_as_user: Some(names::USER_ID),
            run_as_group: Some(names::USER_ID),
            fs_group: Some(names::USER_ID),
            // Else every start walks through all files of the volume.
            fs_group_change_policy: Some("OnRootMismatch".to_owned()),
            seccomp_profile: Some(SeccompProfile { type_: "RuntimeDefault".to_owned(), localhost_profile: None }),
            ..PodSecurityContext::default()
        }),
        node_selector: Some(node_selector),
        tolerations: group.spec.tolerations.clone(),
        priority_class_name: group.spec.priority_class_name.clone(),
        topology_spread_constraints: Some(vec![TopologySpreadConstraint {
            max_skew: 1,
            topology_key: "kubernetes.io/hostname".to_owned(),
            when_unsatisfiable: "ScheduleAnyway".to_owned(),
            label_selector: Some(names::label_selector(names::zone_selector(&group.name, zone, config))),
            ..TopologySpreadConstraint::default()
        }]),
        init_containers: archive.map(|archive| vec![archive::container(archive, group, config)]),
        containers: vec![node(group, zone, config)],
        volumes: Some(
            std::iter::once(tls_volume(group)).chain(archive.into_iter().flat_map(archive::volumes)).collect(),
        ),
        ..PodSpec::default()
    }
}

fn tls_volume(group: &ValidatedGroup) -> Volume {
    Volume {
        name: "tls".to_owned(),
        secret: Some(SecretVolumeSource {
            secret_name: Some(names::tls_secret(&group.name)),
            default_mode: Some(names::FILE_MODE),
            ..SecretVolumeSource::default()
        }),
        ..Volume::default()
    }
}

fn node(group: &ValidatedGroup, zone: &str, config: &Config) -> Container {
    let advertise = names::address(&group.namespace, &group.name, "$(POD_NAME)", &config.cluster_domain);
    let mut args = vec![
        "storage".to_owned(),
        "--data=/data".to_owned(),
        format!("--region={}", config.region),
        format!("--account={}", group.namespace),
        format!("--group={}", group.name),
        format!("--zone={zone}"),
        format!("--advertise={advertise}"),
        format!("--listen=0.0.0.0:{}", names::NODE_PORT),
        format!("--admin=0.0.0.0:{}", names::ADMIN_PORT),
        "--tls-dir=/tls".to_owned(),
        format!("--release-namespace={}", config.release_namespace),
        format!("--ttl-interval-ms={}", config.ttl_interval_ms),
    ];
    if !config.storage_throttling {
        args.push("--no-throttling".to_owned());
    } else if config.storage_on_demand_limits {
        args.push("--on-demand-limits".to_owned());
    }
    let mut mounts = vec![container::mount("data", "/data", false), container::mount("tls", "/tls", true)];
    if group.spec.archive.is_some() {
        args.push(archive::node_argument());
        mounts.push(archive::node_mount());
    }
    Container {
        args: Some(args),
        env: Some(environment(group)),
        ports: Some(vec![
            container::port("node", names::NODE_PORT),
            container::port(ADMIN_PORT_NAME, names::ADMIN_PORT),
        ]),
        resources: group.spec.resources.clone(),
        startup_probe: Some(container::probe(ADMIN_PORT_NAME, "/healthz", 2, 150)),
        liveness_probe: Some(container::probe(ADMIN_PORT_NAME, "/healthz", 10, 6)),
        readiness_probe: Some(container::probe(ADMIN_PORT_NAME, "/readyz", 1, 3)),
        volume_mounts: Some(mounts),
        ..container::of_image(CONTAINER, config)
    }
}

fn environment(group: &ValidatedGroup) -> Vec<EnvVar> {
    let mut environment = vec![EnvVar {
        name: "POD_NAME".to_owned(),
        value_from: Some(EnvVarSource {
            field_ref: Some(ObjectFieldSelector {
                field_path: "metadata.name".to_owned(),
                api_version: Some("v1".to_owned()),
            }),
            ..EnvVarSource::default()
        }),
        ..EnvVar::default()
    }];
    let limits = group.spec.resources.as_ref().and_then(|resources| resources.limits.as_ref());
    if limits.is_some_and(|limits| limits.contains_key("memory")) {
        environment.push(EnvVar {
            name: "CAIRN_MEMORY_LIMIT".to_owned(),
            value_from: Some(EnvVarSource {
                resource_field_ref: Some(ResourceFieldSelector {
                    resource: "limits.memory".to_owned(),
                    container_name: Some(CONTAINER.to_owned()),
                    divisor: None,
                }),
                ..EnvVarSource::default()
            }),
            ..EnvVar::default()
        });
    }
    environment
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::build::fixture;

    fn pod() -> PodSpec {
        build(&fixture::group(), "zone-a", &fixture::config())
    }

    #[test]
    fn a_pod_runs_without_rights() {
        let pod = pod();
        let security = pod.security_context.unwrap();
        assert_eq!((security.run_as_non_root, security.run_as_user), (Some(true), Some(65532)));
        assert_eq!(security.seccomp_profile.unwrap().type_, "RuntimeDefault");
        assert_eq!(pod.automount_service_account_token, Some(false));
        let container = pod.containers[0].security_context.clone().unwrap();
        assert_eq!(container.allow_privilege_escalation, Some(false));
        assert_eq!(container.read_only_root_filesystem, Some(true));
        assert_eq!(container.capabilities.unwrap().drop, Some(vec!["ALL".to_owned()]));
    }

    #[test]
    fn a_pod_stays_in_its_zone() {
        assert_eq!(pod().node_selector.unwrap()["topology.kubernetes.io/zone"], "zone-a");
    }

    #[test]
    fn a_node_is_told_who_it_is() {
        let args = pod().containers[0].args.clone().unwrap();
        for arg in [
            "storage",
            "--region=east",
            "--account=game",
            "--group=default",
            "--zone=zone-a",
            "--advertise=$(POD_NAME).cairn-default.game.svc.cluster.local:7400",
            "--release-namespace=cairn-system",
            "--ttl-interval-ms=1000",
        ] {
            assert!(args.iter().any(|given| given == arg), "{arg} is not in {args:?}");
        }
    }

    #[test]
    fn a_node_throttles_unless_it_is_told_not_to() {
        let is_told = |config: &Config| {
            let pod = build(&fixture::group(), "zone-a", config);
            pod.containers[0].args.as_ref().unwrap().contains(&"--no-throttling".to_owned())
        };
        assert!(!is_told(&fixture::config()));
        assert!(is_told(&Config { storage_throttling: false, ..fixture::config() }));
    }

    #[test]
    fn a_node_holds_tables_on_demand_to_dynamodbs_limits_where_it_is_told_to() {
        let is_told = |config: &Config| {
            let pod = build(&fixture::group(), "zone-a", config);
            pod.containers[0].args.as_ref().unwrap().contains(&"--on-demand-limits".to_owned())
        };
        assert!(!is_told(&fixture::config()));
        let held = Config { storage_on_demand_limits: true, ..fixture::config() };
        assert!(is_told(&held));
        assert!(!is_told(&Config { storage_throttling: false, ..held }), "nothing holds there");
    }

    #[test]
    fn only_with_an_archive_is_a_node_told_where_it_finds_it() {
        assert_eq!(pod().init_containers, None);
        let mut group = fixture::group();
        group.spec.archive = Some(serde_yaml_ng::from_str("{url: 's3://backups'}").unwrap());
        let pod = build(&group, "zone-a", &fixture::config());
        let (archive, node) = (&pod.init_containers.as_ref().unwrap()[0], &pod.containers[0]);
        assert!(node.args.as_ref().unwrap().contains(&"--archive-socket=/run/cairn/archive.sock".to_owned()));
        assert_eq!(archive.security_context, node.security_context);
        let run = |container: &Container| {
            let mounts = container.volume_mounts.clone().unwrap();
            mounts.into_iter().find(|mount| mount.mount_path == "/run/cairn").unwrap().name
        };
        assert_eq!(run(archive), run(node));
        let volumes = pod.volumes.as_ref().unwrap();
        assert!(volumes.iter().any(|volume| volume.name == run(node) && volume.empty_dir.is_some()));
    }

    #[test]
    fn a_node_learns_the_limit_of_its_memory() {
        let env = pod().containers[0].env.clone().unwrap();
        assert!(env.iter().any(|var| var.name == "CAIRN_MEMORY_LIMIT"));
        let mut unlimited = fixture::group();
        unlimited.spec.resources = None;
        let env = build(&unlimited, "zone-a", &fixture::config()).containers[0].env.clone().unwrap();
        assert!(!env.iter().any(|var| var.name == "CAIRN_MEMORY_LIMIT"));
    }
}
