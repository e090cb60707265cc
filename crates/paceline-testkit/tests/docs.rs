//! Holds what the compiler cannot: that every public async function says what dropping its future does.

use std::fs;
use std::path::{Path, PathBuf};

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn every_public_async_fn_says_its_cancel_safety() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("crates/");
    let mut found = Vec::new();
    for library in ["paceline", "paceline-core", "paceline-mock"] {
        sources(&crates.join(library).join("src"), &mut found);
    }
    let (mut silent, mut functions) = (Vec::new(), 0);
    for path in found {
        let text = fs::read_to_string(&path).expect("a readable source");
        let mut doc = String::new();
        for (number, line) in text.lines().map(str::trim).enumerate() {
            if line.starts_with("///") || line.starts_with("#[") {
                doc.push_str(line);
                continue;
            }
            // A function that returns a future says it too: those are async in all but the keyword.
            let future = ["-> Acquire<", "-> JointAcquire", "-> PoolAcquire<"].iter().any(|it| line.contains(it));
            if line.starts_with("pub async fn") || (line.starts_with("pub fn") && future) {
                functions += 1;
                if !doc.contains("Cancel safety") {
                    silent.push(format!("{}:{}: {line}", path.display(), number + 1));
                }
            }
            doc.clear();
        }
    }
    assert!(functions >= 8, "only {functions} functions found: does this test still read the sources?");
    assert!(silent.is_empty(), "say what dropping the future does, under \"# Cancel safety\":\n{}", silent.join("\n"));
}
