//! What a file's name tries: tricks on the eye, on the shell and on the file
//! system, and the extension that the receiving system will act on.

use std::fmt::Write as _;

use unicode_normalization::UnicodeNormalization;

use super::Oddity;
use super::kind::{self, Group};

/// A name, read the way a careful person would.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameFacts {
    /// The name with everything that does not print escaped, and cut to [`SHOWN`] characters.
    pub shown: String,
    /// Extension the receiving system acts on: after invisible characters,
    /// trailing dots and spaces and stream names are taken off, wide forms
    /// folded; lower case, without the dot.
    pub extension: Option<String>,
    /// What is odd about it.
    pub oddities: Vec<Oddity>,
}

/// Longest name that is shown, in characters.
pub const SHOWN: usize = 120;

/// Longest name most file systems take, in bytes.
const LONGEST: usize = 255;

/// Spaces in a row that push the real extension out of sight.
const RUN: usize = 8;

/// Names that Windows takes for devices, whatever the extension.
const DEVICES: &[&str] = &["con", "prn", "aux", "nul", "conin$", "conout$", "clock$"];

/// File names that a system acts on by themselves.
const ACTED_ON: &[&str] =
    &["desktop.ini", "autorun.inf", ".htaccess", "web.config", ".ds_store", ".bashrc", ".profile"];

/// Reads a name. Linear in its length.
pub fn inspect(name: &str) -> NameFacts {
    let mut oddities = Vec::new();
    let shown = shown(name);
    let mut odd = |symbol: &'static str, what: &str| {
        if !oddities.iter().any(|o: &Oddity| o.symbol == symbol && o.what == what) {
            oddities.push(Oddity { symbol, member: String::new(), what: what.to_owned() });
        }
    };

    characters(name, &mut odd);
    if name.len() > LONGEST {
        odd("file.name_odd", "the name is longer than file systems allow");
    }
    if traverses(name) {
        odd("file.traversal", "the name leads out of the folder it is saved to");
    } else if name.contains(['/', '\\']) {
        odd("file.name_trick", "the name contains a path separator");
    }

    let plain = plain(name);
    let base = plain.rsplit(['/', '\\']).next().unwrap_or_default();
    // NUL ends a name for C programs, and `%00` for those that decode once more.
    let before_nul = base.split('\0').next().unwrap_or_default();
    let base = match before_nul.find("%00") {
        Some(at) => {
            odd("file.name_trick", "the name hides an end mark that cuts off its extension");
            &before_nul[..at]
        }
        None => before_nul,
    };
    let file = match base.find(':') {
        Some(at) if at > 0 => {
            odd("file.name_trick", "the name addresses a hidden stream or drive (colon)");
            &base[..at]
        }
        _ => base,
    };
    let stripped = file.trim_end_matches(|c: char| c == '.' || c.is_whitespace());
    if stripped.len() < file.len() && !stripped.is_empty() {
        odd("file.name_trick", "the name ends in dots or spaces that Windows drops");
    }
    let lower = stripped.trim_start().to_lowercase();
    if is_device(&lower) {
        odd("file.name_trick", "the name is that of a device");
    }
    if ACTED_ON.contains(&lower.as_str()) {
        odd("file.shortcut", "a file of this name changes what a folder, desktop or server does");
    }
    if runs(name) {
        odd("file.name_trick", "a run of spaces pushes the extension out of sight");
    }

    let extension = extension(&lower);
    if let (Some((decoy, last)), true) = (double(&lower), extension.is_some()) {
        let what = format!("looks like .{decoy} but is .{last}");
        odd("file.double_extension", &what);
    }
    if name.is_empty() || lower.is_empty() {
        odd("file.name_odd", "the name is empty once dots and spaces are dropped");
    }
    if lower.contains(['|', '<', '>', '`', '"', '*', '?']) || lower.contains("$(") || lower.contains("${") {
        odd("file.name_odd", "the name has characters that a shell or a page would act on");
    }
    if lower.starts_with(['-', '=', '+', '@']) {
        odd("file.name_odd", "the name starts like a command option or a formula");
    }
    NameFacts { shown, extension, oddities }
}

/// Whether a path climbs out of, or stands outside of, the folder it is unpacked to.
pub(super) fn traverses(path: &str) -> bool {
    let drive = path.as_bytes().get(1) == Some(&b':') && path.as_bytes()[0].is_ascii_alphabetic();
    drive
        || path.starts_with(['/', '\\', '~'])
        || path.split(['/', '\\']).any(|part| {
            let part = part.trim_matches(' ');
            part == ".." || (part.len() > 2 && part.bytes().all(|b| b == b'.'))
        })
}

