//! What the API may write in the cluster, as whom, and what its callers are told when the cluster refuses.

use cairn_model::{ErrorKind, ServiceError};
use clap::ValueEnum;
use kube::{Client, Config, Resource, ResourceExt};
use std::time::Duration;

pub(super) const FIELD_MANAGER: &str = "cairn-api";
/// Writes the status and the finalizer of every object here.
const OPERATOR: &str = "cairn-operator";
/// For the API server's answer.
const DEADLINE: Duration = Duration::from_secs(10);
/// The version in a manifest of what is to be made, never changed: no object has it, and the API server refuses it for one that is there.
pub(super) const OF_NONE: &str = "0";

/// The API server's client. It asks once: what answers 503 or 504 may have written before, and the same once more would meet itself.
pub fn client(mut config: Config) -> kube::Result<Client> {
    config.default_retry = false;
    Client::try_from(config)
}

/// Which tables, backups and global tables the API may create, change and delete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ApiWrites {
    /// Those that the API made, and that nobody else has taken over since.
    Own,
    /// Any; where another manager owns the field that would change, the API server refuses it.
    All,
    /// None: they are declared by manifests alone.
    None,
}

impl ApiWrites {
    /// Whether the API may write objects of this kind at all.
    pub(super) fn check<K: Resource<DynamicType = ()>>(self) -> Result<(), ServiceError> {
        if self == Self::None {
            let kind = K::kind(&());
            return Err(denied(&format!(
                "{kind}s are not changed through this API (api.writes is none): apply a {kind} manifest instead"
            )));
        }
        Ok(())
    }

    /// Whether the API may change or delete this object, which its callers know by this name.
    pub(super) fn check_owner<K: Resource<DynamicType = ()>>(self, object: &K, name: &str) -> Result<(), ServiceError> {
        self.check::<K>()?;
        if self == Self::Own
            && let Some(owner) = other_owner(object)
        {
            let kind = K::kind(&());
            return Err(denied(&format!(
                "{kind} {name} is managed by {owner}: change it there, or set api.writes to all"
            )));
        }
        Ok(())
    }
}

/// The manager, other than the API and the operator, that owns a field of the object's spec.
pub(super) fn other_owner(object: &impl ResourceExt) -> Option<&str> {
    object.managed_fields().iter().find_map(|entry| {
        let manager = entry.manager.as_deref()?;
        let spec = entry.fields_v1.as_ref().is_some_and(|fields| fields.0.get("f:spec").is_some());
        (spec && manager != FIELD_MANAGER && manager != OPERATOR).then_some(manager)
    })
}

/// Whether this manager owns the member with this key of a list in the object's spec.
pub(super) fn owns_member(object: &impl ResourceExt, manager: &str, list: &str, key: &serde_json::Value) -> bool {
    let (list, member) = (format!("f:{list}"), format!("k:{key}"));
    let of_manager = object.managed_fields().iter().filter(|entry| entry.manager.as_deref() == Some(manager));
    let mut fields = of_manager.filter_map(|entry| entry.fields_v1.as_ref());
    fields.any(|fields| fields.0["f:spec"][list.as_str()].get(&member).is_some())
}

/// The manager, other than the API, that owns the member with this key of a list in the object's spec.
pub(super) fn other_member_owner<'a>(
    object: &'a impl ResourceExt,
    list: &str,
    key: &serde_json::Value,
) -> Option<&'a str> {
    let managers = object.managed_fields().iter().filter_map(|entry| entry.manager.as_deref());
    managers.into_iter().find(|manager| *manager != FIELD_MANAGER && owns_member(object, manager, list, key))
}

/// The manager, other than the API, that owns what lies at this path below the object's spec, as its managed fields name it.
pub(super) fn other_field_owner<'a>(object: &'a impl ResourceExt, path: &[&str]) -> Option<&'a str> {
    object.managed_fields().iter().find_map(|entry| {
        let fields = entry.fields_v1.as_ref()?.0.get("f:spec")?;
        path.iter().try_fold(fields, |fields, name| fields.get(*name))?;
        entry.manager.as_deref().filter(|manager| *manager != FIELD_MANAGER)
    })
}

pub(super) fn denied(message: &str) -> ServiceError {
    ServiceError::new(ErrorKind::AccessDeniedException, message)
}

/// Whether what was applied would change fields that belong to other managers.
fn is_of_other_managers(status: &kube::core::Status) -> bool {
    let mut causes = status.details.iter().flat_map(|details| &details.causes);
    causes.any(|cause| cause.reason == "FieldManagerConflict")
}

/// Whether what was to be made is there: [`OF_NONE`] was refused.
fn is_of_one(status: &kube::core::Status) -> bool {
    let mut causes = status.details.iter().flat_map(|details| &details.causes);
    status.code == 422 && causes.any(|cause| cause.field == "metadata.resourceVersion")
}

/// Waits for the API server's answer, within a deadline, and says its errors in DynamoDB's words.
pub(super) async fn answered<T>(call: impl Future<Output = Result<T, kube::Error>>) -> Result<T, ServiceError> {
    let unavailable = || {
        ServiceError::new(
            ErrorKind::InternalServerError,
            "The Kubernetes API server does not answer; tables, backups and global tables can't be changed at present. \
             Data operations go on.",
        )
    };
    match tokio::time::timeout(DEADLINE, call).await {
        Err(_) => Err(unavailable()),
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(kube::Error::Api(status))) => Err(match status.code {
            404 => ServiceError::new(ErrorKind::ResourceNotFoundException, status.message.clone()),
            409 if is_of_other_managers(&status) => denied(&status.message),
            409 => ServiceError::new(ErrorKind::ResourceInUseException, status.message.clone()),
            422 if is_of_one(&status) => ServiceError::new(ErrorKind::ResourceInUseException, status.message.clone()),
            403 => denied(&status.message),
            400 | 422 => ServiceError::validation(status.message.clone()),
            429 => ServiceError::new(ErrorKind::ThrottlingException, status.message.clone()),
            _ => {
                tracing::warn!(code = status.code, message = status.message, "the API server refused a call");
                unavailable()
            }
        }),
        Ok(Err(error)) => {
            tracing::warn!(%error, "failed to reach the API server");
            Err(unavailable())
        }
    }
}
