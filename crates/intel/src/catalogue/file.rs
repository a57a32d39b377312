//! Reading catalogue files: every problem with its file and line.

use std::collections::HashMap;
use std::fs;
use std::io::Read;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::Spanned;

use super::check;
use crate::{Problem, Threat};

/// Largest file that is read, in bytes.
const MOST_BYTES: u64 = 8 << 20;
/// Most files of a folder.
const MOST_FILES: usize = 1_000;

/// A file's shape.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entries {
    #[serde(default)]
    threat: Vec<Spanned<Threat>>,
}

/// A threat and the line that it begins in.
pub(super) type Placed = (Threat, usize);

/// Reads the text of a file.
pub(super) fn read(file: &str, text: &str) -> Result<Vec<Placed>, Vec<Problem>> {
    let entries: Entries = toml::from_str(text).map_err(|error| vec![Problem::toml(file, text, &error)])?;
    let mut problems = Vec::new();
    let mut threats = Vec::with_capacity(entries.threat.len());
    for entry in entries.threat {
        let span: Range<usize> = entry.span();
        let threat = entry.into_inner();
        let at = Problem::at(file, text, &span, String::new());
        problems.extend(check::faults(&threat).into_iter().map(|fault| Problem {
            message: format!("threat `{}`: {}", threat.id, fault.what),
            hint: fault.hint,
            ..at.clone()
        }));
        threats.push((threat, at.line));
    }
    if problems.is_empty() { Ok(threats) } else { Err(problems) }
}

/// Reads every `*.toml` file of a folder, or one file.
pub(super) fn load(folder: &Path) -> Result<Vec<Threat>, Vec<Problem>> {
    let mut problems = Vec::new();
    let mut threats: Vec<Threat> = Vec::new();
    let mut seen: HashMap<String, String> = HashMap::new();
    for path in files(folder).map_err(|problem| vec![problem])? {
        let file = path.display().to_string();
        let read = text(&path).map_err(|problem| vec![problem]).and_then(|text| read(&file, &text));
        match read {
            Err(found) => problems.extend(found),
            Ok(found) => {
                for (threat, line) in found {
                    if let Some(first) = seen.insert(threat.id.clone(), format!("{file}:{line}")) {
                        let message = format!("threat `{}` stands at {first}, too", threat.id);
                        problems.push(Problem { line, ..Problem::whole(&file, message) }.hint("keep one of them"));
                    }
                    threats.push(threat);
                }
            }
        }
    }
    if problems.is_empty() { Ok(threats) } else { Err(problems) }
}

fn files(folder: &Path) -> Result<Vec<PathBuf>, Problem> {
    if folder.is_file() {
        return Ok(vec![folder.to_owned()]);
    }
    let wrong = |why: &dyn std::fmt::Display| Problem::whole(folder.display().to_string(), why.to_string());
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(|error| wrong(&format!("can't be read: {error}")))? {
        let path = entry.map_err(|error| wrong(&format!("can't be read: {error}")))?.path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            files.push(path);
        }
        if files.len() > MOST_FILES {
            return Err(wrong(&format!("more than {MOST_FILES} files")).hint("put more threats into one file"));
        }
    }
    files.sort();
    Ok(files)
}

fn text(path: &Path) -> Result<String, Problem> {
    let wrong = |why: String| Problem::whole(path.display().to_string(), why);
    let mut text = String::new();
    let file = fs::File::open(path).map_err(|error| wrong(format!("can't be read: {error}")))?;
    file.take(MOST_BYTES + 1).read_to_string(&mut text).map_err(|error| wrong(format!("can't be read: {error}")))?;
    if text.len() as u64 > MOST_BYTES {
        return Err(wrong(format!("more than {MOST_BYTES} bytes")).hint("split the file by year"));
    }
    Ok(text)
}
