//! One XMPP session between a client and a server, as a state machine.
//!
//! Both legs have their TLS already; what comes here is the stream from the
//! client's header on. Negotiation passes through, except for what would lead
//! around the gateway; stanzas are heard; stream management is kept exact by
//! two [`Ledger`]s.

mod client;
mod features;
mod server;
mod slots;
#[cfg(test)]
mod tests;

use std::any::Any;
use std::collections::{HashSet, VecDeque};
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use model::{Direction, Effect, Party, Verdict};

use super::hear::{Hearing, Parties, hear};
use super::sm::{BadCount, Ledger};
use super::{Condition, Element, Fault, Form, Header, Limits, Parsed, Read, Reader, Stanza, enforce, ns, write};
use crate::dialect::{Dialect, End, Ending, Enforced, Event, Lane, Parked, Ruling, Step, Tag};

pub use features::{Binding, Offer, offered_plus};
pub use slots::{Slot, SlotRequest, Slots};

/// What the operator sets about XMPP sessions.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Bounds on one stanza before the client is authenticated.
    pub before: Limits,
    /// Bytes a client may send in all before it is authenticated.
    pub before_bytes: usize,
    /// Bounds on one stanza afterwards.
    pub after: Limits,
    /// Rooms remembered a session.
    pub rooms: usize,
    /// Whether channel binding survives the gateway.
    pub binding: Binding,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            before: Limits::UNAUTHENTICATED,
            before_bytes: 8_192,
            after: Limits::AUTHENTICATED,
            rooms: 1_024,
            binding: Binding::Broken,
        }
    }
}

/// What a session asks of its role: who parties are, and where uploads go.
pub trait Host: Parties + Slots + Send + Sync {}

impl<T: Parties + Slots + Send + Sync> Host for T {}

/// How far the client has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// A stream header is awaited from the client.
    Opening,
    /// The server's features are awaited or known; the client may log in.
    Login,
    /// A SASL step is with the server.
    Answering,
    /// Authenticated; a resource is to be bound or a session taken up.
    Binding,
    /// A parked session is being looked for.
    Unparking,
    /// The server was asked to resume.
    Resuming,
    /// In session.
    Bound,
}

/// Stream management of one session.
#[derive(Debug, Default)]
struct Managed {
    /// From client to server, once the client has asked for it.
    up: Option<Ledger>,
    /// From server to client, once the server has agreed.
    down: Option<Ledger>,
    /// The server has read the client's request: what is written to it counts.
    up_counts: bool,
    /// The client has read the server's agreement: what is written to it counts.
    down_counts: bool,
    /// How often it was begun: a count of one ledger means nothing to the next.
    epoch: u8,
    /// The client reads on without acknowledging; something for it could not be kept.
    overrun: bool,
    /// What the session can be resumed by.
    id: Option<Box<str>>,
    /// What the client says it has handled, while its session is looked for.
    resume_h: u32,
    /// A request for acknowledgement passed frames that still wait: ask again
    /// when they are written. One each direction.
    owed: [bool; 2],
}

/// What survives a lost connection.
struct Kept {
    up: Ledger,
    down: Ledger,
    party: Arc<Party>,
    rooms: HashSet<Box<str>>,
}

/// An XMPP session; see the module's description.
pub struct Xmpp {
    settings: Settings,
    host: Arc<dyn Host>,
    /// The gateway's name for the stream when the server has not given one.
    stream_id: Box<str>,
    domain: Box<str>,
    phase: Phase,
    authenticated: bool,
    /// One a leg; taken out while it lends a stanza.
    readers: [Option<Reader>; 2],
    header_written: [bool; 2],
    before_used: usize,
    mechanism: Box<str>,
    account: Option<Box<str>>,
    /// Sessions asked for in vain.
    failed_resumptions: u8,
    bind_id: Option<Box<str>>,
    party: Option<Arc<Party>>,
    rooms: HashSet<Box<str>>,
    requests: VecDeque<SlotRequest>,
    managed: Managed,
    resuming: Option<Box<Kept>>,
    lanes: std::collections::hash_map::RandomState,
}

const TAG_PLAIN: Tag = Tag(0);
const TAG_OWN: Tag = Tag(1 << 32);
const TAG_AGREED: Tag = Tag(2 << 32);
const TAG_ENABLE: Tag = Tag(3 << 32);
const TAG_COUNTED: u64 = 4 << 32;

