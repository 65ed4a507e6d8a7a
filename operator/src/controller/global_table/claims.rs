//! Which GlobalTable a table has: of several that name it the one that it had, or else the first that was made.

use crate::context::GuardedGlobalTable;
use cairn_crds::GlobalTable;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::{Resource, ResourceExt};
use std::sync::Arc;

/// Who says which regions a table has.
#[derive(Clone, Debug, PartialEq)]
pub enum Claim {
    Nobody,
    By(Box<GlobalTable>),
    /// The one that the table had, which can't be read any more.
    Unreadable(String),
}

/// A table, as far as claims on it go.
#[derive(Clone, Copy, Debug)]
pub struct Claimed<'a> {
    pub table_name: &'a str,
    pub uid: Option<&'a str>,
    /// The GlobalTable that it had.
    pub had: Option<&'a str>,
}

/// The claim on a table, among the GlobalTables of its namespace. One that is being deleted, or goes with another table of the
/// name, claims nothing any more, and of one that can't be read nobody knows what it claims.
pub fn of(table: Claimed<'_>, in_namespace: &[Arc<GuardedGlobalTable>]) -> Claim {
    let Claimed { table_name, uid, had } = table;
    let stands = |global: &&Arc<GuardedGlobalTable>| {
        global.meta().deletion_timestamp.is_none() && !goes_with_another(global.owner_references(), uid)
    };
    let standing = || in_namespace.iter().filter(stands);
    if let Some(broken) = standing().find(|global| global.0.is_err() && Some(global.name_any().as_str()) == had) {
        return Claim::Unreadable(broken.name_any());
    }
    let readable = standing().filter_map(|global| global.0.as_ref().ok());
    let first = readable.filter(|global| global.table_name() == table_name).min_by_key(|global| {
        let name = global.name_any();
        (Some(name.as_str()) != had, global.creation_timestamp().map(|time| time.0), name)
    });
    first.map_or(Claim::Nobody, |global| Claim::By(Box::new(global.clone())))
}

/// Whether an object belongs to tables, and this is none of them: the garbage collector has not come to it yet.
fn goes_with_another(owners: &[OwnerReference], uid: Option<&str>) -> bool {
    let mut tables = owners.iter().filter(|owner| owner.kind == "Table").peekable();
    tables.peek().is_some() && tables.all(|owner| Some(owner.uid.as_str()) != uid)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::global_table::fixture::global;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
    use kube::core::{DeserializeGuard, error_boundary::InvalidObject};

    fn read(global: GlobalTable) -> Arc<GuardedGlobalTable> {
        Arc::new(DeserializeGuard(Ok(global)))
    }

    fn unreadable(made: i64) -> Arc<GuardedGlobalTable> {
        let metadata = global("broken", made, &[]).metadata;
        Arc::new(DeserializeGuard(Err(InvalidObject { error: "no such field".into(), metadata })))
    }

    fn holder(all: &[Arc<GuardedGlobalTable>]) -> String {
        holder_after(None, all)
    }

    fn holder_after(had: Option<&str>, all: &[Arc<GuardedGlobalTable>]) -> String {
        match of(Claimed { table_name: "users", uid: Some("this"), had }, all) {
            Claim::Nobody => String::new(),
            Claim::By(global) => global.name_any(),
            Claim::Unreadable(name) => format!("{name}?"),
        }
    }

    fn named(name: &str, made: i64) -> Arc<GuardedGlobalTable> {
        let mut global = global(name, made, &[]);
        global.spec.table_name = Some("users".into());
        read(global)
    }

    #[test]
    fn the_first_resource_to_claim_a_table_has_it() {
        assert_eq!(holder(&[named("late", 2), named("early", 1), read(global("users", 3, &[]))]), "early");
        assert_eq!(holder(&[named("b", 1), named("a", 1)]), "a");
        assert_eq!(holder(&[read(global("scores", 1, &[]))]), "");
    }

    #[test]
    fn a_table_keeps_the_resource_that_it_has() {
        assert_eq!(holder_after(Some("late"), &[named("late", 2), named("early", 1)]), "late");
    }

    #[test]
    fn one_that_goes_with_another_table_of_the_name_claims_nothing() {
        let owned_by = |uid: &str| {
            let mut owned = global("users", 1, &[]);
            let owner = OwnerReference { kind: "Table".into(), uid: uid.into(), ..OwnerReference::default() };
            owned.metadata.owner_references = Some(vec![owner]);
            read(owned)
        };
        assert_eq!(holder(&[owned_by("before")]), "");
        assert_eq!(holder(&[owned_by("this")]), "users");
    }

    #[test]
    fn one_that_is_being_deleted_claims_nothing() {
        let mut early = global("users", 1, &[]);
        early.metadata.deletion_timestamp = Some(Time(jiff::Timestamp::UNIX_EPOCH));
        assert_eq!(holder(&[read(early), named("late", 2)]), "late");
    }

    #[test]
    fn one_that_can_not_be_read_keeps_the_table_it_had_and_stops_nobody_else() {
        assert_eq!(holder_after(Some("broken"), &[unreadable(1), named("late", 2)]), "broken?");
        assert_eq!(holder_after(Some("late"), &[unreadable(1), named("late", 2)]), "late");
        assert_eq!(holder(&[unreadable(1), named("late", 2)]), "late");
    }
}
