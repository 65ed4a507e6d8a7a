//! The pod of a storage node.

use super::names;
use crate::{config::Config, controller::storage_group::validate::ValidatedGroup};
use k8s_openapi::{
    api::core::v1::{
        Capabilities, Container, ContainerPort, EnvVar, EnvVarSource, HTTPGetAction, LocalObjectReference,
        ObjectFieldSelector, PodSecurityContext, PodSpec, Probe, ResourceFieldSelector, SeccompProfile,
        SecretVolumeSource, SecurityContext, TopologySpreadConstraint, Volume, VolumeMount,
    },
    apimachinery::pkg::util::intstr::IntOrString,
};

/// Long enough to give leaderships away and write everything down.
const TERMINATION_SECONDS: i64 = 30;

pub fn build(group: &ValidatedGroup, zone: &str, config: &Config) -> PodSpec {
    let mut node_selector = group.spec.node_selector.clone().unwrap_or_default();
    node_selector.insert(config.zone_label.clone(), zone.to_owned());
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
        containers: vec![container(group, zone, config)],
        volumes: Some(vec![Volume {
            name: "tls".to_owned(),
            secret: Some(SecretVolumeSource {
                secret_name: Some(names::tls_secret(&group.name)),
                default_mode: Some(0o440),
                ..SecretVolumeSource::default()
            }),
            ..Volume::default()
        }]),
        ..PodSpec::default()
    }
}

fn container(group: &ValidatedGroup, zone: &str, config: &Config) -> Container {
    let advertise = names::address(&group.namespace, &group.name, "$(POD_NAME)", &config.cluster_domain);
    Container {
        name: "storage".to_owned(),
        image: Some(config.image.clone()),
        image_pull_policy: Some(config.image_pull_policy.clone()),
        command: Some(vec!["/cairn".to_owned()]),
        args: Some(vec![
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
        ]),
        env: Some(environment(group)),
        ports: Some(vec![port("node", names::NODE_PORT), port("admin", names::ADMIN_PORT)]),
        resources: group.spec.resources.clone(),
        startup_probe: Some(probe("/healthz", 2, 150)),
        liveness_probe: Some(probe("/healthz", 10, 6)),
        readiness_probe: Some(probe("/readyz", 1, 3)),
        security_context: Some(SecurityContext {
            allow_privilege_escalation: Some(false),
            read_only_root_filesystem: Some(true),
            capabilities: Some(Capabilities { drop: Some(vec!["ALL".to_owned()]), add: None }),
            ..SecurityContext::default()
        }),
        volume_mounts: Some(vec![mount("data", "/data", false), mount("tls", "/tls", true)]),
        ..Container::default()
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
                    container_name: Some("storage".to_owned()),
                    divisor: None,
                }),
                ..EnvVarSource::default()
            }),
            ..EnvVar::default()
        });
    }
    environment
}

fn port(name: &str, port: i32) -> ContainerPort {
    ContainerPort {
        name: Some(name.to_owned()),
        container_port: port,
        protocol: Some("TCP".to_owned()),
        ..ContainerPort::default()
    }
}

fn probe(path: &str, period_seconds: i32, failures: i32) -> Probe {
    Probe {
        http_get: Some(HTTPGetAction {
            path: Some(path.to_owned()),
            port: IntOrString::String("admin".to_owned()),
            ..HTTPGetAction::default()
        }),
        period_seconds: Some(period_seconds),
        timeout_seconds: Some(if period_seconds > 5 { 5 } else { 1 }),
        failure_threshold: Some(failures),
        ..Probe::default()
    }
}

fn mount(name: &str, path: &str, read_only: bool) -> VolumeMount {
    VolumeMount {
        name: name.to_owned(),
        mount_path: path.to_owned(),
        read_only: read_only.then_some(true),
        ..VolumeMount::default()
    }
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
        ] {
            assert!(args.iter().any(|given| given == arg), "{arg} is not in {args:?}");
        }
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
