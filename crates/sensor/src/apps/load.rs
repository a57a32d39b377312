//! From `apps/*.toml` to a catalogue. Layers go on top of one another: what an operator says of a host
//! or of a whole application goes before what came with the program.

use std::collections::BTreeMap;
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use toml::Spanned;

use super::agents::Agents;
use super::entry::{self, Entry, MOST_BYTES, Problem, Source};
use super::ranges::Ranges;
use super::{App, Application, Catalogue, Owner, port_key};

/// The files that come with the program: name and text.
pub(super) const BUNDLED: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/apps.rs"));

/// Most applications of a catalogue.
const MOST: usize = 10_000;

/// The catalogue of the files of some folders on top of the bundled one.
pub(super) fn load(folders: &[PathBuf]) -> Result<Catalogue, Vec<Problem>> {
    let (mut files, mut problems) = (Vec::new(), Vec::new());
    for (layer, folder) in folders.iter().enumerate() {
        match read_folder(folder) {
            Ok(found) => files.extend(found.into_iter().map(|(file, text)| (layer + 1, file, text))),
            Err(problem) => problems.push(problem),
        }
    }
    let bundled = BUNDLED.iter().map(|&(file, text)| (0, Source { file, text }));
    let sources = bundled.chain(files.iter().map(|(layer, file, text)| (*layer, Source { file, text })));
    let (catalogue, found) = build(sources);
    problems.extend(found);
    if problems.is_empty() { Ok(catalogue) } else { Err(problems) }
}

/// Names and texts of the `.toml` files of a folder, in the order of their names.
fn read_folder(folder: &Path) -> Result<Vec<(String, String)>, Problem> {
    let fault = |path: &Path, error: &dyn std::fmt::Display| Problem {
        file: path.display().to_string(),
        line: 0,
        message: error.to_string(),
        hint: None,
    };
    let entries = fs::read_dir(folder).map_err(|error| fault(folder, &error))?;
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| fault(folder, &error))?.path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            paths.push(path);
        }
    }
    paths.sort();
    let read = |path: PathBuf| {
        let size = fs::metadata(&path).map_err(|error| fault(&path, &error))?.len();
        if size > MOST_BYTES as u64 {
            return Err(fault(&path, &format!("the file has {size} bytes; an entry has at most {MOST_BYTES}")));
        }
        let text = fs::read_to_string(&path).map_err(|error| fault(&path, &error))?;
        Ok((path.display().to_string(), text))
    };
    paths.into_iter().map(read).collect()
}

/// A catalogue of everything that is right in these sources, and what is wrong in them.
pub(super) fn build<'a>(sources: impl Iterator<Item = (usize, Source<'a>)>) -> (Catalogue, Vec<Problem>) {
    let mut problems = Vec::new();
    let mut entries: BTreeMap<String, (usize, Source, Entry)> = BTreeMap::new();
    for (layer, source) in sources {
        let entry = match source.read() {
            Ok(entry) => entry,
            Err(problem) => {
                problems.push(problem);
                continue;
            }
        };
        let id = entry.id.get_ref().clone();
        if let Some((_, other, _)) = entries.get(&id).filter(|(there, ..)| *there == layer) {
            let message = format!("id: `{id}` is also in {}", other.file);
            problems.push(source.problem(entry.id.span(), message, None));
        } else if entries.len() == MOST {
            problems.push(source.problem(0..0, format!("a catalogue has at most {MOST} applications"), None));
        } else {
            entries.insert(id, (layer, source, entry));
        }
    }
    let mut index = Index { problems, ..Index::default() };
    let mut order: Vec<(App, &(usize, Source, Entry))> =
        entries.values().enumerate().map(|(at, entry)| (App(at as u16), entry)).collect();
    // Later layers last, so that they take over; carve-outs of a layer first, so that whoever names the
    // very same host has it.
    order.sort_by_key(|(_, (layer, ..))| *layer);
    for layer in order.chunk_by(|(_, a), (_, b)| a.0 == b.0) {
        layer.iter().for_each(|(_, (layer, source, entry))| index.carve(*layer, *source, entry));
        layer.iter().for_each(|(app, (layer, source, entry))| index.enter(*app, *layer, *source, entry));
    }
    let applications = entries
        .into_values()
        .map(|(_, _, entry)| Application {
            evidence: entry.evidence(),
            id: entry.id.into_inner(),
            name: entry.name,
            category: entry.category,
            about: entry.about,
            who: entry.who,
            generic: entry.generic,
            peer_to_peer: entry.peer_to_peer,
            platforms: entry.platforms,
        })
        .collect();
    index.finish(applications)
}

