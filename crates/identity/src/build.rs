//! From the file to tables that answer with one look-up.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use model::{Protocol, suggest};
use toml::Spanned;

use crate::file::{File, Source};
use crate::problem::Problem;
use crate::{Accounts, Directory, Domain, Known, Map, domain, fold, suffixes};

type Groups = Arc<[Arc<str>]>;
type Named = BTreeSet<Arc<str>>;

/// Checks the file and builds the directory; `served` are internal by themselves.
pub(crate) fn build(file: &File, source: &Source<'_>, served: &[&str]) -> Result<Directory, Vec<Problem>> {
    let mut builder = Builder { source, problems: Vec::new(), names: Map::default(), lists: BTreeMap::new() };
    let directory = builder.directory(file, served);
    match builder.problems.is_empty() {
        true => Ok(directory),
        false => {
            builder.problems.sort_by_key(|p| (p.line, p.column));
            Err(builder.problems)
        }
    }
}

struct Builder<'s> {
    source: &'s Source<'s>,
    problems: Vec<Problem>,
    /// Group names, each allocated once.
    names: Map<String, Arc<str>>,
    /// Group lists, each allocated once.
    lists: BTreeMap<Vec<Arc<str>>, Groups>,
}

/// What the groups of the file say, before people are looked at.
#[derive(Default)]
struct Rules {
    /// A group and all groups that take its members in, itself included.
    above: Map<String, Named>,
    accounts: Map<Box<str>, Named>,
    /// `*@domain`.
    at: Map<Box<str>, Named>,
    /// At the domain and below it.
    within: Map<Box<str>, Named>,
}

