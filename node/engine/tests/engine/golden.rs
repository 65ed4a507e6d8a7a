//! Folders as earlier versions of this program wrote them must open.

use crate::support::*;
use cairn_engine::{Folder, LogMark, Owner};
use cairn_model::ids::{NodeId, ReplicaId};
use std::{collections::BTreeMap, path::Path};

/// `golden/folder-v1` was made by `make`, run with the first version of the formats; it is never made again.
#[test]
fn a_folder_of_format_version_1_opens() {
    let folder = tempfile::tempdir().unwrap();
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/folder-v1"), folder.path());
    let opened = Folder::open(folder.path(), &owner(), NodeId([9; 16])).unwrap();
    assert_eq!(opened.node_id(), NodeId([7; 16]));
    expect_contents(folder.path());
}

/// `golden/snapshot-v1` is the one chunk of a snapshot, made by `make` as well.
#[test]
fn a_snapshot_of_format_version_1_is_installed() {
    let chunk = std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/snapshot-v1")).unwrap();
    let (_, engine) = memory();
    let mut writer = engine.begin_load().unwrap();
    engine.load(&mut writer, &chunk.into()).unwrap();
    let installed = engine.install(writer, PARTITION, ReplicaId(5), 1).unwrap();
    assert_eq!(
        (installed.descriptor, installed.definition, installed.applied),
        (descriptor(1), definition(1), applied(2))
    );
    assert_eq!(
        items(&engine, installed.storage_id),
        [("a".to_owned(), "2".to_owned()), ("c".to_owned(), "3".to_owned())]
    );
    assert_eq!(engine.outcome(installed.storage_id, &request(1)).unwrap().unwrap(), "outcome 1");
}

fn owner() -> Owner {
    Owner { region: "east".into(), account: "game".into(), group: "default".into() }
}

fn expect_contents(folder: &Path) {
    let engine = fjall(folder);
    let replica = engine.replica(PARTITION).unwrap();
    assert_eq!((replica.descriptor, replica.definition), (descriptor(1), definition(1)));
    assert_eq!((replica.replica_id, replica.applied, replica.damaged), (ReplicaId(4), applied(2), None));
    assert_eq!(
        items(&engine, replica.storage_id),
        [("a".to_owned(), "2".to_owned()), ("c".to_owned(), "3".to_owned())]
    );
    assert_eq!(engine.outcome(replica.storage_id, &request(1)).unwrap().unwrap(), "outcome 1");
    assert_eq!(engine.replica(partition(2)).unwrap().damaged.as_deref(), Some("log: a flipped bit"));
    assert_eq!(engine.tombstone(partition(3)).unwrap(), Some(ReplicaId(8)));
    assert_eq!(engine.log_marks()[&replica.log_id], LogMark { written: 5, term: 2 });
    let ids = engine.allocate_ids().unwrap();
    assert_eq!((ids.storage_id, ids.log_id), (5, 4));
}

#[test]
#[ignore = "makes the golden folder of a new format version; set GOLDEN to where it goes"]
fn make() {
    let Some(to) = std::env::var_os("GOLDEN") else { return };
    let folder = tempfile::tempdir().unwrap();
    Folder::open(folder.path(), &owner(), NodeId([7; 16])).unwrap();
    {
        let engine = fjall(folder.path());
        let storage = create(&engine, 1, 4);
        create(&engine, 2, 1);
        create(&engine, 3, 8);
        engine.apply(storage.storage_id, batch(1, vec![put("a", "1"), put("b", "1")])).unwrap();
        engine.apply(storage.storage_id, batch(2, vec![put("a", "2"), delete("b"), put("c", "3")])).unwrap();
        engine.mark_damaged(partition(2), "log: a flipped bit").unwrap();
        engine.drop_replica(partition(3)).unwrap();
        engine.begin_load().unwrap();
        engine.persist(&BTreeMap::from([(storage.log_id, LogMark { written: 5, term: 2 })])).unwrap();
        let chunk = engine.snapshot(storage.storage_id).unwrap().next_chunk().unwrap().unwrap();
        std::fs::write(Path::new(&to).with_file_name("snapshot-v1"), chunk).unwrap();
    }
    // As fjall leaves a journal when it opens one: without the room it allocated ahead.
    drop(fjall(folder.path()));
    copy(folder.path(), Path::new(&to));
    expect_contents(folder.path());
}
