//! Which crate of the workspace may depend on which.
//!
//! The table is the map of ARCHITECTURE.md in a form that a machine can hold. A crate that is not yet there has its row
//! all the same, so that it is born inside the rules.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package, PackageId};

/// A crate and the crates of ours it may use: in what it ships (build scripts included), and in its tests besides.
struct Row {
    from: &'static str,
    ships: &'static [&'static str],
    tests: &'static [&'static str],
}

const fn row(from: &'static str, ships: &'static [&'static str], tests: &'static [&'static str]) -> Row {
    Row { from, ships, tests }
}

const CORE: &str = "paceline-core";
const LIB: &str = "paceline";
const FLOW: &str = "paceline-flow";
const REPLICA: &str = "paceline-replica";
const SHM: &str = "paceline-shm";
const REDIS: &str = "paceline-redis";
const MOCK: &str = "paceline-mock";
const TESTKIT: &str = "paceline-testkit";

#[rustfmt::skip]
const ARROWS: &[Row] = &[
    //  from               ships                               tests
    row(CORE,              &[],                                &[]),
    row(LIB,               &[CORE],                            &[TESTKIT, MOCK]),
    row(FLOW,              &[LIB],                             &[TESTKIT, MOCK]),
    row(REPLICA,           &[CORE, LIB],                       &[TESTKIT]),
    row(SHM,               &[CORE, LIB, REPLICA],              &[TESTKIT, MOCK]),
    row(REDIS,             &[CORE, LIB, REPLICA],              &[TESTKIT, MOCK]),
    row(MOCK,              &[],                                &[]),
    row("paceline-cli",    &[CORE, LIB, SHM, REDIS, MOCK],     &[TESTKIT]),
    row("paceline-python", &[CORE, LIB, SHM, REDIS, MOCK],     &[TESTKIT]),
    row(TESTKIT,           &[CORE, LIB],                       &[MOCK]),
    row("paceline-bench",  &[CORE, LIB, FLOW, SHM, REDIS, MOCK, TESTKIT], &[]),
    row("xtask",           &[],                                &[]),
];

/// Ends of the graph: whatever they are made of belongs to no one else.
const ENDS: &[&str] = &["paceline-cli", "paceline-python", "paceline-bench", "xtask"];

/// Crates that never leave this workspace.
const UNPUBLISHED: &[&str] = &[TESTKIT, "paceline-bench", "xtask"];

#[test]
fn every_arrow_is_allowed() {
    let metadata = declared();
    let mut offending = Vec::new();
    for package in metadata.workspace_packages() {
        let from = package.name.as_str();
        let Some(row) = ARROWS.iter().find(|row| row.from == from) else {
            offending.push(format!("{from} has no row in the table of allowed arrows"));
            continue;
        };
        for dependency in package.dependencies.iter().filter(|dependency| dependency.path.is_some()) {
            let to = dependency.name.as_str();
            let in_tests = dependency.kind == DependencyKind::Development;
            if !(row.ships.contains(&to) || in_tests && row.tests.contains(&to)) {
                let kind = if in_tests { "in its tests" } else { "in what it ships" };
                offending.push(format!("{from} -> {to} ({kind}) is not an allowed arrow"));
            }
        }
    }
    assert!(offending.is_empty(), "\n  {}\n", offending.join("\n  "));
}

/// The table could be wrong too: these hold for any table that is right.
#[test]
fn the_table_keeps_its_own_rules() {
    let rows: BTreeMap<_, _> = ARROWS.iter().map(|row| (row.from, row)).collect();
    assert_eq!(rows.len(), ARROWS.len(), "a crate has two rows");

    for row in ARROWS {
        for to in row.ships.iter().chain(row.tests) {
            assert!(rows.contains_key(to), "{} -> {to}: no such crate", row.from);
            assert!(!ENDS.contains(to), "{} -> {to}: nothing may depend on it", row.from);
        }
        for to in row.ships {
            let both = UNPUBLISHED.contains(to) && !UNPUBLISHED.contains(&row.from);
            assert!(!both, "{} -> {to}: a published crate cannot ship an unpublished one", row.from);
        }
    }

    let reach = |from| {
        let (mut seen, mut todo) = (BTreeSet::new(), vec![from]);
        while let Some(at) = todo.pop() {
            todo.extend(rows[at].ships.iter().filter(|&&to| seen.insert(to)));
        }
        seen
    };
    for row in ARROWS {
        assert!(!reach(row.from).contains(row.from), "{} reaches itself", row.from);
    }
    for from in [CORE, LIB, FLOW] {
        for backend in [REPLICA, SHM, REDIS] {
            assert!(!reach(from).contains(backend), "{from} reaches the backend {backend}");
        }
    }
}

/// No runtime in core, and not by way of somebody else's crate either; its tests keep to that too.
#[test]
fn core_has_no_runtime() {
    let metadata = MetadataCommand::new().exec().expect("cargo metadata runs");
    let graph = metadata.resolve.as_ref().expect("the graph is resolved");
    let core = metadata.packages.iter().find(|package| package.name == CORE).expect("core is a member");

    let mut came_from = BTreeMap::<&PackageId, &PackageId>::new();
    let mut todo = vec![&core.id];
    while let Some(at) = todo.pop() {
        let node = graph.nodes.iter().find(|node| node.id == *at).expect("every package is in the graph");
        for to in &node.dependencies {
            if to != &core.id && !came_from.contains_key(to) {
                came_from.insert(to, at);
                todo.push(to);
            }
        }
    }
    for runtime in ["tokio", "async-std", "smol", "mio"] {
        let Some(found) = came_from.keys().find(|id| metadata[id].name == runtime) else { continue };
        let way = std::iter::successors(Some(*found), |id| came_from.get(id).copied());
        let way: Vec<_> = way.map(|id| metadata[id].name.as_str()).collect();
        panic!("core has a runtime: {}", way.join(" <- "));
    }
}

#[test]
fn a_crate_is_named_as_its_folder() {
    let metadata = declared();
    for package in metadata.workspace_packages() {
        let folder = package.manifest_path.parent().expect("a manifest lies in a folder");
        assert_eq!(folder.file_name(), Some(package.name.as_str()), "{folder}");
        let above = folder.parent().expect("the folder lies in another");
        assert_eq!(above, metadata.workspace_root.join("crates"), "{} lies elsewhere", package.name);
    }
}

#[test]
fn every_crate_inherits_what_is_the_same_for_all() {
    for package in declared().workspace_packages() {
        let manifest = manifest(package);
        for key in ["version", "edition", "rust-version", "license"] {
            let inherited = manifest["package"].get(key).and_then(|value| value.get("workspace"));
            assert_eq!(inherited, Some(&true.into()), "{}: `{key}` is not inherited", package.name);
        }
        let lints = manifest.get("lints").and_then(|lints| lints.get("workspace"));
        assert_eq!(lints, Some(&true.into()), "{}: the lints are not inherited", package.name);
    }
}

#[test]
fn what_is_published_is_fit_to_be() {
    for package in declared().workspace_packages() {
        // `publish = false` is an empty list of registries.
        let published = package.publish.as_ref().is_none_or(|registries| !registries.is_empty());
        let expected = !UNPUBLISHED.contains(&package.name.as_str());
        assert_eq!(published, expected, "{}: wrong `publish`", package.name);
        if !published {
            continue;
        }
        assert!(package.description.is_some(), "{} has no description", package.name);
        for dependency in &package.dependencies {
            let ours = dependency.path.is_some() && dependency.kind != DependencyKind::Development;
            assert!(
                !ours || dependency.req != "*".parse().expect("a version requirement"),
                "{} -> {}: no version, so it cannot be published",
                package.name,
                dependency.name
            );
        }
    }
}

/// What the manifests say, without the rest of the world.
fn declared() -> Metadata {
    MetadataCommand::new().no_deps().exec().expect("cargo metadata runs")
}

fn manifest(package: &Package) -> toml::Table {
    let text = fs::read_to_string(&package.manifest_path).expect("the manifest can be read");
    text.parse().expect("the manifest is TOML")
}
