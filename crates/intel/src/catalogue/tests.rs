//! What the bundled catalogue keeps, and what is said of files that are wrong.

use std::collections::BTreeMap;

use super::*;

#[test]
fn bundled_files_are_sound() {
    let mut seen = BTreeMap::new();
    for (file, text) in FILES {
        assert!(text.starts_with("# "), "{file} begins with what it is about");
        let threats = file::read(file, text).unwrap_or_else(|problems| panic!("{problems:?}"));
        assert!(!threats.is_empty(), "{file} is empty");
        let stem = file.trim_start_matches("intel/catalogue/").trim_end_matches(".toml");
        for (threat, line) in threats {
            let place = format!("{file}:{line}");
            let year = threat.first_seen.map_or_else(|| "undated".to_owned(), |when| when.date.year().to_string());
            assert_eq!(year, stem, "{place}: {} is first seen in another year", threat.id);
            assert!(!threat.about.is_empty(), "{place}: says what it is");
            assert!(threat.confidence > 0, "{place}");
            if let Some(first) = seen.insert(threat.id.clone(), place.clone()) {
                panic!("{place}: {} stands at {first}, too", threat.id);
            }
        }
    }
    assert_eq!(Catalogue::bundled().threats().len(), seen.len());
}

fn wrong(text: &str) -> Vec<String> {
    let said = |problem: Problem| {
        let hint = problem.hint.as_deref().map(|hint| format!(" ({hint})")).unwrap_or_default();
        format!("{problem}{hint}")
    };
    file::read("t.toml", text).expect_err("the text is wrong").into_iter().map(said).collect()
}

const GOOD: &str = r#"[[threat]]
id = "a"
name = "A"
kind = "worm"
networks = ["msn"]
confidence = 50
sources = [{ by = "X" }]
"#;

#[test]
fn a_misspelt_key_is_refused_with_its_place_and_a_suggestion() {
    assert!(file::read("t.toml", GOOD).is_ok());
    let said = wrong(&GOOD.replace("networks", "netwroks"));
    assert!(said[0].starts_with("t.toml:5: unknown field `netwroks`"), "{said:?}");
    assert!(said[0].ends_with("(did you mean `networks`?)"), "{said:?}");
    let said = wrong(&GOOD.replace("\"worm\"", "\"wrom\""));
    assert!(said[0].starts_with("t.toml:4: ") && said[0].ends_with("(did you mean `worm`?)"), "{said:?}");
}

#[test]
fn every_fault_of_an_entry_is_named() {
    let two = format!("{GOOD}\n{}", GOOD.replace("\"a\"", "\"B c\"").replace("msn", "msm").replace("50", "101"));
    let said = wrong(&two);
    assert_eq!(said.len(), 3, "{said:?}");
    assert!(said.iter().all(|said| said.starts_with("t.toml:9: threat `B c`: ")), "{said:?}");
    assert!(said.iter().any(|said| said.contains("did you mean `msn`?")), "{said:?}");
    for (from, to, message) in [
        ("[{ by = \"X\" }]", "[]", "no source"),
        ("[{ by = \"X\" }]", "[{ by = \"X\", url = \"javascript:alert(1)\" }]", "is no web address"),
        ("confidence", "techniques = [\"1566\"]\nconfidence", "is no technique id"),
        ("confidence", "first_seen = \"2005-13\"\nconfidence", "is no date"),
    ] {
        let said = wrong(&GOOD.replace(from, to));
        assert!(said[0].contains(message), "{said:?}");
    }
}

#[test]
fn an_operators_folder_adds_and_replaces() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("one.toml", GOOD);
    write("notes.txt", "not read");
    let own = Catalogue::load(folder.path()).unwrap();
    assert_eq!(own.threats().len(), 1);
    let mut other = own.get("a").unwrap().clone();
    other.name = "Other".to_owned();
    let both = Catalogue::bundled().with(own.threats().iter().cloned()).with([other]);
    assert_eq!(both.threats().len(), Catalogue::bundled().threats().len() + 1);
    assert_eq!(both.get("a").unwrap().name, "Other");

    write("two.toml", GOOD);
    let problems = Catalogue::load(folder.path()).unwrap_err();
    assert!(problems[0].to_string().contains("two.toml:1: threat `a` stands at"), "{problems:?}");
    assert!(Catalogue::load(&folder.path().join("missing")).is_err());
}

#[test]
fn a_threat_is_found_by_any_of_its_names() {
    let ids = |name: &str| -> Vec<&str> {
        Catalogue::bundled().named(name).into_iter().map(|threat| threat.id.as_str()).collect()
    };
    assert_eq!(ids("KELVIR"), ["kelvir"]);
    assert_eq!(ids("oompa-loompa"), ["leap"]);
    assert_eq!(ids("agobot"), ["agobot"]);
    assert_eq!(ids("BadBazaar"), ["badbazaar-flygram", "badbazaar-signal-plus"]);
    assert!(ids("nonesuch").is_empty());
}

#[test]
fn threats_count_as_what_they_travel_over() {
    for (id, im, p2p) in [
        ("hello", true, false),
        ("benjamin", false, true),
        ("fizzer", true, true),
        ("storm", false, true),
        ("jabber-notifier", true, false),
    ] {
        assert_eq!(media(Catalogue::bundled().get(id).unwrap()), (im, p2p), "{id}");
    }
}