/// A name fit to be shown: controls, marks that turn or hide text and spaces
/// other than the plain one become `\u{…}`; long ones are cut in the middle so
/// that both the start and the extension stay.
pub fn shown(name: &str) -> String {
    let mut out = String::with_capacity(name.len().min(4 * SHOWN));
    let long = name.char_indices().nth(SHOWN).is_some();
    if !long {
        name.chars().for_each(|c| escape(&mut out, c));
        return out;
    }
    name.chars().take(SHOWN * 2 / 3).for_each(|c| escape(&mut out, c));
    out.push('…');
    let tail = name.char_indices().rev().take(SHOWN / 3).last().map_or(0, |(at, _)| at);
    name[tail..].chars().for_each(|c| escape(&mut out, c));
    out
}

/// A member's name as bytes: UTF-8 if it is, else with other bytes as `\xNN`.
pub(super) fn from_bytes(raw: &[u8]) -> String {
    let mut out = String::with_capacity(raw.len());
    for chunk in raw.utf8_chunks() {
        out.push_str(chunk.valid());
        for byte in chunk.invalid() {
            let _ = write!(out, "\\x{byte:02x}");
        }
    }
    out
}

fn escape(out: &mut String, c: char) {
    if c == '\\' {
        out.push_str("\\\\");
    } else if c.is_control() || is_bidi(c) || is_hidden(c) || (c.is_whitespace() && c != ' ') || is_private(c) {
        let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
    } else {
        out.push(c);
    }
}

fn characters(name: &str, odd: &mut impl FnMut(&'static str, &str)) {
    let mut before = None;
    let mut chars = name.chars().peekable();
    while let Some(c) = chars.next() {
        if c.is_control() {
            odd("file.name_trick", "the name contains control characters");
        } else if matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') {
            odd("file.name_trick", "the name contains marks that turn text around, so that it reads differently");
        } else if matches!(c, '\u{2028}' | '\u{2029}') {
            odd("file.name_trick", "the name contains a line break");
        } else if c != ' ' && c.is_whitespace() {
            odd("file.name_odd", "the name contains spaces other than the plain one");
        } else if is_hidden(c) {
            // Joiners belong in emoji and in Persian; between Latin letters they only hide.
            let latin = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric() || c == '.');
            if !matches!(c, '\u{200c}' | '\u{200d}' | '\u{fe00}'..='\u{fe0f}')
                || (latin(before) && latin(chars.peek().copied()))
            {
                odd("file.name_trick", "the name contains characters that do not show");
            }
        } else if matches!(c, '\u{ff01}'..='\u{ff5e}' | '\u{2024}' | '\u{3002}' | '\u{fe52}') {
            odd("file.name_odd", "the name contains wide look-alikes of plain letters");
        } else if matches!(c, '\u{2215}' | '\u{2044}' | '\u{29f8}' | '\u{ff0f}' | '\u{ff3c}') {
            odd("file.name_odd", "the name contains look-alikes of a path separator");
        }
        before = Some(c);
    }
}

/// The name with invisible characters left out and compatibility forms folded,
/// which is what the eye and the more helpful file systems make of it.
fn plain(name: &str) -> String {
    name.chars().filter(|c| !is_hidden(*c) && !is_bidi(*c)).nfkc().collect()
}

fn is_bidi(c: char) -> bool {
    matches!(c, '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn is_hidden(c: char) -> bool {
    matches!(
        c,
        '\u{00ad}' | '\u{034f}' | '\u{115f}' | '\u{1160}' | '\u{180b}'..='\u{180e}' | '\u{200b}'..='\u{200d}'
            | '\u{2060}'..='\u{2064}' | '\u{206a}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
            | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}'
    )
}

fn is_private(c: char) -> bool {
    matches!(c, '\u{e000}'..='\u{f8ff}' | '\u{f0000}'..='\u{10ffff}')
}

fn is_device(lower: &str) -> bool {
    let stem = lower.split('.').next().unwrap_or_default().trim_end();
    if DEVICES.contains(&stem) {
        return true;
    }
    // NFKC has already turned superscript digits (COM¹) into plain ones.
    let digit = stem.strip_prefix("com").or_else(|| stem.strip_prefix("lpt"));
    matches!(digit.map(str::as_bytes), Some([b'0'..=b'9']))
}

/// White space that has no business in front of an extension, or too much of it anywhere.
fn runs(name: &str) -> bool {
    let mut run = 0;
    for c in name.chars() {
        match c {
            c if c.is_whitespace() => run += 1,
            '.' if run >= 3 => return true,
            _ => run = 0,
        }
        if run >= RUN {
            return true;
        }
    }
    false
}

fn extension(lower: &str) -> Option<String> {
    let (_, extension) = lower.rsplit_once('.')?;
    let extension = extension.trim();
    (!extension.is_empty() && extension.len() <= 32).then(|| extension.to_owned())
}

