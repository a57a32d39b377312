//! House rules that no compiler checks, as tests: who may depend on whom, what the pure crates must not
//! touch, what each source file owes its reader.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use toml::Table;

use crate::shell;

/// Which crates of the workspace each may depend on: ARCHITECTURE.md's arrows, one line a crate.
const MAY_DEPEND_ON: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("wire", &["model"]),
    ("indicators", &["model"]),
    ("policy", &["model"]),
    ("identity", &["model"]),
    ("store", &["model"]),
    ("inspect", &["model", "indicators"]),
    ("judge", &["model", "indicators", "inspect", "policy", "identity", "store", "yara"]),
    ("gateway", &["model", "wire", "judge", "store"]),
    ("sensor", &["model", "wire", "indicators", "policy", "identity", "store"]),
    ("yara", &[]),
    ("intel", &["model", "indicators", "store", "yara"]),
    (
        "portcullis",
        &[
            "model",
            "wire",
            "indicators",
            "inspect",
            "policy",
            "identity",
            "store",
            "judge",
            "gateway",
            "sensor",
            "intel",
            "yara",
        ],
    ),
    ("lab", &[]),
    ("xtask", &["lab"]),
];

/// Roles meet in the journal and the store, never in each other.
const ROLES: &[&str] = &["sensor", "gateway", "harden", "console"];

/// Crates without I/O, clock or async.
const PURE: &[&str] = &["model", "wire", "indicators", "inspect", "policy"];

/// What a pure crate must not name. Addresses of `std::net` are values and fine.
const IMPURE: &[&str] = &[
    "std::fs",
    "std::process",
    "std::thread",
    "std::env",
    "TcpStream",
    "TcpListener",
    "UdpSocket",
    "UnixStream",
    "tokio::",
    "async fn",
    "SystemTime::now",
    "Instant::now",
    "Timestamp::now",
    "Zoned::now",
];

/// Crates that stay out of the graph: a second TLS provider panics at run time, OpenSSL is a C library
/// the host would have to provide.
const FORBIDDEN_PACKAGES: &[&str] = &["openssl-sys", "aws-lc-sys", "aws-lc-rs", "native-tls"];

/// Long logic is not read; a long table is.
const MOST_LINES: usize = 800;
/// Files that are a table.
const TABLES: &[&str] = &[];

/// A file of the project, with its path from the root.
struct Source {
    path: String,
    text: String,
}

/// Every file of the project that is text, but build products.
fn sources() -> Vec<Source> {
    let root = shell::root();
    let mut folders = vec![root.clone()];
    let mut sources = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(&root).unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                let product =
                    [".git", "target", "fuzz/target", "fuzz/corpus", "fuzz/artifacts"].contains(&name.as_str());
                if !product && !path.is_symlink() {
                    folders.push(path);
                }
            } else if let Ok(text) = fs::read_to_string(&path) {
                sources.push(Source { path: name, text });
            }
        }
    }
    sources.sort_by(|a, b| a.path.cmp(&b.path));
    sources
}

fn rust_sources() -> Vec<Source> {
    sources().into_iter().filter(|source| source.path.ends_with(".rs")).collect()
}

fn table(path: &Path) -> Table {
    fs::read_to_string(path).unwrap().parse().unwrap()
}

/// The manifest of every member, by the name of its package.
fn manifests() -> BTreeMap<String, Table> {
    let root = shell::root();
    let mut folders: Vec<PathBuf> =
        fs::read_dir(root.join("crates")).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.push(root.join("xtask"));
    let mut manifests = BTreeMap::new();
    for folder in folders {
        let manifest = table(&folder.join("Cargo.toml"));
        let name = manifest["package"]["name"].as_str().unwrap().to_owned();
        manifests.insert(name, manifest);
    }
    manifests
}

fn keys(manifest: &Table, section: &str) -> BTreeSet<String> {
    manifest
        .get(section)
        .and_then(|value| value.as_table())
        .into_iter()
        .flat_map(|table| table.keys().cloned())
        .collect()
}

/// Fails with every offence at once.
fn none(offences: &[String], rule: &str) {
    assert!(offences.is_empty(), "{rule}:\n  {}", offences.join("\n  "));
}

#[test]
fn dependencies_run_one_way() {
    let manifests = manifests();
    let members: BTreeSet<String> = manifests.keys().cloned().collect();
    let allowed: BTreeMap<&str, BTreeSet<String>> =
        MAY_DEPEND_ON.iter().map(|(name, on)| (*name, on.iter().map(|on| (*on).to_owned()).collect())).collect();
    let mut offences = Vec::new();
    for (name, manifest) in &manifests {
        let Some(allowed) = allowed.get(name.as_str()) else {
            offences.push(format!("{name} is not in the table: say what it may depend on"));
            continue;
        };
        for on in keys(manifest, "dependencies").intersection(&members) {
            if !allowed.contains(on) {
                offences.push(format!("{name} depends on {on}"));
            }
        }
    }
    none(&offences, "dependencies run one way (see ARCHITECTURE.md)");
}