impl Managed {
    /// The tag of a stanza that counts, if any does.
    fn counted(&self, count: Option<u32>) -> Tag {
        count.map_or(TAG_PLAIN, |count| Tag(u64::from(self.epoch) << 40 | TAG_COUNTED | u64::from(count)))
    }

    /// The count that a tag stands for in the ledgers of now.
    fn count_of(&self, tag: Tag) -> Option<u32> {
        let counted = u64::from(self.epoch) << 40 | TAG_COUNTED;
        (tag.0 & !u64::from(u32::MAX) == counted).then_some(tag.0 as u32)
    }
}

/// Sessions a client may ask for in vain on one stream.
const FAILED_RESUMPTIONS: u8 = 3;

fn index(end: End) -> usize {
    match end {
        End::Client => 0,
        End::Server => 1,
    }
}

impl Xmpp {
    /// A session for a domain. `stream_id` must not be guessable.
    pub fn new(settings: Settings, host: Arc<dyn Host>, domain: &str, stream_id: &str) -> Xmpp {
        Xmpp {
            settings,
            host,
            stream_id: stream_id.into(),
            domain: domain.into(),
            phase: Phase::Opening,
            authenticated: false,
            readers: [Some(Reader::new(settings.before)), Some(Reader::new(settings.after))],
            header_written: [false; 2],
            before_used: 0,
            mechanism: Box::default(),
            account: None,
            failed_resumptions: 0,
            bind_id: None,
            party: None,
            rooms: HashSet::new(),
            requests: VecDeque::new(),
            managed: Managed::default(),
            resuming: None,
            lanes: std::collections::hash_map::RandomState::new(),
        }
    }

    fn ledger(&mut self, from: End) -> Option<&mut Ledger> {
        match from {
            End::Client => self.managed.up.as_mut(),
            End::Server => self.managed.down.as_mut(),
        }
    }

    /// The lane of a stanza between two addresses as seen from this end. The own
    /// account is one conversation however it is written, or left out.
    fn lane(&self, peer: &str) -> Lane {
        let bare = peer.split('/').next().unwrap_or(peer);
        let own = self.party.as_ref().is_some_and(|party| bare.eq_ignore_ascii_case(&party.address.account));
        let mut hasher = self.lanes.build_hasher();
        for byte in bare.bytes().filter(|_| !own) {
            hasher.write_u8(byte.to_ascii_lowercase());
        }
        Lane::Conversation(hasher.finish())
    }

    /// The account that has logged in, as far as its mechanism says: many name the local part only.
    fn authenticated_account(&self) -> Option<Box<str>> {
        let name = self.account.as_deref()?;
        Some(if name.contains('@') { name.into() } else { format!("{name}@{}", self.domain).into() })
    }

    /// The frame as it may be written to the far leg.
    fn safe_bytes(stanza: Stanza<'_>) -> Bytes {
        match stanza.form {
            Form::Verbatim => Bytes::copy_from_slice(stanza.bytes),
            Form::Rewrite | Form::Exotic(_) => {
                let mut out = Vec::with_capacity(stanza.bytes.len() + 64);
                write::canonical(&mut out, stanza.root);
                Bytes::from(out)
            }
        }
    }

    /// The gateway's own header to an end. Nothing of the other end's is passed on but its language.
    fn header(&self, to: End, id: Option<String>, lang: Option<String>) -> Header {
        let domain = Some(self.domain.to_string());
        let (to, from) = if to == End::Server { (domain, None) } else { (None, domain) };
        Header { to, from, id, version: Some("1.0".into()), lang, content_ns: ns::CLIENT.into() }
    }

    /// Opens the stream to an end as the other end opened its own.
    fn open(&mut self, to: End, id: Option<String>, theirs: &Header, steps: &mut Vec<Step>) {
        self.header_written[index(to)] = true;
        let mut out = Vec::with_capacity(256);
        self.header(to, id, theirs.lang.clone()).write(&mut out);
        steps.push(Step::Forward { bytes: out.into(), lane: Lane::Barrier, tag: TAG_PLAIN });
    }

    /// The client is in: from here on the larger bounds hold.
    fn log_in(&mut self, party: Arc<Party>, resumed: bool, steps: &mut Vec<Step>) {
        self.phase = Phase::Bound;
        self.party = Some(party.clone());
        steps.push(Step::Event(Event::LoggedIn { party, mechanism: self.mechanism.clone(), resumed }));
    }