/// A harmless-looking extension before one that is acted on: `.pdf .exe`.
fn double(lower: &str) -> Option<(&str, &str)> {
    let (stem, last) = lower.rsplit_once('.')?;
    let acted_on = matches!(
        kind::by_extension(last.trim())?.group,
        Group::Program | Group::Script | Group::Shortcut | Group::Container
    ) || matches!(last.trim(), "html" | "htm" | "svg");
    let decoy = stem.rsplit('.').next().filter(|d| d.len() < stem.len())?.trim();
    // `report.pdf .scr` and `report.pdf_____.scr`: what follows the decoy is there to hide.
    let decoy = decoy.trim_end_matches(|c: char| c.is_whitespace() || c == '_' || c == '-');
    let harmless = matches!(
        kind::by_extension(decoy)?.group,
        Group::Document | Group::Image | Group::Audio | Group::Video | Group::Text | Group::Archive
    );
    // `app.min.js`, `lib.so.gz` and `query.sql.py` are how programmers name things.
    let programmer = matches!(decoy, "c" | "h" | "rs" | "go" | "ts" | "conf" | "cfg" | "json" | "sql" | "tar" | "gz")
        || matches!(last.trim(), "js" | "py" | "rb" | "pl" | "php") && matches!(decoy, "css" | "toml" | "yaml" | "yml");
    (acted_on && harmless && !programmer).then_some((decoy, last.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn symbols(name: &str) -> Vec<&'static str> {
        let mut symbols: Vec<_> = inspect(name).oddities.iter().map(|o| o.symbol).collect();
        symbols.sort_unstable();
        symbols.dedup();
        symbols
    }

    #[test]
    fn tricks_are_seen_and_the_acted_on_extension_found() {
        let cases: &[(&str, &str, &[&str])] = &[
            ("photo\u{202e}gpj.exe", "exe", &["file.name_trick"]),
            ("invoice.pdf               .exe", "exe", &["file.double_extension", "file.name_trick"]),
            ("report.pdf\u{a0}.scr", "scr", &["file.double_extension", "file.name_odd"]),
            ("a.jpg.lnk", "lnk", &["file.double_extension"]),
            ("file.txt\u{2028}.exe", "exe", &["file.double_extension", "file.name_trick"]),
            ("CON.txt", "txt", &["file.name_trick"]),
            ("com\u{b9}.log", "log", &["file.name_trick"]),
            ("a/b", "", &["file.name_trick"]),
            ("a\\b", "", &["file.name_trick"]),
            ("..", "", &["file.name_odd", "file.traversal"]),
            ("../../etc/cron.d/x", "", &["file.traversal"]),
            ("C:\\evil.exe", "exe", &["file.traversal"]),
            ("evil.exe%00.png", "exe", &["file.name_trick"]),
            ("evil.exe\0.png", "exe", &["file.name_trick"]),
            ("evil.txt::$DATA", "txt", &["file.name_trick"]),
            ("evil.exe.", "exe", &["file.name_trick"]),
            ("evil.exe ", "exe", &["file.name_trick"]),
            ("evil.exe\u{a0}", "exe", &["file.name_odd", "file.name_trick"]),
            ("evil.e\u{200b}xe", "exe", &["file.name_trick"]),
            ("ｅｖｉｌ．ｅｘｅ", "exe", &["file.name_odd"]),
            ("desktop.ini", "ini", &["file.shortcut"]),
            ("-rf", "", &["file.name_odd"]),
            ("$(id).txt", "txt", &["file.name_odd"]),
            ("`id`", "", &["file.name_odd"]),
        ];
        for (name, extension, expected) in cases {
            assert_eq!(symbols(name), *expected, "{name:?}");
            assert_eq!(inspect(name).extension.unwrap_or_default(), *extension, "{name:?}");
        }
    }

    #[test]
    fn ordinary_names_are_left_alone() {
        for name in [
            "report.pdf",
            "résumé\u{301}.docx",
            "تقرير نهائي.pdf",
            "דוח\u{200f}.xlsx",
            "R&D budget; final (2).xlsx",
            "family 👨\u{200d}👩\u{200d}👧.jpg",
            "backup.tar.gz",
            "jquery.min.js",
            "my  holiday.jpeg",
            "v1.2.3-notes.txt",
            "schema.sql.py",
            "報告書.pdf",
        ] {
            assert_eq!(symbols(name), Vec::<&str>::new(), "{name:?}");
        }
    }

    #[test]
    fn what_is_shown_has_no_tricks_left() {
        assert_eq!(shown("photo\u{202e}gpj.exe"), "photo\\u{202e}gpj.exe");
        assert_eq!(shown("a\nb\u{a0}c\\d"), "a\\u{a}b\\u{a0}c\\\\d");
        let long = format!("{}.exe", "é".repeat(4000));
        assert!(shown(&long).chars().count() <= SHOWN + 1);
        assert!(shown(&long).ends_with(".exe"));
        assert_eq!(from_bytes(b"caf\xe9.exe"), "caf\\xe9.exe");
    }
}
