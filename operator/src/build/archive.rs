//! The archive beside a storage node: a native sidecar, which starts before the node and stops after it.

use super::{container, names};
use crate::{config::Config, controller::storage_group::validate::ValidatedGroup, node_client::ARCHIVE_PORT};
use cairn_crds::storage_group::{
    Archive,
    archive::{CaBundle, SecretName},
};
use k8s_openapi::{
    api::core::v1::{
        ConfigMapVolumeSource, Container, EmptyDirVolumeSource, KeyToPath, SecretVolumeSource, Volume, VolumeMount,
    },
    apimachinery::pkg::api::resource::Quantity,
};

/// The container's name.
pub const CONTAINER: &str = "archive";
const ADMIN_PORT_NAME: &str = "archive-admin";

const RUN: &str = "run";
const RUN_DIR: &str = "/run/cairn";
const CA: &str = "archive-ca";
const CREDENTIALS: &str = "archive-credentials";
/// The keys of the Secret with the bucket's credentials.
const CREDENTIALS_KEYS: [&str; 2] = ["accessKeyId", "secretAccessKey"];

/// What the node is told: where the archive beside it finds it.
pub(super) fn node_argument() -> String {
    format!("--archive-socket={RUN_DIR}/archive.sock")
}

/// Shared by the node and its archive.
pub(super) fn node_mount() -> VolumeMount {
    container::mount(RUN, RUN_DIR, false)
}

/// Nothing says when it is ready: the pod must become Ready without the bucket.
pub(super) fn container(archive: &Archive, group: &ValidatedGroup, config: &Config) -> Container {
    let mut mounts = vec![node_mount(), container::mount("tls", "/tls", true)];
    if archive.ca.is_some() {
        mounts.push(container::mount(CA, &format!("/{CA}"), true));
    }
    if archive.credentials_secret.is_some() {
        mounts.push(container::mount(CREDENTIALS, &format!("/{CREDENTIALS}"), true));
    }
    Container {
        restart_policy: Some("Always".to_owned()),
        args: Some(arguments(archive, group, config)),
        ports: Some(vec![
            container::port(CONTAINER, i32::from(ARCHIVE_PORT)),
            container::port(ADMIN_PORT_NAME, names::ARCHIVE_ADMIN_PORT),
        ]),
        resources: archive.resources.clone(),
        liveness_probe: Some(container::probe(ADMIN_PORT_NAME, "/healthz", 10, 6)),
        volume_mounts: Some(mounts),
        ..container::of_image(CONTAINER, config)
    }
}

fn arguments(archive: &Archive, group: &ValidatedGroup, config: &Config) -> Vec<String> {
    let mut arguments = vec![
        "archive".to_owned(),
        format!("--socket={RUN_DIR}/archive.sock"),
        format!("--region={}", config.region),
        format!("--account={}", group.namespace),
        format!("--group={}", group.name),
        "--tls-dir=/tls".to_owned(),
        format!("--release-namespace={}", config.release_namespace),
        format!("--listen=0.0.0.0:{ARCHIVE_PORT}"),
        format!("--admin=0.0.0.0:{}", names::ARCHIVE_ADMIN_PORT),
        format!("--archive={}", literal(&archive.url)),
    ];
    if let Some(endpoint) = &archive.endpoint {
        arguments.push(format!("--archive-endpoint={endpoint}"));
    }
    if let Some(region) = &archive.region {
        arguments.push(format!("--archive-region={}", literal(region)));
    }
    if let Some(path_style) = archive.path_style {
        arguments.push(format!("--archive-path-style={path_style}"));
    }
    if let Some(ca) = &archive.ca {
        arguments.push(format!("--archive-ca=/{CA}/{}", ca.key));
    }
    if archive.credentials_secret.is_some() {
        arguments.push(format!("--credentials-dir=/{CREDENTIALS}"));
    }
    arguments
}

/// Kubernetes puts variables in for `$(NAME)` in arguments, but not for `$$(NAME)`.
fn literal(text: &str) -> String {
    text.replace('$', "$$")
}

pub(super) fn volumes(archive: &Archive) -> Vec<Volume> {
    let run = Volume {
        name: RUN.to_owned(),
        // It holds a socket.
        empty_dir: Some(EmptyDirVolumeSource { size_limit: Some(Quantity("1Mi".to_owned())), medium: None }),
        ..Volume::default()
    };
    let ca = archive.ca.as_ref().map(ca_volume);
    let credentials = archive.credentials_secret.as_ref().map(credentials_volume);
    [Some(run), ca, credentials].into_iter().flatten().collect()
}

