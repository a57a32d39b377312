//! What users care about: bad files are named, good ones are left alone, and
//! neither takes long. Archives are put together here, byte by byte where a
//! well-behaved writer would refuse.

use std::io::{Cursor, Write as _};

use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder};
use proptest::prelude::*;

use super::eicar::eicar;
use super::*;

fn look(name: &str, bytes: &[u8]) -> FileFacts {
    examine(&mut Cursor::new(bytes), Some(name), None, &Limits::default())
}

fn symbols(facts: &FileFacts) -> Vec<&'static str> {
    let mut symbols: Vec<_> = facts.oddities.iter().map(|o| o.symbol).collect();
    symbols.sort_unstable();
    symbols.dedup();
    symbols
}

/// One member for [`pack`].
#[derive(Clone)]
struct Item {
    central: String,
    local: String,
    bytes: Vec<u8>,
    method: u16,
    flags: u16,
    mode: u32,
    size: Option<u32>,
    listed: bool,
}

fn item(name: &str, bytes: &[u8]) -> Item {
    Item {
        central: name.to_owned(),
        local: name.to_owned(),
        bytes: bytes.to_vec(),
        method: 8,
        flags: 0,
        mode: 0,
        size: None,
        listed: true,
    }
}

fn deflate(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn crc(bytes: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum()
}

fn pack(items: &[Item]) -> Vec<u8> {
    let (mut out, mut directory, mut listed) = (Vec::new(), Vec::new(), 0u16);
    for item in items {
        let at = out.len() as u32;
        let packed = if item.method == 8 { deflate(&item.bytes) } else { item.bytes.clone() };
        let size = item.size.unwrap_or(item.bytes.len() as u32);
        let mut shared = Vec::new();
        for value in [20, item.flags, item.method, 0, 0x21] {
            shared.extend_from_slice(&value.to_le_bytes());
        }
        for value in [crc(&item.bytes), packed.len() as u32, size] {
            shared.extend_from_slice(&value.to_le_bytes());
        }
        out.extend_from_slice(b"PK\x03\x04");
        out.extend_from_slice(&shared);
        out.extend_from_slice(&(item.local.len() as u16).to_le_bytes());
        out.extend_from_slice(&[0, 0]);
        out.extend_from_slice(item.local.as_bytes());
        out.extend_from_slice(&packed);
        if item.listed {
            listed += 1;
            directory.extend_from_slice(b"PK\x01\x02\x14\x03");
            directory.extend_from_slice(&shared);
            directory.extend_from_slice(&(item.central.len() as u16).to_le_bytes());
            directory.extend_from_slice(&[0; 8]);
            directory.extend_from_slice(&(item.mode << 16).to_le_bytes());
            directory.extend_from_slice(&at.to_le_bytes());
            directory.extend_from_slice(item.central.as_bytes());
        }
    }
    let directory_at = out.len() as u32;
    out.extend_from_slice(&directory);
    out.extend_from_slice(b"PK\x05\x06\0\0\0\0");
    out.extend_from_slice(&listed.to_le_bytes());
    out.extend_from_slice(&listed.to_le_bytes());
    out.extend_from_slice(&(directory.len() as u32).to_le_bytes());
    out.extend_from_slice(&directory_at.to_le_bytes());
    out.extend_from_slice(&[0, 0]);
    out
}

fn tar_member(kind: u8, name: &str, link: &str, bytes: &[u8], size: u64) -> Vec<u8> {
    let mut block = vec![0u8; 512];
    block[..name.len()].copy_from_slice(name.as_bytes());
    block[124..135].copy_from_slice(format!("{size:011o}").as_bytes());
    block[156] = kind;
    block[157..157 + link.len()].copy_from_slice(link.as_bytes());
    block[257..263].copy_from_slice(b"ustar\0");
    block[148..156].fill(b' ');
    let sum: u32 = block.iter().map(|b| u32::from(*b)).sum();
    block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    block.extend_from_slice(bytes);
    block.resize(block.len().div_ceil(512) * 512, 0);
    block
}

fn tar_file(name: &str, bytes: &[u8]) -> Vec<u8> {
    tar_member(b'0', name, "", bytes, bytes.len() as u64)
}

fn tar_end(mut tar: Vec<u8>) -> Vec<u8> {
    tar.resize(tar.len() + 1024, 0);
    tar
}

#[test]
fn ordinary_files_are_left_alone() {
    let docx =
        pack(&[item("[Content_Types].xml", b"<?xml version='1.0'?><Types/>"), item("word/document.xml", b"<w/>")]);
    let photos =
        pack(&[item("beach.jpg", b"\xff\xd8\xff\xe0\0\x10JFIF"), item("notes/", b""), item("notes/a.txt", b"hi")]);
    let tgz =
        gz(&tar_end([tar_file("src/main.c", b"int main;"), tar_member(b'2', "src/a", "main.c", b"", 0)].concat()));
    for (name, bytes, kind) in [
        ("report.docx", docx, "docx"),
        ("photos.zip", photos, "zip"),
        ("source.tgz", tgz, "gzip"),
        ("notes.txt", b"Meet at ten. The X5O! test is tomorrow.".to_vec(), "text"),
        ("cat.jpg", b"\x89PNG\r\n\x1a\n....".to_vec(), "png"),
        ("export.xls", b"<html><table></table></html>".to_vec(), "html"),
        ("empty.log", Vec::new(), "empty"),
        ("logo.svg", b"<svg xmlns='http://www.w3.org/2000/svg'><path d='M0 0'/></svg>".to_vec(), "svg"),
    ] {
        let facts = look(name, &bytes);
        assert_eq!((facts.kind, symbols(&facts)), (kind, vec![]), "{name}: {:?}", facts.oddities);
    }
}

#[test]
fn the_test_file_is_found_wherever_it_is_packed() {
    let once = pack(&[item("eicar.com", &eicar())]);
    let twice = pack(&[item("inner.zip", &once)]);
    let stored = pack(&[Item { method: 0, ..item("a", &eicar()) }]);
    let tgz = gz(&tar_end(tar_file("eicar.com", &eicar())));
    let unlisted = pack(&[item("a.txt", b"hi"), Item { listed: false, ..item("b", &eicar()) }]);
    let behind = [b"\xff\xd8\xff\xe0\0\x10JFIF".as_slice(), &once].concat();
    let cut = once[..once.len() - 30].to_vec();
    let joined = [gz(&eicar()[..30]), gz(&eicar()[30..])].concat();
    for (name, bytes) in [
        ("eicar.com", eicar()),
        ("a.zip", once),
        ("b.zip", twice),
        ("c.zip", stored),
        ("d.tgz", tgz),
        ("e.zip", unlisted),
        ("f.jpg", behind),
        ("g.zip", cut),
        ("h.gz", joined),
    ] {
        assert!(symbols(&look(name, &bytes)).contains(&"file.eicar"), "{name}");
    }
}

#[test]
fn what_an_archive_tries_is_named() {
    let bad_zip = |change: fn(&mut Item)| {
        let mut bad = item("a.txt", b"some text");
        change(&mut bad);
        pack(&[item("first.txt", b"first"), bad])
    };
    let cases: &[(&str, Vec<u8>, &str)] = &[
        ("climbs", bad_zip(|i| i.central = "../../evil".into()), "file.traversal"),
        ("absolute", bad_zip(|i| i.central = "/etc/cron.d/x".into()), "file.traversal"),
        ("drive", bad_zip(|i| i.central = "C:\\evil".into()), "file.traversal"),
        ("backslashes", bad_zip(|i| i.central = "..\\..\\evil".into()), "file.traversal"),
        ("device", bad_zip(|i| i.central = "con".into()), "file.name_trick"),
        ("stream", bad_zip(|i| i.central = "evil.txt::$DATA".into()), "file.name_trick"),
        ("link", bad_zip(|i| (i.mode, i.bytes) = (0o120_777, b"/etc".to_vec())), "file.traversal"),
        ("encrypted", bad_zip(|i| i.flags = 1), "file.encrypted"),
        ("two names", bad_zip(|i| i.local = "evil.exe".into()), "file.ambiguous"),
        ("the other name counts", bad_zip(|i| i.local = "evil.exe".into()), "file.executable"),
        (
            "same name twice",
            bad_zip(|i| (i.central, i.local) = ("first.txt".into(), "first.txt".into())),
            "file.ambiguous",
        ),
        ("wrong size", bad_zip(|i| i.size = Some(3)), "file.ambiguous"),
        ("unlisted member", bad_zip(|i| i.listed = false), "file.ambiguous"),
        ("other method", bad_zip(|i| i.method = 12), "file.unscanned"),
        ("program", bad_zip(|i| i.bytes = b"\x7fELF\x02\x01\x01".to_vec()), "file.executable"),
        ("program by name", bad_zip(|i| i.central = "a.exe".into()), "file.executable"),
        ("script", bad_zip(|i| i.central = "a.vbs".into()), "file.script"),
        ("packed elsewhere", bad_zip(|i| i.bytes = b"7z\xbc\xaf\x27\x1c\0\x04".to_vec()), "file.unscanned"),
        (
            "tar link, then through it",
            tar_end([tar_member(b'2', "link", "sub", b"", 0), tar_file("link/evil", b"x")].concat()),
            "file.traversal",
        ),
        ("tar link out", tar_end(tar_member(b'2', "link", "/etc", b"", 0)), "file.traversal"),
        ("tar climbs", tar_end(tar_file("a/../../b", b"x")), "file.traversal"),
        ("tar device", tar_end(tar_member(b'3', "sda", "", b"", 0)), "file.traversal"),
        ("tar claims too much", tar_end(tar_member(b'0', "a", "", b"x", 0o7_777_777_777)), "file.unscanned"),
        (
            "pax renames",
            tar_end([tar_member(b'x', "p", "", b"19 path=../../evil\n", 19), tar_file("a", b"x")].concat()),
            "file.traversal",
        ),
        (
            "pax sparse",
            tar_end(
                [tar_member(b'x', "p", "", b"32 GNU.sparse.realsize=99999999\n", 32), tar_file("a", b"x")].concat(),
            ),
            "file.bomb",
        ),
    ];
    for (what, bytes, symbol) in cases {
        let facts = look("archive", bytes);
        assert!(symbols(&facts).contains(symbol), "{what}: {:?}", facts.oddities);
    }
}

#[test]
fn one_file_of_two_kinds_is_named() {
    let zip = pack(&[item("payload.exe", b"MZ")]);
    let jar = pack(&[item("META-INF/MANIFEST.MF", b"a: b"), item("A.class", b"\xca\xfe\xba\xbe\0\0\0\x34")]);
    let cases: &[(Vec<u8>, &str, &str)] = &[
        ([b"%PDF-1.4\n1 0 obj\n%%EOF\n".as_slice(), &zip].concat(), "pdf", "zip"),
        ([b"\xff\xd8\xff\xe0\0\x10JFIF".as_slice(), &jar].concat(), "jpeg", "jar"),
        (b"GIF89a/*\0\0\0\0*/=1;alert(1)//".to_vec(), "gif", "javascript"),
        (b"GIF89a\x01\0\x01\0 <script>alert(1)</script>".to_vec(), "gif", "html"),
        ([b"\x89PNG\r\n\x1a\n".as_slice(), b"....%PDF-1.7 ..\0"].concat(), "png", "pdf"),
    ];
    for (bytes, kind, also) in cases {
        let facts = look("file", bytes);
        assert_eq!((facts.kind, facts.also.as_slice()), (*kind, [*also].as_slice()));
        assert!(symbols(&facts).contains(&"file.polyglot"));
    }
    let stub = [b"MZ\x90\0\x03\0\0\0".as_slice(), &[0; 64], &zip].concat();
    assert!(!symbols(&look("setup.exe", &stub)).contains(&"file.polyglot"), "a self-extracting archive is a program");
    let nested = tar_end(tar_file("a.pdf", b"%PDF-1.4"));
    assert!(look("a.tar", &nested).also.is_empty(), "an archive of a PDF is not a PDF");
}

#[test]
fn bombs_are_stopped_early_and_named() {
    let zeros = vec![0u8; 60 << 20];
    let flat = pack(&[item("0", &zeros)]);
    let mut nested = pack(&[item("0", &zeros[..8 << 20])]);
    for _ in 0..3 {
        let same: Vec<Item> = (0..10).map(|n| item(&format!("{n}.zip"), &nested)).collect();
        nested = pack(&same);
    }
    let mut deep = pack(&[item("a.txt", b"hi")]);
    for _ in 0..8 {
        deep = pack(&[item("a.zip", &deep)]);
    }
    let laughs = b"<?xml version='1.0'?><!DOCTYPE l [<!ENTITY a 'ha'><!ENTITY b '&a;&a;&a;'>]><l>&b;</l>";
    let office = pack(&[item("[Content_Types].xml", b"<Types/>"), item("word/document.xml", laughs)]);
    // Every entry of the directory points to the same data.
    let mut overlap = pack(&[item("a", b"some data")]);
    let directory = overlap.windows(4).position(|w| w == b"PK\x01\x02").unwrap();
    let end = overlap.len() - 22;
    let entry = overlap[directory..end].to_vec();
    let mut tail = overlap.split_off(end);
    (0..999).for_each(|_| overlap.extend_from_slice(&entry));
    tail[8..10].copy_from_slice(&1000u16.to_le_bytes());
    tail[10..12].copy_from_slice(&1000u16.to_le_bytes());
    tail[12..16].copy_from_slice(&(entry.len() as u32 * 1000).to_le_bytes());
    overlap.extend_from_slice(&tail);

    for (name, bytes) in [
        ("flat.zip", flat),
        ("stream.gz", gz(&zeros)),
        ("nested.zip", nested),
        ("deep.zip", deep),
        ("laughs.docx", office),
        ("overlap.zip", overlap),
    ] {
        let facts = look(name, &bytes);
        assert!(symbols(&facts).contains(&"file.bomb"), "{name}: {:?}", facts.oddities);
        let unpacked: u64 = facts.members.iter().map(|m| m.size).sum();
        assert!(unpacked <= 8 << 20, "{name} unpacked {unpacked} bytes before it was stopped");
    }
}

#[test]
fn much_is_not_a_bomb_but_is_said() {
    let many: Vec<Item> = (0..50).map(|n| item(&format!("{n}.txt"), b"text")).collect();
    let limits = Limits { entries: 20, ..Limits::default() };
    let facts = examine(&mut Cursor::new(pack(&many)), None, None, &limits);
    assert_eq!((symbols(&facts), facts.members.len()), (vec!["file.unscanned"], 20));

    let noise: Vec<u8> = (0..200_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let limits = Limits { total: 100_000, ..Limits::default() };
    let facts = examine(&mut Cursor::new(pack(&[item("a.bin", &noise)])), None, None, &limits);
    assert_eq!(symbols(&facts), ["file.unscanned"]);
    assert_eq!(facts.members[0].sha256, [0; 32], "part of a file has no hash");

    let blank = vec![0u8; 3 << 20];
    assert!(
        symbols(&look("blank.zip", &pack(&[item("blank.raw", &blank)]))).is_empty(),
        "a small blank file is harmless"
    );
}

#[test]
fn kind_is_held_against_name_and_claim() {
    let check = |name: &str, claimed: Option<&str>, bytes: &[u8]| {
        symbols(&examine(&mut Cursor::new(bytes), Some(name), claimed, &Limits::default()))
    };
    assert_eq!(check("a.jpg", None, b"MZ\x90\0"), ["file.executable", "file.mismatch"]);
    assert_eq!(check("a.bin", Some("image/png; q=1"), b"MZ\x90\0"), ["file.executable", "file.mismatch"]);
    assert_eq!(check("a.pdf", None, b"\x01\x02garbage"), ["file.mismatch"]);
    assert_eq!(check("a.txt", Some("text/plain"), b"#!/bin/sh\necho in a note"), Vec::<&str>::new());
    assert_eq!(check("a.sh", None, b"#!/bin/sh\n"), ["file.script"]);
    assert_eq!(check("a.svg", None, b"<svg onload=\"x()\"/>"), ["file.active_content"]);
    assert_eq!(check("a.url", None, b"[InternetShortcut]\r\nURL=x"), ["file.shortcut"]);
    assert_eq!(check("a.one", None, b"\x01?"), ["file.unscanned"]);
    assert_eq!(check("a.docx", None, &pack(&[item("A.class", b"x")])), ["file.executable", "file.mismatch"]);
}

#[test]
fn hashes_worth_remembering_are_those_of_what_acts() {
    let program = [b"\x7fELF".as_slice(), &[1; 100]].concat();
    let facts = look("a.zip", &pack(&[item("readme.txt", &[b'x'; 100]), item("a", &program)]));
    assert_eq!(facts.hashes().count(), 2);
    assert!(facts.keys().iter().all(|k| k.len() == 7 + 64 && k.starts_with("sha256:")));
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..2048), name in ".{0,40}") {
        for magic in [b"".as_slice(), b"PK\x03\x04", b"\x1f\x8b\x08", b"GIF89a", b"%PDF-", b"<svg "] {
            look(&name, &[magic, &bytes].concat());
        }
    }

    #[test]
    fn damaged_archives_are_read_or_refused(cut in 0usize..2000, at in 0usize..2000, with in any::<u8>()) {
        let zip = pack(&[item("a.txt", &[b'a'; 500]), item("b/c.exe", b"MZ"), item("d.zip", &pack(&[item("e", b"f")]))]);
        let tar = tar_end([tar_file("a", &[b'x'; 600]), tar_member(b'x', "p", "", b"19 path=../../evil\n", 19)].concat());
        for mut bytes in [zip, gz(&tar), tar] {
            let len = bytes.len();
            bytes[at % len] = with;
            bytes.truncate(len - cut % len);
            let facts = look("x", &bytes);
            prop_assert!(facts.members.len() <= 64 && facts.oddities.len() <= 300);
        }
    }
}
