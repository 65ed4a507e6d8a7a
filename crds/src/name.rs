//! Names derived from other names; frozen, for objects in clusters carry them.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use xxhash_rust::xxh3::xxh3_64;

/// The longest name of a Kubernetes object (a DNS-1123 subdomain).
const RESOURCE_NAME_LENGTH_MAX: usize = 253;
const HASH_LENGTH: usize = 16;

/// The name of the Table resource for a table the API creates: the table's own name where Kubernetes allows it, else that
/// name in lower case, with what Kubernetes forbids replaced, and the XXH3-64 of the table's name in hexadecimal behind it.
pub fn resource_name(table_name: &str) -> String {
    if is_resource_name(table_name) {
        return table_name.to_owned();
    }
    let mut lowered: String = table_name
        .chars()
        .take(RESOURCE_NAME_LENGTH_MAX - HASH_LENGTH - 1)
        .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' })
        .collect();
    lowered = lowered.trim_matches('-').to_owned();
    let hash = xxh3_64(table_name.as_bytes());
    if lowered.is_empty() { format!("table-{hash:016x}") } else { format!("{lowered}-{hash:016x}") }
}

/// The id of what a resource stands for, in the bucket and in its ARN: DynamoDB's form, from when the resource was made and its
/// uid. None before the API server has it.
pub(crate) fn resource_id(metadata: &ObjectMeta) -> Option<String> {
    let made = metadata.creation_timestamp.as_ref()?.0.as_millisecond();
    Some(format!("{made:014}-{}", metadata.uid.as_ref()?.get(..8)?))
}

/// Eight hexadecimal digits of the text's XXH3-64: what tells a zone's objects apart where its name may not fit.
pub fn short_hash(text: &str) -> String {
    format!("{:08x}", xxh3_64(text.as_bytes()) >> 32)
}

/// The name of a Kubernetes object, where it has at most so many characters; else its beginning, with its hash behind it.
pub fn bounded_name(name: &str, length_max: usize) -> String {
    if name.len() <= length_max {
        return name.to_owned();
    }
    let hash = short_hash(name);
    let beginning: String = name.chars().take(length_max.saturating_sub(hash.len() + 1)).collect();
    format!("{}-{hash}", beginning.trim_end_matches(['-', '.']))
}

/// Whether the text is a DNS-1123 subdomain, as Kubernetes wants the names of its objects.
fn is_resource_name(text: &str) -> bool {
    text.len() <= RESOURCE_NAME_LENGTH_MAX
        && text.split('.').all(|label| {
            !label.is_empty()
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_valid_name_stays_as_it_is() {
        assert_eq!(resource_name("users"), "users");
        assert_eq!(resource_name("users-2.eu"), "users-2.eu");
    }

    #[test]
    fn other_names_are_lowered_and_told_apart_by_a_hash() {
        let upper = resource_name("Users_2");
        assert!(upper.starts_with("users-2-"), "{upper}");
        assert_ne!(upper, resource_name("users_2"));
        assert!(is_resource_name(&upper));
    }

    #[test]
    fn every_table_name_becomes_a_valid_resource_name() {
        for name in ["___", "...", "-a-", "a..b", "A.b_C", &"x".repeat(255), &"_".repeat(255), &"A".repeat(255)] {
            assert!(is_resource_name(&resource_name(name)), "{name} became {}", resource_name(name));
        }
    }

    #[test]
    fn a_name_that_is_too_long_is_cut_and_told_apart_by_a_hash() {
        assert_eq!(bounded_name("nightly", 7), "nightly");
        let (one, two) = (format!("{}.a", "x".repeat(53)), format!("{}.b", "x".repeat(53)));
        let bounded = bounded_name(&one, 54);
        assert!(bounded.len() <= 54 && is_resource_name(&bounded), "{bounded}");
        assert_ne!(bounded, bounded_name(&two, 54));
    }

    #[test]
    fn the_hashes_are_frozen() {
        assert_eq!(short_hash("zone-a"), "0e1561c8");
        assert_eq!(resource_name("Music"), "music-808ef7b8afd03290");
    }
}
