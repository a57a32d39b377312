//! `portcullis sensor` over captures: what it writes where, and how it ends.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::tempdir;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/captures").join(name)
}

/// Runs `portcullis sensor` with these arguments.
fn sensor<A: AsRef<std::ffi::OsStr>>(arguments: impl IntoIterator<Item = A>) -> Output {
    Command::new(env!("CARGO_BIN_EXE_portcullis")).arg("sensor").args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// The events of EVE lines, each of which must be whole.
fn events(lines: &[u8]) -> Vec<Value> {
    assert!(lines.is_empty() || lines.ends_with(b"\n"), "the last line is cut off");
    text(lines).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn of_type<'a>(events: &'a [Value], kind: &str) -> Vec<&'a Value> {
    events.iter().filter(|event| event["event_type"] == kind).collect()
}

#[track_caller]
fn ended(output: &Output, code: i32) {
    assert_eq!(output.status.code(), Some(code), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn events_go_to_standard_output_and_the_table_beside_it() {
    let capture = fixture("irc-plain.pcap");
    let output = sensor(["--read".as_ref(), capture.as_os_str(), "--eve".as_ref(), "-".as_ref()]);
    ended(&output, 0);
    let events = events(&output.stdout);
    let flows = of_type(&events, "flow");
    assert!(flows.iter().any(|flow| flow["im"]["application"] == "irc" && flow["im"]["confidence"] == "payload"));
    assert!(flows.iter().all(|flow| flow["pcap_filename"] == *capture.to_string_lossy()));
    assert!(flows.iter().all(|flow| flow["sensor"] == "portcullis"));
    let stats = of_type(&events, "stats");
    assert_eq!(stats.len(), 1);
    assert_eq!(stats[0]["stats"]["flows"], flows.len());
    let table = text(&output.stderr);
    assert!(table.starts_with("application") && table.contains("IRC"), "{table}");
    assert!(table.contains(&format!("{} flows:", flows.len())), "{table}");
}

#[test]
fn without_events_the_table_is_the_output() {
    let output = sensor(["--read".as_ref(), fixture("built-p2p.pcap").as_os_str()]);
    ended(&output, 0);
    let table = text(&output.stdout);
    for name in ["application", "BitTorrent", "Gnutella", "Soulseek", "p2p", "payload"] {
        assert!(table.contains(name), "{name} is missing in\n{table}");
    }
    assert!(!table.contains('\u{1b}'), "colours where nobody looks");
    assert_eq!(text(&output.stderr), "");
    let quiet = sensor(["--quiet".as_ref(), "--read".as_ref(), fixture("built-p2p.pcap").as_os_str()]);
    ended(&quiet, 0);
    assert_eq!(text(&quiet.stdout), "");
}

#[test]
fn captures_are_read_in_order_each_with_fresh_tables() {
    let both = [fixture("xmpp-profanity-plain.pcap"), fixture("irc-plain.pcap")];
    let read = |captures: &[&PathBuf]| {
        let mut arguments = vec!["--quiet".as_ref(), "--eve".as_ref(), "-".as_ref(), "--read".as_ref()];
        arguments.extend(captures.iter().map(|capture| capture.as_os_str()));
        let output = sensor(arguments);
        ended(&output, 0);
        output.stdout
    };
    let together = read(&[&both[0], &both[1]]);
    assert_eq!(together, read(&[&both[0], &both[1]]), "the same input gave other output");
    assert_eq!(together, [read(&[&both[0]]), read(&[&both[1]])].concat());
}

#[test]
fn a_file_of_events_is_rotated_and_never_cuts_a_line() {
    let folder = tempdir().unwrap();
    let eve = folder.path().join("eve.json");
    let mut arguments: Vec<std::ffi::OsString> =
        ["--quiet", "--name", "den", "--eve-max-size", "1", "--eve-keep", "2", "--eve"].map(Into::into).into();
    arguments.push(eve.clone().into());
    arguments.push("--read".into());
    // Enough for more than two files of a megabyte.
    arguments.extend(std::iter::repeat_n(fixture("built-names.pcap").into_os_string(), 160));
    let output = sensor(arguments);
    ended(&output, 0);
    assert_eq!((text(&output.stdout), text(&output.stderr)), ("", ""));
    let mut names = BTreeSet::new();
    for entry in fs::read_dir(folder.path()).unwrap() {
        let path = entry.unwrap().path();
        let lines = fs::read(&path).unwrap();
        assert!(lines.len() <= 1 << 20, "{}: {} bytes", path.display(), lines.len());
        assert!(events(&lines).iter().all(|event| event["sensor"] == "den"));
        names.insert(path.file_name().unwrap().to_str().unwrap().to_owned());
    }
    assert!(names.contains("eve.json") && names.contains("eve.json.1"), "{names:?}");
    assert!(names.len() <= 3, "{names:?}");
}

#[test]
fn a_damaged_capture_gives_what_could_be_read_and_says_so() {
    let folder = tempdir().unwrap();
    let whole = fs::read(fixture("irc-plain.pcap")).unwrap();
    let cut = folder.path().join("cut.pcap");
    fs::write(&cut, &whole[..whole.len() - 5]).unwrap();
    let output = sensor(["--read".as_ref(), cut.as_os_str(), "--eve".as_ref(), "-".as_ref()]);
    ended(&output, 3);
    let events = events(&output.stdout);
    assert!(of_type(&events, "flow").iter().any(|flow| flow["im"]["application"] == "irc"));
    let anomalies = of_type(&events, "anomaly");
    assert_eq!(anomalies.len(), 1);
    assert_eq!(anomalies[0]["anomaly"]["event"], "capture_damaged");
    assert!(anomalies[0]["anomaly"]["detail"].as_str().unwrap().contains("cut off"));
    let said = text(&output.stderr);
    assert!(said.contains("warning: ") && said.contains("cut.pcap") && said.contains("hint: "), "{said}");
}

#[test]
fn what_is_no_capture_is_an_anomaly_too_and_the_others_are_read() {
    let folder = tempdir().unwrap();
    let odd = folder.path().join("notes.pcap");
    fs::write(&odd, "not a capture\n").unwrap();
    let good = fixture("irc-plain.pcap");
    let output = sensor(["--eve".as_ref(), "-".as_ref(), "--read".as_ref(), odd.as_os_str(), good.as_os_str()]);
    ended(&output, 3);
    let events = events(&output.stdout);
    let anomalies = of_type(&events, "anomaly");
    assert_eq!(anomalies.len(), 1);
    assert_eq!(anomalies[0]["pcap_filename"], *odd.to_string_lossy());
    assert!(of_type(&events, "flow").iter().any(|flow| flow["im"]["application"] == "irc"));
    assert!(text(&output.stderr).contains("neither pcap nor pcapng"));
}

#[test]
fn a_missing_capture_and_an_output_that_cannot_be_are_work_that_failed() {
    let folder = tempdir().unwrap();
    let missing = folder.path().join("nowhere.pcap");
    let output = sensor(["--read".as_ref(), missing.as_os_str()]);
    ended(&output, 3);
    let said = text(&output.stderr);
    assert!(said.starts_with("error: ") && said.contains("nowhere.pcap"), "{said}");
    assert!(said.contains("hint: name an existing file"), "{said}");
    let eve = folder.path().join("no/such/folder/eve.json");
    let capture = fixture("irc-plain.pcap");
    let output = sensor(["--read".as_ref(), capture.as_os_str(), "--eve".as_ref(), eve.as_os_str()]);
    ended(&output, 3);
    assert!(text(&output.stderr).contains("can't be written"));
    ended(&sensor::<&str>([]), 2);
}

/// Runs over these captures with events to a reader that goes away at once.
fn unread(captures: &[PathBuf]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
    command.args(["sensor", "--eve", "-", "--read"]).args(captures);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    drop(child.stdout.take());
    child.wait_with_output().unwrap()
}

#[test]
fn a_reader_that_goes_away_ends_the_reading() {
    let folder = tempdir().unwrap();
    let whole = fs::read(fixture("irc-plain.pcap")).unwrap();
    let cut = folder.path().join("cut.pcap");
    fs::write(&cut, &whole[..whole.len() - 5]).unwrap();
    // More events than are held back before they are written, so that the last file is never opened.
    let mut captures = vec![fixture("built-names.pcap"); 40];
    captures.push(folder.path().join("nowhere.pcap"));
    let output = unread(&captures);
    ended(&output, 0);
    assert_eq!(text(&output.stderr), "");
    captures.insert(0, cut);
    let output = unread(&captures);
    ended(&output, 3);
    let said = text(&output.stderr);
    assert!(said.starts_with("warning: ") && !said.contains("nowhere.pcap"), "{said}");
}

#[test]
fn a_folder_is_all_that_is_in_it_by_name() {
    let folder = tempdir().unwrap();
    for (from, to) in [("irc-plain.pcap", "b.pcap"), ("file-gzip.pcap.gz", "a.pcap.gz")] {
        fs::copy(fixture(from), folder.path().join(to)).unwrap();
    }
    fs::create_dir(folder.path().join("inner")).unwrap();
    fs::write(folder.path().join("INDEX.tsv"), "a.pcap.gz\tIRC\n").unwrap();
    let output =
        sensor(["--quiet".as_ref(), "--eve".as_ref(), "-".as_ref(), "--read".as_ref(), folder.path().as_os_str()]);
    ended(&output, 0);
    let said = text(&output.stderr);
    assert!(said.starts_with("note: ") && said.ends_with("no capture: INDEX.tsv\n"), "{said}");
    let events = events(&output.stdout);
    let mut files: Vec<&str> = events.iter().map(|event| event["pcap_filename"].as_str().unwrap()).collect();
    files.dedup();
    assert_eq!(
        files,
        ["a.pcap.gz", "b.pcap"].map(|name| folder.path().join(name)).each_ref().map(|p| p.to_str().unwrap())
    );
    // What is called a capture and is none is damage.
    fs::write(folder.path().join("c.pcap"), "not a capture\n").unwrap();
    ended(&sensor(["--quiet".as_ref(), "--read".as_ref(), folder.path().as_os_str()]), 3);
    let inner = folder.path().join("inner");
    fs::write(inner.join("README"), "Nothing yet.\n").unwrap();
    ended(&sensor(["--quiet".as_ref(), "--read".as_ref(), inner.as_os_str()]), 3);
}

#[test]
fn an_operators_own_entries_go_before_the_bundled_ones() {
    let folder = tempdir().unwrap();
    let entry = folder.path().join("parlour.toml");
    let hosts = "hosts = [\"chat.signal.org\"]\n";
    let about = "about = \"A messenger for clubs.\"\nwho = \"Clubs.\"\n";
    let text_of = |id: &str| format!("id = \"{id}\"\nname = \"Parlour\"\ncategory = \"im\"\n{about}{hosts}");
    fs::write(&entry, text_of("parlour")).unwrap();
    let known = |rest: &[&str]| {
        let mut arguments = vec!["apps".as_ref(), "--apps".as_ref(), folder.path().as_os_str()];
        arguments.extend(rest.iter().map(|argument| std::ffi::OsStr::new(*argument)));
        sensor(arguments)
    };
    let explained = known(&["parlour"]);
    ended(&explained, 0);
    assert!(text(&explained.stdout).contains("chat.signal.org"), "{}", text(&explained.stdout));
    ended(&known(&["signal"]), 0);
    ended(&sensor(["apps", "parlour"]), 2);

    let read = |apps: &Path| {
        let capture = fixture("built-names.pcap");
        let arguments = ["--eve".as_ref(), "-".as_ref(), "--apps".as_ref(), apps.as_os_str()];
        sensor(arguments.into_iter().chain(["--read".as_ref(), capture.as_os_str()]))
    };
    let output = read(folder.path());
    ended(&output, 0);
    let flows = events(&output.stdout);
    assert!(flows.iter().any(|flow| flow["im"]["application"] == "parlour"));

    fs::write(&entry, text_of("Not An Id")).unwrap();
    let refused = read(folder.path());
    ended(&refused, 2);
    assert!(text(&refused.stderr).contains("parlour.toml:1"), "{}", text(&refused.stderr));
    ended(&read(&folder.path().join("nowhere")), 2);
}

#[test]
fn progress_does_not_get_into_the_events() {
    let capture = fixture("ordinary.pcap");
    let read = |progress: &[&str]| {
        let mut arguments =
            vec!["--quiet".as_ref(), "--read".as_ref(), capture.as_os_str(), "--eve".as_ref(), "-".as_ref()];
        arguments.extend(progress.iter().map(|argument| std::ffi::OsStr::new(*argument)));
        let output = sensor(arguments);
        ended(&output, 0);
        output.stdout
    };
    assert_eq!(read(&["--progress"]), read(&[]));
}

#[test]
fn applications_are_listed_and_explained() {
    let list = sensor(["apps"]);
    ended(&list, 0);
    let listed = text(&list.stdout);
    assert!(listed.starts_with("ID") && listed.lines().count() > 200);
    assert!(listed.lines().any(|line| line.starts_with("whatsapp ") && line.contains("payload, host")), "{listed}");
    let rows: Value = serde_json::from_slice(&sensor(["apps", "--json"]).stdout).unwrap();
    assert_eq!(rows.as_array().unwrap().len(), listed.lines().count() - 1);

    let one = sensor(["apps", "whatsapp"]);
    ended(&one, 0);
    assert!(text(&one.stdout).starts_with("WhatsApp (whatsapp), "), "{}", text(&one.stdout));
    let output = sensor(["apps", "whatsapp", "--json"]);
    ended(&output, 0);
    let known: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&known["id"], &known["category"]), (&"whatsapp".into(), &"im".into()));
    assert!(known["hosts"].as_array().unwrap().contains(&"whatsapp.net".into()));
    assert!(!known["payload"].as_array().unwrap().is_empty());

    let unknown = sensor(["apps", "watsapp"]);
    ended(&unknown, 2);
    let said = text(&unknown.stderr);
    assert!(said.starts_with("error: ") && said.contains("`whatsapp`") && said.contains("hint: "), "{said}");
}
