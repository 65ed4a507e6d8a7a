//! The files that are generated from the types are the ones that are checked in.

#![allow(clippy::unwrap_used)]

use std::{fs, path::Path};

#[test]
fn the_checked_in_definitions_are_not_stale() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for file in cairn_crds::schema::definitions().unwrap() {
        for folder in ["crds/yaml", "charts/cairn/files/crds"] {
            let path = Path::new(folder).join(file.file_name);
            let text = fs::read_to_string(root.join(&path)).unwrap();
            assert_eq!(text, file.yaml().unwrap(), "{} is stale: cargo run -p cairn-crds --bin crdgen", path.display());
        }
    }
}