impl Builder<'_> {
    fn directory(&mut self, file: &File, served: &[&str]) -> Directory {
        self.names = file.groups.keys().map(|g| (g.get_ref().clone(), Arc::from(g.get_ref().as_str()))).collect();
        for name in file.groups.keys().chain(file.people.keys()) {
            self.check_name(name);
        }
        let rules = self.rules(file);
        let mut directory = Directory::empty(served);
        let (internal, external) = (self.domains(&file.internal_domains), self.domains(&file.external_domains));
        directory.set_sides(internal, external);
        self.people(file, &rules, &mut directory);
        self.decoys(file, &mut directory);
        for account in rules.accounts.keys() {
            let known = Known { person: None, groups: self.list(&rules.of_account(account)) };
            for accounts in &mut directory.accounts {
                accounts.exact.entry(account.clone()).or_insert_with(|| known.clone());
            }
        }
        for domain in rules.at.keys().chain(rules.within.keys()) {
            let here = Known { person: None, groups: self.list(&rules.of_domain(domain)) };
            let below = Known { person: None, groups: self.list(&rules.below(domain)) };
            directory.domains.insert(domain.clone(), Domain { here, below });
        }
        directory.groups = self.names.values().cloned().collect();
        directory.groups.sort();
        directory
    }

    fn rules(&mut self, file: &File) -> Rules {
        let mut rules = Rules { above: self.above(file), ..Rules::default() };
        for (name, group) in &file.groups {
            let Some(groups) = rules.above.get(name.get_ref()).cloned() else { continue };
            for domain in self.domains(&group.domains) {
                rules.within.entry(domain).or_default().extend(groups.iter().cloned());
            }
            for written in &group.accounts {
                match self.address(written) {
                    Some(Address::Exact(account)) => {
                        rules.accounts.entry(account).or_default().extend(groups.iter().cloned());
                    }
                    Some(Address::AllAt(domain)) => {
                        rules.at.entry(domain).or_default().extend(groups.iter().cloned());
                    }
                    None => {}
                }
            }
        }
        rules
    }

    /// For each group, itself and the groups that include it, however far up.
    fn above(&mut self, file: &File) -> Map<String, Named> {
        let mut parents: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (name, group) in &file.groups {
            for inner in &group.includes {
                match file.groups.contains_key(inner.get_ref().as_str()) {
                    true => parents.entry(inner.get_ref()).or_default().push(name.get_ref()),
                    false => self.unknown_group(inner),
                }
            }
        }
        let mut above = Map::default();
        for name in file.groups.keys() {
            let mut seen: BTreeSet<&str> = BTreeSet::from([name.get_ref().as_str()]);
            let mut todo = vec![name.get_ref().as_str()];
            while let Some(at) = todo.pop() {
                for parent in parents.get(at).into_iter().flatten() {
                    if *parent == name.get_ref() {
                        let message = format!("group `{}` includes itself", name.get_ref());
                        self.problem(name, message, Some("take one of the `includes` out".to_owned()));
                    }
                    if seen.insert(parent) {
                        todo.push(parent);
                    }
                }
            }
            above.insert(name.get_ref().clone(), seen.iter().filter_map(|g| self.names.get(*g).cloned()).collect());
        }
        above
    }

    fn people(&mut self, file: &File, rules: &Rules, directory: &mut Directory) {
        for (id, person) in &file.people {
            let shared: Arc<str> = id.get_ref().as_str().into();
            let mut own = Named::new();
            for group in &person.groups {
                match rules.above.get(group.get_ref()) {
                    Some(groups) => own.extend(groups.iter().cloned()),
                    None => self.unknown_group(group),
                }
            }
            let addresses = [&person.xmpp, &person.irc, &person.matrix, &person.sip];
            for (accounts, written) in directory.accounts.iter_mut().zip(addresses) {
                for address in written {
                    self.person(&shared, &own, rules, accounts, address);
                }
            }
        }
    }

    /// Puts one address of a person into the tables of its protocol.
    fn person(
        &mut self,
        id: &Arc<str>,
        own: &Named,
        rules: &Rules,
        accounts: &mut Accounts,
        written: &Spanned<String>,
    ) {
        let (table, key, others) = match self.address(written) {
            Some(Address::Exact(account)) => {
                let others = rules.of_account(&account);
                (&mut accounts.exact, account, others)
            }
            Some(Address::AllAt(domain)) => {
                let others = rules.of_domain(&domain);
                (&mut accounts.all_at, domain, others)
            }
            None => return,
        };
        let groups = self.list(&own.union(&others).cloned().collect());
        let known = Known { person: Some(id.clone()), groups };
        if let Some(other) = table.insert(key, known).and_then(|k| k.person) {
            let message = format!("`{}` is also an address of `{other}`", written.get_ref());
            self.problem(written, message, Some("an address belongs to one person".to_owned()));
        }
    }

    fn decoys(&mut self, file: &File, directory: &mut Directory) {
        for decoy in &file.decoys {
            let addresses = [&decoy.xmpp, &decoy.irc, &decoy.matrix, &decoy.sip];
            for (protocol, written) in addresses.into_iter().enumerate() {
                for address in written {
                    let Some(decoy) = self.decoy(address) else { continue };
                    let person = directory.accounts[protocol].exact.get(&decoy).and_then(|known| known.person.as_ref());
                    if let Some(person) = person {
                        let message = format!("`{}` is an address of `{person}`", address.get_ref());
                        let hint = "a decoy is an address that no person uses; take it out of one of the two";
                        self.problem(address, message, Some(hint.to_owned()));
                    }
                    directory.decoys[protocol].insert(decoy);
                }
            }
        }
    }

    /// A decoy's address: a whole account, or an occupant of a room.
    fn decoy(&mut self, written: &Spanned<String>) -> Option<Box<str>> {
        let text = written.get_ref();
        let (account, nick) = match text.split_once('/') {
            Some((room, nick)) => (room, Some(nick)),
            None => (text.as_str(), None),
        };
        let unfit = |part: &str| part.is_empty() || part.contains(char::is_control);
        let odd = |part: &str| unfit(part) || part.contains(|c: char| c.is_whitespace() || c == '*');
        if odd(account) || nick.is_some_and(unfit) {
            let hint = "write a whole account like `helpdesk2@example.org`, or an occupant of a room like \
                        `lobby@rooms.example.org/Front desk`";
            self.problem(written, format!("`{text}` can't be a decoy"), Some(hint.to_owned()));
            return None;
        }
        Some(fold(text).into())
    }

    /// The shared list of these groups, sorted.
    fn list(&mut self, groups: &Named) -> Groups {
        let groups: Vec<Arc<str>> = groups.iter().cloned().collect();
        self.lists.entry(groups).or_insert_with_key(|groups| Arc::from(groups.as_slice())).clone()
    }

    fn domains(&mut self, written: &[Spanned<String>]) -> Vec<Box<str>> {
        written.iter().filter_map(|domain| self.domain(domain, domain.get_ref())).collect()
    }

    fn domain(&mut self, written: &Spanned<String>, domain: &str) -> Option<Box<str>> {
        let domain = domain.trim_end_matches('.');
        let is_domain = !domain.is_empty()
            && domain.len() <= 253
            && domain.split('.').all(|label| !label.is_empty() && label.len() <= 63)
            && !domain.contains(|c: char| c.is_whitespace() || c.is_control() || "@*/:".contains(c));
        if !is_domain {
            let hint = match domain.strip_prefix("*.") {
                Some(rest) => format!("write `{rest}`: what is below a domain is always meant too"),
                None => "write it like `partner.example`".to_owned(),
            };
            self.problem(written, format!("`{}` is not a domain", written.get_ref()), Some(hint));
            return None;
        }
        Some(fold(domain).into())
    }

    fn address(&mut self, written: &Spanned<String>) -> Option<Address> {
        let text = written.get_ref();
        if let Some(domain) = text.strip_prefix("*@") {
            return self.domain(written, domain).map(Address::AllAt);
        }
        if text.is_empty() || text.contains(|c: char| c.is_whitespace() || c.is_control() || "*/".contains(c)) {
            let hint = "write a whole account like `alice@partner.example`, or `*@partner.example` for all of them";
            self.problem(written, format!("`{text}` is not an account"), Some(hint.to_owned()));
            return None;
        }
        Some(Address::Exact(fold(text).into()))
    }

    fn check_name(&mut self, name: &Spanned<String>) {
        let text = name.get_ref();
        if text.is_empty() || text.len() > 128 || text.chars().any(char::is_control) {
            let hint = Some("use 1 to 128 printable characters".to_owned());
            self.problem(name, "a name of a person or group that can't be used", hint);
        }
    }

    fn unknown_group(&mut self, written: &Spanned<String>) {
        let names: Vec<String> = self.names.keys().cloned().collect();
        let hint = suggest::hint(written.get_ref(), names.iter().map(String::as_str))
            .or_else(|| Some(format!("add a table [groups.{}]", written.get_ref())));
        self.problem(written, format!("there is no group `{}`", written.get_ref()), hint);
    }

    fn problem(&mut self, at: &Spanned<String>, message: impl Into<String>, hint: Option<String>) {
        self.problems.push(self.source.problem(at.span(), message, hint));
    }
}

/// An address as written in the file.
enum Address {
    Exact(Box<str>),
    AllAt(Box<str>),
}

impl Rules {
    fn of_account(&self, account: &str) -> Named {
        let mut groups = self.accounts.get(account).cloned().unwrap_or_default();
        groups.extend(self.of_domain(domain(account)));
        groups
    }

    fn of_domain(&self, domain: &str) -> Named {
        let mut groups = self.at.get(domain).cloned().unwrap_or_default();
        groups.extend(self.below(domain));
        groups
    }

    /// What everyone at the domain or below it is in.
    fn below(&self, domain: &str) -> Named {
        suffixes(domain).filter_map(|d| self.within.get(d)).flatten().cloned().collect()
    }
}

/// The tables' order of protocols.
pub(crate) fn index(protocol: Protocol) -> usize {
    match protocol {
        Protocol::Xmpp => 0,
        Protocol::Irc => 1,
        Protocol::Matrix => 2,
        Protocol::Sip => 3,
    }
}