/// The indexes while they grow.
#[derive(Default)]
struct Index {
    catalogue: Catalogue,
    /// The layer that named a host, certificate, ALPN or JA4 last, by kind and text.
    named: BTreeMap<(&'static str, String), (usize, String)>,
    agents: Vec<(String, App)>,
    v4: Vec<(u32, u32, App)>,
    v6: Vec<(u128, u128, App)>,
    ports: Vec<(u32, u32, App)>,
    problems: Vec<Problem>,
}

impl Index {
    fn carve(&mut self, layer: usize, source: Source, entry: &Entry) {
        for host in &entry.not_hosts {
            let indexes = [&mut self.catalogue.hosts, &mut self.catalogue.certificate_hosts];
            let done = indexes.into_iter().try_for_each(|index| index.insert(host.get_ref(), Owner::Nobody).map(drop));
            self.note(source, "not_hosts", host, done);
            self.named.insert(("hosts", host.get_ref().clone()), (layer, String::new()));
        }
    }

    fn enter(&mut self, app: App, layer: usize, source: Source, entry: &Entry) {
        let owner = Owner::App(app);
        for host in &entry.hosts {
            let done = self.claim(entry, layer, "hosts", host.get_ref());
            let done = done.and_then(|()| self.catalogue.hosts.insert(host.get_ref(), owner).map(drop));
            self.note(source, "hosts", host, done);
        }
        for name in &entry.certificates {
            let done = self.claim(entry, layer, "certificates", name.get_ref()).and_then(|()| {
                if super::is_host(name.get_ref()) {
                    return self.catalogue.certificate_hosts.insert(name.get_ref(), owner).map(drop);
                }
                if name.get_ref().chars().any(char::is_uppercase) {
                    return Err(format!("`{}` is to be lower case; certificates match in any", name.get_ref()));
                }
                self.catalogue.certificate_names.insert(name.get_ref().as_str().into(), app);
                Ok(())
            });
            self.note(source, "certificates", name, done);
        }
        for protocol in &entry.alpn {
            let done = self.claim(entry, layer, "alpn", protocol.get_ref());
            self.catalogue.alpn.insert(protocol.get_ref().as_str().into(), app);
            self.note(source, "alpn", protocol, done);
        }
        for ja4 in &entry.ja4 {
            let shape = ja4.get_ref().split('_').map(str::len).eq([10, 12, 12]);
            let done = match shape {
                true => self.claim(entry, layer, "ja4", ja4.get_ref()),
                false => Err(format!("`{}` is not a JA4: `t13d1516h2_8daaf6152771_b0da82dd1658`", ja4.get_ref())),
            };
            self.catalogue.ja4.insert(ja4.get_ref().as_str().into(), app);
            self.note(source, "ja4", ja4, done);
        }
        for word in &entry.user_agents {
            let done = match word.get_ref().len() {
                3.. => self.claim(entry, layer, "user_agents", &word.get_ref().to_ascii_lowercase()),
                _ => Err(format!("`{}` is too short to mean anything", word.get_ref())),
            };
            self.agents.push((word.get_ref().clone(), app));
            self.note(source, "user_agents", word, done);
        }
        for network in &entry.addresses {
            let done = entry::network(network.get_ref()).map(|range| match range {
                (IpAddr::V4(first), IpAddr::V4(last)) => self.v4.push((first.to_bits(), last.to_bits(), app)),
                (IpAddr::V6(first), IpAddr::V6(last)) => self.v6.push((first.to_bits(), last.to_bits(), app)),
                _ => {}
            });
            self.note(source, "addresses", network, done);
        }
        for port in &entry.ports {
            let done = entry::ports(port.get_ref()).map(|(transport, first, last)| {
                let keys = port_key(transport, first).zip(port_key(transport, last));
                self.ports.extend(keys.map(|(first, last)| (first, last, app)));
            });
            self.note(source, "ports", port, done);
        }
    }

    /// One name is one application's within a layer; a later layer takes it over.
    fn claim(&mut self, entry: &Entry, layer: usize, kind: &'static str, text: &str) -> Result<(), String> {
        let id = entry.id.get_ref();
        match self.named.insert((kind, text.to_owned()), (layer, id.clone())) {
            Some((there, other)) if there == layer && other == *id => Err(format!("`{text}` stands here twice")),
            Some((there, other)) if there == layer && !other.is_empty() => {
                Err(format!("`{text}` is already `{other}`'s"))
            }
            _ => Ok(()),
        }
    }

    fn note(&mut self, source: Source, field: &str, item: &Spanned<String>, done: Result<(), String>) {
        if let Err(message) = done {
            self.problems.push(source.problem(item.span(), format!("{field}: {message}"), None));
        }
    }

