//! Compiles in `intel/catalogue/*.toml` and `intel/counts/*.toml`, each a list of file names and texts in the
//! order of the names, and the names and categories of `apps/*.toml`.
#![allow(clippy::print_stdout, reason = "this is how a build script speaks to cargo")]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let variable = |name: &str| env::var_os(name).map(PathBuf::from).ok_or_else(|| io::Error::other(name.to_owned()));
    let root = variable("CARGO_MANIFEST_DIR")?.join("../..").canonicalize()?;
    let out = variable("OUT_DIR")?;
    for name in ["catalogue", "counts"] {
        fs::write(out.join(format!("{name}.rs")), texts(&root, &format!("intel/{name}"))?)?;
    }
    fs::write(out.join("networks.rs"), networks(&root.join("apps"))?)
}

/// The files of a folder, as `(name, text)`.
fn texts(root: &Path, folder: &str) -> io::Result<String> {
    let mut table = String::from("&[\n");
    for path in files(&root.join(folder))? {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        writeln!(table, "    ({:?}, include_str!({:?})),", format!("{folder}/{name}"), path.to_string_lossy())
            .map_err(io::Error::other)?;
    }
    table.push_str("]\n");
    Ok(table)
}

/// The applications, as `(id, name, category)` in the order of their ids.
fn networks(folder: &Path) -> io::Result<String> {
    let mut entries = Vec::new();
    for path in files(folder)? {
        let text = fs::read_to_string(&path)?;
        let wrong = |why: &dyn std::fmt::Display| io::Error::other(format!("{}: {why}", path.display()));
        let entry: toml::Table = text.parse().map_err(|error| wrong(&error))?;
        let value = |key: &str| {
            let text = entry.get(key).and_then(|value| value.as_str());
            text.map(str::to_owned).ok_or_else(|| wrong(&format!("no `{key}`")))
        };
        entries.push((value("id")?, value("name")?, value("category")?));
    }
    entries.sort();
    Ok(format!("&{entries:?}\n"))
}

fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    println!("cargo::rerun-if-changed={}", folder.display());
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            println!("cargo::rerun-if-changed={}", path.display());
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
