//! Writes the generated CustomResourceDefinitions; with `--check`, fails when the files are stale.

use cairn_crds::schema;
use std::{error::Error, fs, path::Path, process::ExitCode};

/// Where the definitions go, from the repository's root: for people who apply them by hand, and for the chart.
const FOLDERS: [&str; 2] = ["crds/yaml", "charts/cairn/files/crds"];

fn main() -> ExitCode {
    let check = std::env::args().skip(1).any(|argument| argument == "--check");
    match run(check) {
        Ok(stale) if stale.is_empty() => ExitCode::SUCCESS,
        Ok(stale) => {
            eprintln!("stale: {}\nrun `cargo run -p cairn-crds --bin crdgen`", stale.join(", "));
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("failed to write the definitions: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Writes each file, or with `check` only compares it; answers with the names of those that differ.
fn run(check: bool) -> Result<Vec<String>, Box<dyn Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut stale = Vec::new();
    for file in schema::definitions()? {
        let text = file.yaml()?;
        for folder in FOLDERS {
            let path = root.join(folder).join(file.file_name);
            if !check {
                fs::create_dir_all(root.join(folder))?;
                fs::write(&path, &text)?;
            } else if fs::read_to_string(&path).ok().as_ref() != Some(&text) {
                stale.push(format!("{folder}/{}", file.file_name));
            }
        }
    }
    Ok(stale)
}
