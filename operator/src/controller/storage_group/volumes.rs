//! Volumes grow before anything else: the claims are patched, and the StatefulSets re-created around their pods.

use crate::{
    build::names,
    context::Context,
    controller::Refusal,
    error::{Result, While, status_code},
};
use cairn_crds::StorageGroup;
use k8s_openapi::api::{apps::v1::StatefulSet, core::v1::PersistentVolumeClaim};
use kube::{
    ResourceExt,
    api::{DeleteParams, Patch, PatchParams},
};
use serde_json::json;

/// Grows what is smaller than the spec says. The refusal is the storage class's: then the sets keep the size they have.
pub async fn grow(
    ctx: &Context,
    group: &StorageGroup,
    claims: &[PersistentVolumeClaim],
    sets: &[StatefulSet],
) -> Result<Option<Refusal>> {
    let namespace = group.namespace().unwrap_or_default();
    let wanted = &group.spec.volume.size;
    for claim in claims {
        let size = claim.spec.as_ref().and_then(|spec| spec.resources.as_ref()).and_then(|r| r.requests.as_ref());
        let Some(size) = size.and_then(|requests| requests.get("storage")) else { continue };
        if !is_larger(wanted, &size.0) {
            continue;
        }
        let name = claim.name_any();
        let patch = json!({"spec": {"resources": {"requests": {"storage": wanted}}}});
        let api = ctx.api::<PersistentVolumeClaim>(&namespace);
        match api.patch(&name, &PatchParams::default(), &Patch::Merge(&patch)).await {
            Ok(_) => tracing::info!(claim = name, from = size.0, to = wanted, "a volume grows"),
            Err(error) if matches!(status_code(&error), Some(403 | 422)) => {
                return Ok(Some(Refusal::new(
                    "VolumeNotExpandable",
                    format!(
                        "the claim {name} can't grow to {wanted}: {error}. Use a storage class that allows volume expansion, or set spec.volume.size back"
                    ),
                )));
            }
            Err(error) => return Err(error).while_doing(|| format!("grow the claim {name}")),
        }
    }
    for set in sets {
        if set_size(set).is_some_and(|size| is_larger(wanted, size)) {
            let name = set.name_any();
            let orphan = DeleteParams::orphan();
            match ctx.api::<StatefulSet>(&namespace).delete(&name, &orphan).await {
                Ok(_) => tracing::info!(set = name, "a StatefulSet is re-created around its pods, for larger volumes"),
                Err(error) if status_code(&error) == Some(404) => {}
                Err(error) => return Err(error).while_doing(|| format!("re-create the StatefulSet {name}")),
            }
        }
    }
    Ok(None)
}

/// The size in a set's claim template.
pub fn set_size(set: &StatefulSet) -> Option<&str> {
    let claim = set.spec.as_ref()?.volume_claim_templates.as_ref()?.first()?;
    claim.spec.as_ref()?.resources.as_ref()?.requests.as_ref()?.get("storage").map(|size| size.0.as_str())
}

/// Whether the claim belongs to a pod of the group, by its labels or its name.
pub fn belongs(claim: &PersistentVolumeClaim, group: &str) -> bool {
    claim.labels().get(names::GROUP_LABEL).is_some_and(|label| label == group)
}

/// Whether a quantity is more than another.
pub fn is_larger(wanted: &str, present: &str) -> bool {
    matches!((bytes(wanted), bytes(present)), (Some(wanted), Some(present)) if wanted > present)
}

/// A quantity of bytes, for comparing; none where it is not one.
fn bytes(quantity: &str) -> Option<f64> {
    let digits = quantity.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(quantity.len());
    let (number, suffix) = quantity.split_at(digits);
    let factor = match suffix {
        "" => 1.0,
        "k" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        "T" => 1e12,
        "P" => 1e15,
        "E" => 1e18,
        "Ki" => 1024.0,
        "Mi" => 1024f64.powi(2),
        "Gi" => 1024f64.powi(3),
        "Ti" => 1024f64.powi(4),
        "Pi" => 1024f64.powi(5),
        "Ei" => 1024f64.powi(6),
        "m" => 1e-3,
        _ => return None,
    };
    number.parse::<f64>().ok().map(|number| number * factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_volume_only_grows() {
        assert!(is_larger("11Gi", "10Gi") && is_larger("1Ti", "1000Gi") && is_larger("10Gi", "10G"));
        assert!(!is_larger("10Gi", "10Gi") && !is_larger("9Gi", "10Gi") && !is_larger("1Gi", "odd"));
        assert!(!is_larger("1Gi", "1024Mi"));
    }
}