    /// Says what a stanza says, when somebody is there to have said it.
    fn heard(&self, direction: Direction, stanza: Stanza<'_>, now: Timestamp) -> Option<Box<model::Message>> {
        let own = self.party.as_ref()?;
        let is_room = |jid: &str| self.rooms.contains(jid);
        let hearing = Hearing { direction, time: now, own, parties: &*self.host, is_room: &is_room };
        hear(stanza.root, &hearing).map(Box::new)
    }

    fn bad_count(at: End, _: BadCount) -> Ending {
        Ending {
            at,
            condition: Condition::UndefinedCondition,
            text: "acknowledges more stanzas than were sent (XEP-0198)",
        }
    }
}

impl Dialect for Xmpp {
    fn hear(&mut self, from: End, bytes: &[u8], now: Timestamp, steps: &mut Vec<Step>) -> Result<usize, Ending> {
        let mut used = 0;
        let Some(mut reader) = self.readers[index(from)].take() else { return Ok(0) };
        let result = loop {
            let Some(rest) = bytes.get(used..).filter(|rest| !rest.is_empty() && self.listens_to(from)) else {
                break Ok(used);
            };
            if self.managed.overrun {
                let text = "does not acknowledge what it is sent (XEP-0198)";
                break Err(ending(End::Client, Condition::PolicyViolation, text));
            }
            let phase = self.phase;
            let blank = rest.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
            if phase == Phase::Opening && blank > 0 && !reader.is_mid_frame() {
                // Some clients end each element with a line break: the last one of the old stream.
                used += blank;
                if let Err(ending) = self.spend(from, blank) {
                    break Err(ending);
                }
                continue;
            }
            let heard = match reader.next(rest) {
                Err(fault) => Err(fault.at(from)),
                Ok(Read::More) => break Ok(used),
                Ok(Read::Space { used: n }) => {
                    used += n;
                    // None before the far header, nor into the stream that starts again after SASL.
                    if self.phase != Phase::Opening && self.header_written[index(from.far())] {
                        steps.push(Step::Forward { bytes: Bytes::from_static(b" "), lane: Lane::Free, tag: TAG_PLAIN });
                    }
                    self.spend(from, n)
                }
                Ok(Read::End { used: n }) => {
                    used += n;
                    steps.push(Step::End(self.goodbye()));
                    break Ok(used);
                }
                Ok(Read::Header { used: n, header }) => {
                    used += n;
                    self.spend(from, n).and_then(|()| match from {
                        End::Client => self.client_header(&header, steps),
                        End::Server => self.server_header(&header, steps),
                    })
                }
                Ok(Read::Stanza { used: n, stanza }) => {
                    used += n;
                    self.spend(from, n).and_then(|()| match from {
                        End::Client => self.client_stanza(stanza, now, steps),
                        End::Server => self.server_stanza(stanza, now, steps),
                    })
                }
            };
            if let Err(ending) = heard {
                break Err(ending);
            }
            if self.phase == Phase::Opening && phase != Phase::Opening {
                // SASL succeeded: both streams start again, and nothing said before counts.
                reader.restart();
                if let Some(far) = &mut self.readers[index(from.far())] {
                    far.restart();
                    far.set_limits(self.settings.after);
                }
                break Ok(used);
            }
        };
        self.readers[index(from)] = Some(reader);
        result
    }

    fn listens_to(&self, end: End) -> bool {
        let full = |ledger: &Option<Ledger>| ledger.as_ref().is_some_and(Ledger::is_full);
        match end {
            End::Client => {
                !matches!(self.phase, Phase::Answering | Phase::Unparking | Phase::Resuming) && !full(&self.managed.up)
            }
            End::Server => self.phase != Phase::Unparking && !full(&self.managed.down),
        }
    }

