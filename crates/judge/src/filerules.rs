//! YARA rules in force for files, and what a match of each means.

use std::io::{Read, Seek, SeekFrom};
use std::sync::Arc;

use indicators::Strength;
use inspect::{FileFacts, RuleHit, files};

/// Rules for files.
#[derive(Debug)]
pub struct FileRules {
    scanner: yara::Scanner,
    said: Vec<(Arc<str>, Strength)>,
}

/// Matches kept of one file.
const HITS: usize = 64;

impl FileRules {
    /// Compiles rules: the list each is on, what a match is good for, its text. Gives the numbers of those that are
    /// not in force, and why.
    pub fn new<'a>(
        rules: impl IntoIterator<Item = (Arc<str>, Strength, &'a str)>,
    ) -> (FileRules, Vec<(usize, String)>) {
        let (said, texts): (Vec<_>, Vec<_>) =
            rules.into_iter().map(|(list, strength, text)| ((list, strength), text)).unzip();
        let (scanner, wrong) = yara::Scanner::compile(texts);
        (FileRules { scanner, said }, wrong)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.scanner.is_empty()
    }

    /// Examines a file, and matches the rules on it and on every member that the walk reads.
    pub(crate) fn examine(
        &self,
        reader: &mut (impl Read + Seek),
        name: Option<&str>,
        claimed: Option<&str>,
        limits: &files::Limits,
    ) -> (FileFacts, Vec<RuleHit>, Vec<String>) {
        let (mut hits, mut faults) = (Vec::new(), Vec::new());
        let mut head = Vec::new();
        let whole = reader
            .seek(SeekFrom::Start(0))
            .and_then(|_| reader.by_ref().take(yara::SCANNED as u64).read_to_end(&mut head));
        match whole {
            Ok(_) => self.match_on("", &head, &mut hits, &mut faults),
            Err(e) => faults.push(format!("YARA rules: the file can't be read: {e}")),
        }
        drop(head);
        let facts = files::examine_with(reader, name, claimed, limits, &mut |member, bytes| {
            self.match_on(member, bytes, &mut hits, &mut faults);
        });
        (facts, hits, faults)
    }

    fn match_on(&self, member: &str, bytes: &[u8], hits: &mut Vec<RuleHit>, faults: &mut Vec<String>) {
        // A file that has cost too much once is not asked about again.
        if hits.len() >= HITS || !faults.is_empty() {
            return;
        }
        match self.scanner.scan(bytes) {
            Ok(matches) => hits.extend(matches.into_iter().take(HITS).filter_map(|found| {
                let (list, strength) = self.said.get(found.rule)?;
                Some(RuleHit { rule: found.name, list: list.clone(), member: member.to_owned(), strength: *strength })
            })),
            Err(fault) => faults.push(fault.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    /// A ZIP archive with one stored member.
    fn archive(name: &str, content: &[u8]) -> Vec<u8> {
        let crc = {
            let mut crc = u32::MAX;
            for byte in content {
                crc ^= u32::from(*byte);
                for _ in 0..8 {
                    crc = if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
                }
            }
            !crc
        };
        let (length, named) = (content.len() as u32, name.len() as u16);
        let mut common = vec![20, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        common.extend(crc.to_le_bytes());
        common.extend(length.to_le_bytes());
        common.extend(length.to_le_bytes());
        common.extend(named.to_le_bytes());
        common.extend([0, 0]);
        let mut out = b"PK\x03\x04".to_vec();
        out.extend(&common);
        out.extend(name.bytes());
        out.extend(content);
        let directory = out.len() as u32;
        out.extend(b"PK\x01\x02\x14\0");
        out.extend(&common);
        out.extend([0; 14]);
        out.extend(name.bytes());
        let size = out.len() as u32 - directory;
        out.extend(b"PK\x05\x06\0\0\0\0\x01\0\x01\0");
        out.extend(size.to_le_bytes());
        out.extend(directory.to_le_bytes());
        out.extend([0, 0]);
        out
    }

    #[test]
    fn rules_match_on_a_file_and_on_files_in_it() {
        let text = r#"rule worm { strings: $a = "spread me to all" condition: $a and filesize < 100 }"#;
        let (rules, wrong) = FileRules::new([("ours".into(), Strength::Block, text)]);
        assert_eq!(wrong, []);
        let found = |bytes: Vec<u8>| {
            let limits = files::Limits::default();
            let (facts, hits, faults) = rules.examine(&mut Cursor::new(bytes), None, None, &limits);
            assert_eq!(faults, Vec::<String>::new());
            (facts.kind, hits.into_iter().map(|hit| (hit.rule, hit.member)).collect::<Vec<_>>())
        };
        let worm = b"please spread me to all of them";
        assert_eq!(found(worm.to_vec()).1, [("worm".to_owned(), String::new())]);
        assert_eq!(found(archive("a.bin", worm)), ("zip", vec![("worm".to_owned(), "a.bin".to_owned())]));
        assert_eq!(found(b"nothing of the kind".to_vec()).1, []);
    }
}
