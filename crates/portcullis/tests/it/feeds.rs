//! `portcullis intel` over feeds in files: fetched, held, accepted, refused, exported, and what messages then meet.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

struct Site {
    folder: tempfile::TempDir,
}

impl Site {
    /// A site with one feed of domains and one of YARA rules.
    fn new() -> Site {
        let folder = tempfile::tempdir().unwrap();
        let site = Site { folder };
        let config = "data = \"data\"\n\
            [intel]\nwarning_lists = [\"warn.json\"]\n\
            [[intel.feeds]]\nname = \"hosts\"\nformat = \"plain\"\npath = \"hosts.txt\"\nkind = \"malware\"\n\
            [[intel.feeds]]\nname = \"rules\"\nformat = \"yara\"\npath = \"rules.yar\"\nstrength = \"block\"\n";
        site.write("portcullis.toml", config);
        site.write("warn.json", r#"{"name":"our partners","type":"hostname","list":[".partner.example"]}"#);
        site.write("rules.yar", "rule spreader { strings: $a = \"spread me to all\" condition: $a }\nrule bad { x }\n");
        site
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.folder.path().join(name), text).unwrap();
    }

    fn run(&self, arguments: &[&str], input: &str) -> Output {
        let mut child = Command::new(env!("CARGO_BIN_EXE_portcullis"))
            .args(arguments)
            .current_dir(self.folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), input.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    }

    /// `portcullis intel` with these arguments and the site's configuration; exit code and output.
    fn intel(&self, arguments: &[&str]) -> (i32, String) {
        let all = [&["intel"], arguments, &["--config", "portcullis.toml"]].concat();
        let output = self.run(&all, "");
        let said = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
        (output.status.code().unwrap(), said)
    }

    /// The verdict on a message.
    fn verdict(&self, message: &Value) -> String {
        let output = self.run(&["scan", "--jsonl", "--config", "portcullis.toml"], &format!("{message}\n"));
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
        answer["verdict"].as_str().unwrap().to_owned()
    }

    fn link(&self, host: &str) -> String {
        self.verdict(&serde_json::json!({"id": "1", "body": format!("look: http://{host}/x")}))
    }
}

fn hosts(count: usize) -> String {
    (0..count).map(|i| format!("host{i}.badcdn.top\n")).collect()
}

#[test]
fn a_feed_is_fetched_guarded_held_and_accepted() {
    let site = Site::new();
    site.write("hosts.txt", &(hosts(200) + "github.com\nchat.partner.example\nnot a thing\n"));
    let (code, said) = site.intel(&["fetch", "--once", "hosts"]);
    assert_eq!((code, said.contains("202 indicators are in force; 1 entries were not taken")), (0, true), "{said}");
    assert_eq!(site.link("host7.badcdn.top"), "block");
    assert_eq!(site.link("github.com"), "allow");
    assert_eq!(site.link("chat.partner.example"), "allow");

    let (_, refused) = site.intel(&["refused", "--source", "hosts"]);
    assert!(refused.contains("refused   hosts line 201: github[.]com"), "{refused}");
    assert!(refused.contains("weakened  hosts line 202: chat[.]partner[.]example"), "{refused}");
    assert!(refused.contains("[our partners]"), "{refused}");

    site.write("hosts.txt", &hosts(3_000));
    let (code, said) = site.intel(&["fetch", "--once", "hosts"]);
    assert_eq!((code, said.contains("grew from 202 to 3000")), (1, true), "{said}");
    let (code, said) = site.intel(&["feeds"]);
    assert_eq!((code, said.contains("intel accept hosts")), (1, true), "{said}");
    assert_eq!((site.link("host7.badcdn.top"), site.link("host2000.badcdn.top")), ("block".into(), "allow".into()));
    assert_eq!(site.intel(&["accept", "hosts"]).0, 0);
    assert_eq!(site.link("host2000.badcdn.top"), "block");
    assert_eq!(site.intel(&["accept", "hosts"]).0, 3, "nothing is held any more");

    fs::remove_file(site.folder.path().join("hosts.txt")).unwrap();
    assert_eq!(site.intel(&["fetch", "--once", "hosts"]).0, 3);
    assert_eq!(site.link("host2000.badcdn.top"), "block", "the last good stays");
    assert_eq!(site.intel(&["fetch", "--once", "nothing"]).0, 2);
}

#[test]
fn yara_rules_stop_files() {
    let site = Site::new();
    let (code, said) = site.intel(&["fetch", "--once", "rules"]);
    assert_eq!((code, said.contains("1 indicators are in force; 1 entries were not taken")), (0, true), "{said}");
    site.write("note.txt", "please spread me to all of your friends");
    site.write("fine.txt", "see you at noon");
    let file = |name: &str| {
        let path: &Path = site.folder.path();
        site.verdict(&serde_json::json!({"id": "1", "files": [{"name": name, "path": path.join(name)}]}))
    };
    assert_eq!((file("note.txt"), file("fine.txt")), ("block".to_owned(), "allow".to_owned()));
}

#[test]
fn a_file_is_tried_before_it_is_a_feed() {
    let site = Site::new();
    site.write("try.csv", "\"1\",\"d\",\"http://a.badcdn.top/x.exe\",\"online\"\n\"2\",\"d\",\"https://github.com/\",\"online\"\n\"3\",\"d\",\"?\",\"online\"\n");
    let output = site.run(&["intel", "import", "try.csv", "--format", "urlhaus", "--json"], "");
    assert_eq!(output.status.code(), Some(1));
    let outcomes: Vec<String> = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["outcome"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(outcomes, ["block", "refused", "error"]);
    assert_eq!(site.run(&["intel", "import", "try.csv", "--format", "nope"], "").status.code(), Some(2));
}

#[test]
fn what_is_marked_too_strictly_does_not_go_out() {
    let site = Site::new();
    site.write("hosts.txt", "host0.badcdn.top\n");
    let config = fs::read_to_string(site.folder.path().join("portcullis.toml")).unwrap();
    site.write("portcullis.toml", &config.replace("kind = \"malware\"", "kind = \"malware\"\nmarking = \"amber\""));
    site.intel(&["fetch", "--once", "hosts"]);
    for (ceiling, out) in [("clear", false), ("amber", true)] {
        let (code, said) = site.intel(&["export", "--stix", "out.json", "--tlp", ceiling, "--feeds"]);
        assert_eq!(code, 0, "{said}");
        let bundle = fs::read_to_string(site.folder.path().join("out.json")).unwrap();
        assert_eq!(bundle.contains("host0.badcdn.top"), out, "{ceiling}");
        assert_eq!(serde_json::from_str::<Value>(&bundle).unwrap()["type"], "bundle");
    }
}