    fn enforce(&mut self, from: End, bytes: &Bytes, ruling: Ruling<'_>) -> Enforced {
        let Ok(parsed) = Parsed::new(bytes.clone()) else {
            // Our own reader accepted these bytes before; if it does not now, nothing may pass.
            return Enforced { disconnect: from == End::Client, ..Enforced::default() };
        };
        let stanza = parsed.stanza();
        let verdict = ruling.verdict;
        let notice = verdict.notice.as_deref().unwrap_or("Stopped by your organisation's messaging policy.");
        // Who is only written to must not lose the session over it.
        let disconnect = verdict.effect == Effect::Disconnect && from == End::Client;
        let mut enforced = Enforced { disconnect, ..Enforced::default() };
        match (verdict.effect, from) {
            (Effect::Allow, _) => enforced.forward = Some(bytes.clone()),
            (Effect::Warn, _) => enforced.forward = Some(enforce::warned(stanza.root, notice).into()),
            (Effect::Redact, _) => {
                enforced.forward = Some(enforce::redacted(stanza.root, ruling.message, ruling.findings).into());
                if from == End::Client {
                    enforced.reply = self.notice(stanza, notice);
                }
            }
            (Effect::Quarantine, End::Client) if !stanza.root.is(ns::CLIENT, "iq") => {
                if !verdict.silent {
                    enforced.reply = self.notice(stanza, notice);
                }
            }
            // Who asked waits for an answer, and must get one.
            (Effect::Quarantine | Effect::Block | Effect::Disconnect, End::Client) if is_answer(stanza) => {
                enforced.forward = Some(enforce::replaced(stanza.root, notice).into());
            }
            (Effect::Quarantine | Effect::Block | Effect::Disconnect, End::Client) => {
                enforced.reply = self.refusal(stanza, verdict, notice);
            }
            (Effect::Quarantine | Effect::Block | Effect::Disconnect, End::Server) => {
                enforced.forward = Some(enforce::replaced(stanza.root, notice).into());
                // A message is never bounced, but who asks for something (a call, a file offer) waits for an answer.
                if stanza.root.is(ns::CLIENT, "iq") {
                    enforced.reply = self.refusal(stanza, verdict, notice);
                }
            }
        }
        if matches!(verdict.effect, Effect::Warn | Effect::Redact)
            && let Some(now_says) = enforced.forward.as_ref().and_then(|b| Parsed::new(b.clone()).ok())
        {
            let direction = ruling.message.direction;
            enforced.says = self.heard(direction, now_says.stanza(), ruling.message.time);
        }
        enforced
    }

    fn wrote(&mut self, from: End, tag: Tag, bytes: &Bytes) -> Option<Bytes> {
        if let Some(count) = self.managed.count_of(tag) {
            self.ledger(from)?.send(count);
        } else if tag == TAG_OWN {
            let counts = self.counts(from);
            if counts && let Some(ledger) = self.ledger(from) {
                let kept = ledger.own(bytes.clone());
                // The server's share grows with what strangers send, the client's only with its own doing.
                self.managed.overrun |= !kept && from == End::Server;
            }
        } else if tag == TAG_ENABLE {
            self.managed.up_counts = true;
        } else if tag == TAG_AGREED {
            self.managed.down_counts = true;
        }
        self.follow_up(from)
    }

    fn kept(&mut self, from: End, tag: Tag) -> Option<Bytes> {
        let count = self.managed.count_of(tag)?;
        self.ledger(from)?.settle(count);
        self.follow_up(from)
    }

    fn own(&self) -> Tag {
        TAG_OWN
    }

    fn has_room(&self, to: End) -> bool {
        let ledger = match to {
            End::Client => &self.managed.down,
            End::Server => &self.managed.up,
        };
        ledger.as_ref().is_none_or(Ledger::has_room)
    }

    fn late(&self, to: End, bytes: &Bytes, since: Timestamp) -> Option<Bytes> {
        let mut parsed = Parsed::new(bytes.clone()).ok()?;
        if to == End::Server {
            // The session it goes out on may have another resource than the one that said it.
            parsed = Parsed::new(without_from(parsed.stanza().root)).ok()?;
        }
        Some(enforce::stamped(parsed.stanza().root, &self.domain, since).into())
    }

    fn is_in_session(&self) -> bool {
        self.phase == Phase::Bound
    }

    fn is_mid_frame(&self, end: End) -> bool {
        self.readers[index(end)].as_ref().is_some_and(Reader::is_mid_frame)
    }

    fn goodbye(&self) -> Bytes {
        Bytes::from_static(b"</stream:stream>")
    }

    fn farewell(&self, to: End, ending: &Ending) -> Bytes {
        let mut out = Vec::with_capacity(512);
        if !self.header_written[index(to)] {
            let id = (to == End::Client).then(|| self.stream_id.to_string());
            self.header(to, id, None).write(&mut out);
        }
        write::stream_error(&mut out, &Fault { condition: ending.condition, text: ending.text });
        out.extend_from_slice(b"</stream:stream>");
        Bytes::from(out)
    }

