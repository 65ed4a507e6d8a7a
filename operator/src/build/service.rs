//! The headless Service that gives each storage pod its name.

use super::names;
use crate::{config::Config, controller::storage_group::validate::ValidatedGroup};
use k8s_openapi::{
    api::core::v1::{Service, ServicePort, ServiceSpec},
    apimachinery::pkg::util::intstr::IntOrString,
};

/// It publishes pods that are not ready: a node must be found to become ready.
pub fn build(group: &ValidatedGroup, config: &Config) -> Service {
    Service {
        metadata: names::metadata(names::group_object(&group.name), group, config),
        spec: Some(ServiceSpec {
            cluster_ip: Some("None".to_owned()),
            publish_not_ready_addresses: Some(true),
            selector: Some(names::selector(&group.name, config)),
            ports: Some(vec![ServicePort {
                name: Some("node".to_owned()),
                port: names::NODE_PORT,
                protocol: Some("TCP".to_owned()),
                target_port: Some(IntOrString::String("node".to_owned())),
                ..ServicePort::default()
            }]),
            ..ServiceSpec::default()
        }),
        ..Service::default()
    }
}

#[cfg(test)]
mod tests {
    use crate::build::fixture;

    #[test]
    fn pods_that_are_not_ready_have_addresses() {
        let spec = super::build(&fixture::group(), &fixture::config()).spec.unwrap();
        assert_eq!(spec.publish_not_ready_addresses, Some(true));
        assert_eq!(spec.cluster_ip.as_deref(), Some("None"));
    }
}
