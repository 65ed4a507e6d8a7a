//! The headless Service that gives each storage pod its name.

use super::{archive, names};
use crate::{config::Config, controller::storage_group::validate::ValidatedGroup, node_client::ARCHIVE_PORT};
use k8s_openapi::{
    api::core::v1::{Service, ServicePort, ServiceSpec},
    apimachinery::pkg::util::intstr::IntOrString,
};

/// It publishes pods that are not ready: a node must be found to become ready.
pub fn build(group: &ValidatedGroup, config: &Config) -> Service {
    let mut ports = vec![port("node", names::NODE_PORT, IntOrString::String("node".to_owned()))];
    if group.spec.archive.is_some() {
        // By number: Kubernetes has not always looked for names of ports among those of sidecars.
        let number = i32::from(ARCHIVE_PORT);
        ports.push(port(archive::CONTAINER, number, IntOrString::Int(number)));
    }
    Service {
        metadata: names::metadata(names::group_object(&group.name), group, config),
        spec: Some(ServiceSpec {
            cluster_ip: Some("None".to_owned()),
            publish_not_ready_addresses: Some(true),
            selector: Some(names::selector(&group.name, config)),
            ports: Some(ports),
            ..ServiceSpec::default()
        }),
        ..Service::default()
    }
}

fn port(name: &str, port: i32, target_port: IntOrString) -> ServicePort {
    ServicePort {
        name: Some(name.to_owned()),
        port,
        protocol: Some("TCP".to_owned()),
        target_port: Some(target_port),
        ..ServicePort::default()
    }
}

#[cfg(test)]
mod tests {
    use crate::build::fixture;

    #[test]
    fn the_archive_has_a_port_where_there_is_one() {
        let mut group = fixture::group();
        let names = |group: &_| {
            let ports = super::build(group, &fixture::config()).spec.unwrap().ports.unwrap();
            ports.into_iter().map(|port| (port.name.unwrap(), port.port)).collect::<Vec<_>>()
        };
        assert_eq!(names(&group), [("node".to_owned(), 7400)]);
        group.spec.archive = Some(serde_yaml_ng::from_str("{url: 's3://backups'}").unwrap());
        assert_eq!(names(&group), [("node".to_owned(), 7400), ("archive".to_owned(), 7401)]);
    }

    #[test]
    fn pods_that_are_not_ready_have_addresses() {
        let spec = super::build(&fixture::group(), &fixture::config()).spec.unwrap();
        assert_eq!(spec.publish_not_ready_addresses, Some(true));
        assert_eq!(spec.cluster_ip.as_deref(), Some("None"));
    }
}
