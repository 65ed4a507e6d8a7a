//! Who a certificate says its holder is: a URI of region, namespace, group and role.

use std::{fmt, str::FromStr};

/// The name every internal certificate carries, so that a client verifies it whatever the address; who the peer is, is
/// told by its [`Identity`].
pub const INTERNAL_NAME: &str = "cairn.internal";

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    Storage,
    Router,
    Operator,
}

/// `cairn://REGION/NAMESPACE/GROUP/ROLE`; routers and the operator have the group `-` and the release's namespace.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Identity {
    pub region: String,
    pub namespace: String,
    pub group: String,
    pub role: Role,
}

/// The text is not an identity.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not an identity: it must read cairn://REGION/NAMESPACE/GROUP/ROLE with role storage, router or operator"
)]
pub struct InvalidIdentity(String);

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let role = match self.role {
            Role::Storage => "storage",
            Role::Router => "router",
            Role::Operator => "operator",
        };
        write!(f, "cairn://{}/{}/{}/{role}", self.region, self.namespace, self.group)
    }
}

impl FromStr for Identity {
    type Err = InvalidIdentity;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidIdentity(text.to_owned());
        let parts: Vec<&str> = text.strip_prefix("cairn://").ok_or_else(invalid)?.split('/').collect();
        let [region, namespace, group, role] = parts[..] else { return Err(invalid()) };
        let role = match role {
            "storage" => Role::Storage,
            "router" => Role::Router,
            "operator" => Role::Operator,
            _ => return Err(invalid()),
        };
        if region.is_empty() || namespace.is_empty() || group.is_empty() {
            return Err(invalid());
        }
        Ok(Self { region: region.into(), namespace: namespace.into(), group: group.into(), role })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_reads_back_as_it_was_written() {
        let identity =
            Identity { region: "east".into(), namespace: "game".into(), group: "default".into(), role: Role::Storage };
        assert_eq!(identity.to_string(), "cairn://east/game/default/storage");
        assert_eq!(identity.to_string().parse(), Ok(identity));
    }

    #[test]
    fn anything_else_is_no_identity() {
        for text in [
            "",
            "cairn://",
            "cairn://east/game/default",
            "cairn://east/game/default/root",
            "cairn:///g/d/storage",
            "cairn://east/game/default/storage/more",
            "https://east/game/default/storage",
        ] {
            assert!(text.parse::<Identity>().is_err(), "{text}");
        }
    }
}