/// Optional, as the credentials are: what is missing must not hold up the node, and the archive says that it is.
fn ca_volume(ca: &CaBundle) -> Volume {
    let mut volume = Volume { name: CA.to_owned(), ..Volume::default() };
    let (items, default_mode) = (keys([ca.key.as_str()]), Some(names::FILE_MODE));
    if ca.kind == "ConfigMap" {
        volume.config_map =
            Some(ConfigMapVolumeSource { name: ca.name.clone(), items, default_mode, optional: Some(true) });
    } else {
        volume.secret =
            Some(SecretVolumeSource { secret_name: Some(ca.name.clone()), items, default_mode, optional: Some(true) });
    }
    volume
}

fn credentials_volume(secret: &SecretName) -> Volume {
    Volume {
        name: CREDENTIALS.to_owned(),
        secret: Some(SecretVolumeSource {
            secret_name: Some(secret.name.clone()),
            items: keys(CREDENTIALS_KEYS),
            default_mode: Some(names::FILE_MODE),
            optional: Some(true),
        }),
        ..Volume::default()
    }
}

/// Only these keys of a Secret or a ConfigMap, each as a file of its name.
fn keys<'a>(keys: impl IntoIterator<Item = &'a str>) -> Option<Vec<KeyToPath>> {
    Some(keys.into_iter().map(|key| KeyToPath { key: key.to_owned(), path: key.to_owned(), mode: None }).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::build::fixture;

    fn archive(more: &str) -> Archive {
        serde_yaml_ng::from_str(&format!("{{url: 's3://backups/game'{more}}}")).unwrap()
    }

    fn built(more: &str) -> Container {
        container(&archive(more), &fixture::group(), &fixture::config())
    }

    #[test]
    fn an_archive_is_a_native_sidecar_that_holds_up_nothing() {
        let container = built("");
        assert_eq!((container.name.as_str(), container.restart_policy.as_deref()), ("archive", Some("Always")));
        assert!(container.startup_probe.is_none() && container.readiness_probe.is_none());
        assert!(container.liveness_probe.is_some());
        assert_eq!(container.resources, None);
    }

    #[test]
    fn an_archive_is_told_whose_it_is_and_where_the_bucket_is() {
        let expected = [
            "archive",
            "--socket=/run/cairn/archive.sock",
            "--region=east",
            "--account=game",
            "--group=default",
            "--tls-dir=/tls",
            "--release-namespace=cairn-system",
            "--listen=0.0.0.0:7401",
            "--admin=0.0.0.0:8081",
            "--archive=s3://backups/game",
        ];
        assert_eq!(built("").args.unwrap(), expected);
        let more = ", endpoint: 'https://store:9000', region: eu-1, pathStyle: false, credentialsSecret: {name: key}, \
                    ca: {name: authorities, key: store.crt}";
        let told = [
            "--archive-endpoint=https://store:9000",
            "--archive-region=eu-1",
            "--archive-path-style=false",
            "--archive-ca=/archive-ca/store.crt",
            "--credentials-dir=/archive-credentials",
        ];
        assert_eq!(built(more).args.unwrap()[expected.len()..], told);
    }

    #[test]
    fn nothing_is_put_in_for_what_looks_like_a_variable() {
        let mut archive = archive("");
        archive.url = "s3://backups/$(POD_NAME)".to_owned();
        let container = container(&archive, &fixture::group(), &fixture::config());
        assert!(container.args.unwrap().contains(&"--archive=s3://backups/$$(POD_NAME)".to_owned()));
    }

    #[test]
    fn a_missing_secret_does_not_hold_up_the_pod() {
        let volumes = volumes(&archive(", credentialsSecret: {name: key}, ca: {kind: ConfigMap, name: authorities}"));
        let [_, ca, credentials] = volumes.as_slice() else { panic!("{volumes:?}") };
        let (ca, credentials) = (ca.config_map.as_ref().unwrap(), credentials.secret.as_ref().unwrap());
        assert_eq!((ca.optional, ca.default_mode, ca.name.as_str()), (Some(true), Some(0o440), "authorities"));
        assert_eq!((credentials.optional, credentials.default_mode), (Some(true), Some(0o440)));
        assert_eq!(ca.items.as_ref().unwrap()[0].path, "ca.crt");
    }

    #[test]
    fn every_volume_of_the_pod_is_mounted_by_the_archive() {
        for more in ["", ", credentialsSecret: {name: key}", ", ca: {name: authorities}"] {
            let mounts = built(more).volume_mounts.unwrap();
            for volume in volumes(&archive(more)) {
                assert!(mounts.iter().any(|mount| mount.name == volume.name), "{} of {more}", volume.name);
            }
        }
    }
}