    fn finish(mut self, applications: Vec<Application>) -> (Catalogue, Vec<Problem>) {
        // A word that a later layer took over is only the later one's.
        let last: BTreeMap<String, App> =
            self.agents.iter().map(|(word, app)| (word.to_ascii_lowercase(), *app)).collect();
        let words: Vec<(String, App)> = last.into_iter().collect();
        match Agents::new(&words) {
            Ok(agents) => self.catalogue.agents = agents,
            Err(error) => self.problems.push(Problem {
                file: "user_agents".to_owned(),
                line: 0,
                message: error.to_string(),
                hint: None,
            }),
        }
        self.catalogue.v4 = Ranges::new(&self.v4);
        self.catalogue.v6 = Ranges::new(&self.v6);
        self.catalogue.ports = Ranges::new(&self.ports);
        self.catalogue.applications = applications;
        (self.catalogue, self.problems)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layers(files: &[(usize, &str, &str)]) -> (Catalogue, Vec<String>) {
        let texts: Vec<_> = files
            .iter()
            .map(|(layer, id, rest)| {
                let name = format!("apps/{id}.toml");
                (*layer, name, format!("id = \"{id}\"\nname = \"N\"\ncategory = \"im\"\nabout = \"A.\"\n{rest}"))
            })
            .collect();
        let (catalogue, problems) = build(texts.iter().map(|(layer, file, text)| (*layer, Source { file, text })));
        (catalogue, problems.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        for (rest, wanted) in [
            ("hots = []\n", "apps/a.toml:5: unknown field `hots`"),
            ("hots = []\n", "did you mean `hosts`?"),
            ("platforms = [\"windos\"]\n", "did you mean `windows`?"),
            ("hosts = [\n  \"good.example\",\n  \"Bad.example\",\n]\n", "apps/a.toml:7: hosts: `Bad.example`"),
            ("hosts = [\"x.example\",\n\"x.example\"]\n", "apps/a.toml:6: hosts: `x.example` stands here twice"),
            ("addresses = [\"192.0.2.1/24\"]\n", "192.0.2.0/24 is meant"),
            ("ports = [\"5222\"]\n", "apps/a.toml:5: ports: `5222` is not a port"),
            ("ja4 = [\"t13\"]\n", "ja4: `t13` is not a JA4"),
            ("certificates = [\"Chat, Inc.\"]\n", "is to be lower case"),
            ("user_agents = [\"x\"]\n", "too short"),
        ] {
            let (_, problems) = layers(&[(0, "a", rest)]);
            assert!(problems.len() == 1 && problems[0].contains(wanted), "{wanted}: {problems:?}");
        }
    }

    #[test]
    fn two_applications_cannot_have_one_name_in_a_layer_but_an_operator_may_take_it() {
        let claims = "hosts = [\"chat.example\"]\nalpn = [\"chat/1\"]\nuser_agents = [\"Chatter\"]\n";
        let (_, problems) = layers(&[(0, "a", claims), (0, "b", claims)]);
        assert_eq!(problems.len(), 3, "{problems:?}");
        assert_eq!(problems[0], "apps/b.toml:5: hosts: `chat.example` is already `a`'s");

        let (catalogue, problems) = layers(&[(0, "b", claims), (1, "a", claims)]);
        assert_eq!(problems, [""; 0]);
        let a = catalogue.by_id("a");
        assert!(a.is_some());
        assert_eq!(catalogue.by_host("x.chat.example"), a);
        assert_eq!(catalogue.by_alpn("chat/1"), a);
        assert_eq!(catalogue.by_user_agent("chatter/3"), a);
    }

    #[test]
    fn an_operators_entry_replaces_the_one_of_the_same_id() {
        let old = "hosts = [\"old.example\"]\n";
        let (catalogue, problems) = layers(&[(0, "a", old), (1, "a", "hosts = [\"new.example\"]\n")]);
        assert_eq!(problems, [""; 0]);
        assert_eq!(catalogue.all().len(), 1);
        assert_eq!(catalogue.by_host("old.example"), None);
        assert_eq!(catalogue.by_host("new.example"), Some(App(0)));
        let (_, problems) = layers(&[(0, "a", ""), (0, "a", "")]);
        assert_eq!(problems, ["apps/a.toml:1: id: `a` is also in apps/a.toml"]);
    }

    #[test]
    fn folders_are_read_on_top_of_the_bundled_files() {
        let folder = tempfile::tempdir().unwrap();
        let text = "id = \"house-chat\"\nname = \"House\"\ncategory = \"im\"\nabout = \"Ours.\"\nhosts = [\"c.corp.example\"]\n";
        fs::write(folder.path().join("house-chat.toml"), text).unwrap();
        fs::write(folder.path().join("notes.txt"), "not an entry").unwrap();
        let catalogue = load(&[folder.path().to_owned()]).unwrap();
        assert_eq!(catalogue.all().len(), Catalogue::bundled().all().len() + 1);
        assert_eq!(catalogue.by_host("c.corp.example"), catalogue.by_id("house-chat"));

        fs::write(folder.path().join("other.toml"), text).unwrap();
        let problems = load(&[folder.path().to_owned()]).unwrap_err();
        assert!(problems[0].to_string().contains("other.toml:1: id: `house-chat` stands in a file"), "{problems:?}");
        assert!(load(&[folder.path().join("gone")]).is_err());
    }
}