    fn park(&mut self) -> Option<Parked> {
        let id = self.managed.id.take()?;
        let kept = match self.resuming.take() {
            // Lost again before the server has answered.
            Some(kept) => kept,
            None if self.managed.overrun => return None,
            None => Box::new(Kept {
                up: self.managed.up.take()?,
                down: self.managed.down.take()?,
                party: self.party.clone()?,
                rooms: std::mem::take(&mut self.rooms),
            }),
        };
        let account = kept.party.address.account.clone();
        Some(Parked { id, account, state: kept as Box<dyn Any + Send> })
    }

    fn unpark(&mut self, parked: Option<Parked>, _now: Timestamp, steps: &mut Vec<Step>) {
        self.resume(parked, steps);
    }
}

impl Xmpp {
    /// Counts what a client sends before it has proved who it is.
    fn spend(&mut self, from: End, bytes: usize) -> Result<(), Ending> {
        if from == End::Server || self.authenticated {
            return Ok(());
        }
        self.before_used += bytes;
        if self.before_used > self.settings.before_bytes {
            return Err(Ending {
                at: from,
                condition: Condition::PolicyViolation,
                text: "too much data before authentication",
            });
        }
        Ok(())
    }

    /// The protocol's error for a stanza that policy stopped.
    fn refusal(&self, stanza: Stanza<'_>, verdict: &Verdict, notice: &str) -> Option<Bytes> {
        let (kind, condition) = match verdict.on_fault {
            // Nothing is wrong with the stanza: it may be sent again.
            true => (enforce::ErrorType::Wait, "resource-constraint"),
            false => (enforce::ErrorType::Modify, "policy-violation"),
        };
        enforce::error_reply(stanza.root, kind, condition, Some(notice)).map(Bytes::from)
    }

    /// A word from the gateway beside the conversation, in the name of the domain.
    fn notice(&self, stanza: Stanza<'_>, text: &str) -> Option<Bytes> {
        if !stanza.root.is(ns::CLIENT, "message") {
            return None;
        }
        let mut out = Vec::with_capacity(256);
        out.extend_from_slice(b"<message type='normal'");
        attribute(&mut out, "from", &self.domain);
        if let Some(party) = &self.party {
            attribute(&mut out, "to", &party.address.to_string());
        }
        out.extend_from_slice(b"><body>");
        write::escape_text(&mut out, text);
        out.extend_from_slice(b"</body></message>");
        Some(Bytes::from(out))
    }

    /// A request for acknowledgement of the gateway's own, where one is due:
    /// the peer's passed frames that have been written since, or the ledger grows long.
    fn follow_up(&mut self, from: End) -> Option<Bytes> {
        if !self.counts(from) {
            return None;
        }
        let owed = self.managed.owed[index(from)];
        let ledger = self.ledger(from)?;
        let due = (owed && !ledger.is_waiting()) || ledger.asks();
        if !due {
            return None;
        }
        self.managed.owed[index(from)] = false;
        Some(Bytes::from_static(b"<r xmlns='urn:xmpp:sm:3'/>"))
    }

    /// Whether the end that frames from here are written to counts them.
    fn counts(&self, from: End) -> bool {
        match from {
            End::Client => self.managed.up_counts,
            End::Server => self.managed.down_counts,
        }
    }
}

/// Whether a stanza answers an iq: there is no reply to it, and somebody waits for it.
fn is_answer(stanza: Stanza<'_>) -> bool {
    stanza.root.is(ns::CLIENT, "iq") && matches!(stanza.root.attr("type"), Some("result" | "error"))
}

/// A stanza without its sender.
fn without_from(root: Element<'_>) -> Bytes {
    let mut out = Vec::with_capacity(512);
    write::rewrite(&mut out, root, &mut |element| {
        if element.index() == root.index() { write::Edit::DropAttr("from") } else { write::Edit::Keep }
    });
    out.into()
}

/// Whether a name is one of the defined conditions, as far as its letters tell: nothing else is repeated.
fn is_condition(name: &str) -> bool {
    (1..=64).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'-')
}

fn attribute(out: &mut Vec<u8>, name: &str, value: &str) {
    out.push(b' ');
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"='");
    write::escape_attr(out, value);
    out.push(b'\'');
}

impl Fault {
    /// The fault as the end of a session.
    pub fn at(self, at: End) -> Ending {
        Ending { at, condition: self.condition, text: self.text }
    }
}

fn ending(at: End, condition: Condition, text: &'static str) -> Ending {
    Ending { at, condition, text }
}