#[test]
fn roles_do_not_know_each_other() {
    let mut offences = Vec::new();
    for (name, manifest) in manifests() {
        if !ROLES.contains(&name.as_str()) {
            continue;
        }
        for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
            for on in keys(&manifest, section) {
                if ROLES.contains(&on.as_str()) {
                    offences.push(format!("{name} depends on {on}"));
                }
            }
        }
    }
    none(&offences, "roles meet in the journal and the store only");
}

#[test]
fn manifests_share_lints_versions_and_licence() {
    let mut offences = Vec::new();
    for (name, manifest) in manifests() {
        if manifest.get("lints").and_then(|lints| lints.get("workspace")).and_then(|value| value.as_bool())
            != Some(true)
        {
            offences.push(format!("{name} does not say `lints.workspace = true`"));
        }
        for key in ["version", "edition", "rust-version", "license", "publish"] {
            if manifest["package"].get(key).and_then(|value| value.get("workspace")).is_none() {
                offences.push(format!("{name} sets {key} itself"));
            }
        }
        for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
            for (on, value) in manifest.get(section).and_then(|value| value.as_table()).into_iter().flatten() {
                if value.get("workspace").and_then(|value| value.as_bool()) != Some(true) {
                    offences.push(format!("{name} chooses its own version or path of {on}"));
                }
            }
        }
    }
    none(&offences, "lints, versions and licence stand in the workspace manifest");
}

#[test]
fn unsafe_code_is_forbidden() {
    let workspace = table(&shell::root().join("Cargo.toml"));
    assert_eq!(workspace["workspace"]["lints"]["rust"]["unsafe_code"].as_str(), Some("forbid"));
}

#[test]
fn pure_crates_do_no_io() {
    let mut offences = Vec::new();
    for source in rust_sources() {
        let pure = PURE.iter().any(|name| source.path.starts_with(&format!("crates/{name}/src/")));
        if !pure || source.path.ends_with("/tests.rs") || source.path.contains("/tests/") {
            continue;
        }
        let product = source.text.split("#[cfg(test)]").next().unwrap_or_default();
        for (number, line) in product.lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            for word in IMPURE.iter().filter(|word| code.contains(**word)) {
                offences.push(format!("{}:{}: {word}", source.path, number + 1));
            }
        }
    }
    none(&offences, "these crates have no I/O, no clock and no async");
}

#[test]
fn every_file_says_what_it_is_for() {
    let offences: Vec<String> = rust_sources()
        .iter()
        .filter(|source| !source.text.starts_with("//! "))
        .map(|source| source.path.clone())
        .collect();
    none(&offences, "a source file begins with `//!` and what it is for");
}

#[test]
fn files_are_short_enough_to_read() {
    let offences: Vec<String> = rust_sources()
        .iter()
        .filter(|source| source.text.lines().count() > MOST_LINES && !TABLES.contains(&source.path.as_str()))
        .map(|source| format!("{}: {} lines", source.path, source.text.lines().count()))
        .collect();
    none(&offences, "a file has at most 800 lines, unless it is a table and listed as one");
}

#[test]
fn nothing_is_left_for_later() {
    // Put together, so that this file does not find itself.
    let words = ["TO_DO", "FIX_ME", "dbg_!(", "todo_!(", "unimplemented_!("].map(|word| word.replacen('_', "", 1));
    let mut offences = Vec::new();
    for source in rust_sources() {
        for (number, line) in source.text.lines().enumerate() {
            for word in words.iter().filter(|word| line.contains(word.as_str())) {
                offences.push(format!("{}:{}: {word}", source.path, number + 1));
            }
        }
    }
    none(&offences, "finish it, or open an issue");
}

#[test]
fn nothing_names_a_developers_machine() {
    let places = ["/ro_ot/", "/ho_me/", "/Us_ers/", "/wo_rk/"].map(|place| place.replacen('_', "", 1));
    let mut offences = Vec::new();
    for source in sources() {
        for (number, line) in source.text.lines().enumerate() {
            for place in places.iter().filter(|place| line.contains(place.as_str())) {
                offences.push(format!("{}:{}: {place}", source.path, number + 1));
            }
        }
    }
    none(&offences, "no path of one machine belongs in the project");
}

#[test]
fn forbidden_packages_stay_out() {
    let lock = table(&shell::root().join("Cargo.lock"));
    let offences: Vec<String> = lock["package"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|package| package["name"].as_str())
        .filter(|name| FORBIDDEN_PACKAGES.contains(name))
        .map(str::to_owned)
        .collect();
    none(&offences, "one TLS provider (ring), no OpenSSL");
}

#[test]
fn licences_are_there() {
    for name in ["LICENSE-APACHE", "LICENSE-MIT"] {
        assert!(shell::root().join(name).is_file(), "{name} is missing");
    }
}
