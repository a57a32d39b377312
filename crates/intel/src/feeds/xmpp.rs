//! Blocklists of XMPP servers and accounts: JabberSPAM's, and those of services that share what users report
//! (XEP-0377).

use indicators::ThreatKind;
use model::Protocol;
use serde_json::Value;

use super::{Defaults, Each, EntryError, Feed, Terms, lines, whole};
use crate::{Pattern, Strength};

/// The format.
pub(super) struct Blocklist;

impl Feed for Blocklist {
    fn name(&self) -> &'static str {
        "xmpp-blocklist"
    }

    fn about(&self) -> &'static str {
        "XMPP servers and accounts: one a line (JabberSPAM), or a JSON array of strings or of objects with `jid`, \
         `domain` or `server`."
    }

    fn example(&self) -> &'static str {
        "# spam without end\nspam.example\nxmpp:eve@mixed.example\n"
    }

    fn defaults(&self) -> Defaults {
        Defaults { kind: ThreatKind::Spam, confidence: 60, strength: Strength::Block, days: None }
    }

    fn read(&self, bytes: &[u8], terms: &Terms, each: &mut Each<'_>) {
        let start = bytes.iter().find(|b| !b.is_ascii_whitespace());
        if matches!(start, Some(b'[')) {
            return json(bytes, terms, each);
        }
        for (at, line) in lines(bytes) {
            let place = format!("line {at}");
            match line.map(|line| line.split('#').next().unwrap_or_default().trim()) {
                Ok("") => {}
                Ok(line) => each(terms.entry(address(line), place)),
                Err(why) => each(Err(EntryError { place, why: why.to_owned() })),
            }
        }
    }
}

fn json(bytes: &[u8], terms: &Terms, each: &mut Each<'_>) {
    let entries: Vec<Value> = match serde_json::from_slice(bytes) {
        Ok(entries) => entries,
        Err(error) => return each(whole(format!("not a JSON array: {error}"))),
    };
    for (at, entry) in entries.iter().enumerate() {
        let named = ["jid", "domain", "server"].iter().find_map(|key| entry.get(key)).unwrap_or(entry);
        let address = named.as_str().ok_or("neither a string nor an object with jid, domain or server");
        each(terms.entry(address.and_then(self::address), format!("entry {at}")));
    }
}

/// A JID without its resource, or a server's name.
fn address(text: &str) -> Result<Pattern, &'static str> {
    let text = text.trim().strip_prefix("xmpp:").unwrap_or(text.trim()).to_lowercase();
    let bare = text.split(['/', '?']).next().unwrap_or_default();
    if bare.contains('@') {
        return Pattern::account(Protocol::Xmpp, bare);
    }
    match Pattern::domain(bare)? {
        Pattern::Domain { value } => Pattern::account(Protocol::Xmpp, &value),
        _ => Err("not a server's name"),
    }
}
