//! Links and files that spread like a worm, and texts that many send.
//!
//! # What tells a worm from a joke
//!
//! A link that hundreds of people pass on and a link that a worm sends from
//! account to account look alike in number. They differ in how each account
//! behaves. A person reads, then passes on to one, two or three people, or to
//! a room, at the speed of a hand. A worm sends to everybody its victim knows,
//! at the speed of a machine, soon after the victim received it; and since it
//! walks the contact list, it also sends back to where it came from. That the
//! recipients are strangers to the sender speaks for a worm too, but cannot be
//! asked for: a victim's contacts are people he knows.
//!
//! So for each link or file a *chain* is followed: who received it from whom,
//! and what those who received it then did. An account that received it and
//! sends it on is a **relay**, and gets points:
//!
//! | what a relay did | points |
//! | --- | --- |
//! | sent to people within [`RAPID`] of each other, beyond the third | 1 each, to 6; to 3 when it knows most of them |
//! | sent to people it is known not to know, at any speed, beyond the sixth | 1 each, to 3 |
//! | sent to four and more, and back to whom it came from | 2 |
//! | sent to two and more, the first within [`QUICK`] of receiving it | 1 |
//!
//! The first three count only if it had come from an account that itself sent
//! it to four or more: where one colleague asks another to tell the team,
//! nothing is spreading. The link is an outbreak, and stays one until it has
//! not been seen for the window, when its relays have [`ENOUGH`] points
//! together, **and** there is a relay with points for every three accounts
//! that sent it to three or fewer. The second condition is what keeps a
//! popular link clear: among hundreds who pass it on there are always some who
//! send it to ten, but they are few.
//!
//! Also an outbreak: an account whose habits are known sends the same link or
//! file to [`STRANGERS`] people it does not know, three in four at machine
//! speed. On the first day, when everybody is new to everybody, this does not
//! speak.
//!
//! # What is never an outbreak
//!
//! One account to any number of people it knows (a meeting link, a notice to
//! all), with or without a few who pass it on by hand; a crowd that posts a
//! link to rooms; any text. To [`MANY`] people not known to be acquainted is
//! `outbreak.fanout`, moderate; a link that many send is `outbreak.popular`, a
//! hint; so is `outbreak.text`, since people and load tests do say the same
//! things.
//!
//! # What it does not see
//!
//! A link that is different for each recipient (its text may still be seen);
//! who read a link in a room; a patient worm that sends to three a day. An
//! attacker who already has three accounts for each victim can hide a chain
//! among them.
//!
//! Everything is per *run*: an account that pauses for [`RUN`] starts anew, so
//! that a link to the canteen, sent now and then by everybody to everybody,
//! does not add up.

use std::sync::{Arc, Mutex, PoisonError};

use model::{Finding, Record, SymbolInfo};
use smallvec::SmallVec;

use super::contacts::{Acquaintance, Relation};
use super::shapes::{Crowd, Reach, Shapes};
use super::table::{Table, Worth};
use super::{Config, Ids, SPACE_EDGE, SPACE_FILE, SPACE_LINK, SPACE_RECEIPT, SPACE_SENDER, Sending};
use crate::{Case, Findings, Tracker};

/// Sendings closer together than this are a machine's, in milliseconds.
const RAPID: i64 = 3_000;
/// Nobody reads and passes on in less, in milliseconds.
const QUICK: i64 = 5_000;
/// A pause that ends a run, in milliseconds.
const RUN: u64 = 10 * 60 * 1000;
/// To more than this many, an account is not just passing on.
const FEW: u16 = 3;
/// At the speed of a hand, more than this many are needed.
const SOME: u16 = 6;
/// Points that make an outbreak.
const ENOUGH: u32 = 6;
/// Accounts that just pass on, for each relay with points.
const BYSTANDERS: u32 = 3;
/// Strangers that one account has to send to for an outbreak of its own.
const STRANGERS: u16 = 24;
/// People that one account has to send to for `outbreak.fanout`.
const MANY: u16 = 12;
/// Accounts that have to send a link for `outbreak.popular`, or a text for `outbreak.text`.
const POPULAR: u32 = 10;
/// Strangers that have to receive a text for `outbreak.text`.
const TOLD: u32 = 16;
/// Links and files of one message that are followed.
const KEYS: usize = 8;

const LINK: SymbolInfo =
    symbol("outbreak.link", 9.0, "The link spreads from account to account as a worm does", Some("T1534"));
const FILE: SymbolInfo =
    symbol("outbreak.file", 9.0, "The file spreads from account to account as a worm does", Some("T1534"));
const FANOUT: SymbolInfo = symbol(
    "outbreak.fanout",
    3.0,
    "One account sends the same link or file to many it has not written to before",
    Some("T1534"),
);
const POPULARITY: SymbolInfo = symbol("outbreak.popular", 0.5, "Many accounts send the same link or file", None);
const TEXT: SymbolInfo =
    symbol("outbreak.text", 1.0, "Many accounts send nearly the same text, or one sends it to many strangers", None);

static SYMBOLS: [SymbolInfo; 5] = [LINK, FILE, FANOUT, POPULARITY, TEXT];

const fn symbol(symbol: &'static str, score: f32, about: &'static str, technique: Option<&'static str>) -> SymbolInfo {
    SymbolInfo { symbol, score, about, technique }
}

/// A link or file.
#[derive(Clone, Default)]
struct Key {
    /// Start of the period that the numbers below are of.
    since: i64,
    /// Number of that period; states of senders from another one are void.
    period: u16,
    /// Points of all relays.
    points: u32,
    /// Relays with points.
    relays: u32,
    /// Accounts that sent it to a few.
    bystanders: u32,
    /// Accounts that sent it anywhere.
    crowd: Crowd,
    outbreak: bool,
}

impl Worth for Key {
    fn worth(&self) -> u8 {
        match self {
            Key { outbreak: true, .. } => 3,
            Key { points: 1.., .. } => 2,
            key => u8::from(key.crowd.count() > 2),
        }
    }
}

/// What one account did with one link or file.
#[derive(Clone, Default)]
struct Sender {
    last: i64,
    /// Whom it came from, when it was received first.
    source: Option<u64>,
    period: u16,
    /// People it was sent to in this run; of them, at machine speed; of them, known to be
    /// strangers; of them, known to be acquainted.
    sent: u16,
    rapid: u16,
    strangers: u16,
    acquainted: u16,
    points: u8,
    /// Has sent to more than a few in some run of this period.
    wide: bool,
    quick: bool,
    returned: bool,
    /// Counted among those who just pass it on.
    bystander: bool,
}

impl Worth for Sender {
    fn worth(&self) -> u8 {
        u8::from(self.wide) + u8::from(self.points > 0)
    }
}

/// Who received one link or file last from whom, and when.
#[derive(Clone, Default)]
struct Receipt {
    at: i64,
    from: u64,
}

impl Worth for Receipt {}

/// How a link or file looks after one more sending.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Spread {
    Ordinary,
    /// Sent by about this many accounts.
    Popular(u32),
    /// Sent by this account to this many.
    Fanout(u16),
    /// Spreads by this many relays (none: by one account alone).
    Outbreak(u32),
}

/// The tracker.
pub(super) struct Outbreak {
    keys: Table<Key>,
    senders: Table<Sender>,
    /// That this account sent this link to that one.
    edges: Table<()>,
    receipts: Table<Receipt>,
    shapes: Shapes,
    acquaintance: Arc<Mutex<Acquaintance>>,
    ids: Ids,
    window: i64,
}

impl Outbreak {
    pub(super) fn new(config: &Config, acquaintance: Arc<Mutex<Acquaintance>>) -> Outbreak {
        let window = u64::from(config.window_hours.max(1)) * 60 * 60 * 1000;
        let entries = config.entries();
        Outbreak {
            keys: Table::new(entries, window),
            senders: Table::new(entries * 4, window),
            edges: Table::new(entries * 16, window),
            receipts: Table::new(entries * 8, window),
            shapes: Shapes::new(entries * 2),
            acquaintance,
            ids: Ids::new(config),
            window: window.cast_signed(),
        }
    }

    /// Takes in that a link or file was sent, and says how it looks now.
    fn spread(&mut self, key: u64, sending: &Sending, relation: Relation) -> Spread {
        let now = sending.now;
        let sent = if sending.direct { self.sent(key, sending, relation) } else { 0 };
        let (state, _) = self.keys.entry(key, now);
        state.crowd.add(sending.from);
        if state.outbreak {
            return Spread::Outbreak(state.relays);
        }
        match state.crowd.count() {
            _ if sent > MANY => Spread::Fanout(sent),
            crowd if crowd >= POPULAR => Spread::Popular(crowd),
            _ => Spread::Ordinary,
        }
    }

    /// Follows the chain by one direct sending; gives to how many people not
    /// known to be acquainted the account has sent it in this run.
    fn sent(&mut self, key: u64, sending: &Sending, relation: Relation) -> u16 {
        let Sending { now, from, to, .. } = *sending;
        let period = self.period(key, now);
        let sender = self.ids.join(SPACE_SENDER, key, from);
        let edge = |ids: &Ids, from, to| ids.join(SPACE_EDGE, key, ids.join(SPACE_EDGE, from, to));
        let receipt = self.receipts.get(self.ids.join(SPACE_RECEIPT, key, from), now).cloned();
        let back = self.edges.get(edge(&self.ids, to, from), now).is_some();
        let (_, first_time) = self.edges.entry(edge(&self.ids, from, to), now);

        let mut state = match self.senders.get(sender, now).filter(|s| s.period == period) {
            Some(state) => state.clone(),
            None => Sender {
                period,
                last: now,
                source: receipt.as_ref().map(|r| r.from),
                quick: receipt.is_some_and(|r| (0..=QUICK).contains(&now.saturating_sub(r.at))),
                ..Sender::default()
            },
        };
        if now.abs_diff(state.last) > RUN {
            state = Sender { sent: 0, rapid: 0, strangers: 0, acquainted: 0, returned: false, ..state };
        }
        if back {
            // To quote a link back to its sender is an answer; only with others beside it does it tell.
            state.returned = true;
        } else if first_time {
            let rapid = state.sent > 0 && now.saturating_sub(state.last) <= RAPID;
            state.sent = state.sent.saturating_add(1);
            state.rapid = state.rapid.saturating_add(u16::from(rapid));
            state.strangers = state.strangers.saturating_add(u16::from(relation == Relation::New));
            state.acquainted = state.acquainted.saturating_add(u16::from(relation == Relation::Acquainted));
            state.wide |= state.sent > FEW;
            *self.receipts.entry(self.ids.join(SPACE_RECEIPT, key, to), now).0 = Receipt { at: now, from };
        }
        state.last = now;
        let source = state.source.map(|source| self.ids.join(SPACE_SENDER, key, source));
        let from_spreader = source.and_then(|s| self.senders.get(s, now)).is_some_and(|s| s.wide && s.period == period);
        self.sum(key, now, &mut state, from_spreader);
        let unacquainted = state.sent.saturating_sub(state.acquainted);
        *self.senders.entry(sender, now).0 = state;
        unacquainted
    }

    /// The current period of a link or file; a new one starts when the window is over.
    fn period(&mut self, key: u64, now: i64) -> u16 {
        let (state, new) = self.keys.entry(key, now);
        if new {
            state.since = now;
        } else if !state.outbreak && now.abs_diff(state.since) > self.window.unsigned_abs() {
            *state = Key { since: now, period: state.period.wrapping_add(1), ..Key::default() };
        }
        state.period
    }

    /// Weighs what one sender has done and carries the change into the sums of the link or file.
    fn sum(&mut self, key: u64, now: i64, sender: &mut Sender, from_spreader: bool) {
        let (state, _) = self.keys.entry(key, now);
        // Points stay once earned: the run they were earned in may be over.
        let points = points(sender, from_spreader).max(sender.points);
        state.points += u32::from(points - sender.points);
        state.relays += u32::from(sender.points == 0 && points > 0);
        sender.points = points;
        let bystander = (sender.sent > 0 || sender.bystander) && !sender.wide && points == 0;
        match (sender.bystander, bystander) {
            (false, true) => state.bystanders += 1,
            (true, false) => state.bystanders = state.bystanders.saturating_sub(1),
            _ => {}
        }
        sender.bystander = bystander;
        let chain = state.points >= ENOUGH && state.relays * BYSTANDERS >= state.bystanders;
        let alone = sender.strangers >= STRANGERS && sender.rapid * 4 >= sender.sent * 3;
        state.outbreak |= chain || alone;
    }

    /// Takes in one link or file of a message of the past or present.
    fn learn(&mut self, key: u64, sending: &Sending) -> Spread {
        let relation = self.acquaintance.lock().unwrap_or_else(PoisonError::into_inner).relation(sending);
        self.spread(key, sending, relation)
    }

    fn learn_text(&mut self, shape: u64, sending: &Sending) -> Option<Reach> {
        let acquaintance = &self.acquaintance;
        let stranger = || {
            let acquaintance = acquaintance.lock().unwrap_or_else(PoisonError::into_inner);
            acquaintance.relation(sending) != Relation::Acquainted
        };
        let reach = self.shapes.learn(shape, sending, stranger);
        (reach.senders >= POPULAR || reach.strangers >= TOLD).then_some(reach)
    }

    /// The links and files of a message, each once, a few at most.
    fn keys(&self, case: &Case<'_>) -> SmallVec<[(u64, bool); KEYS]> {
        let mut keys = SmallVec::new();
        // By the keys that the record keeps, so that what is replayed is the same.
        let links = case.facts.keys.iter().filter_map(|key| Some((self.link(key)?, false)));
        let hashes = case.answers.files.iter().filter(|answer| answer.facts.size > 0);
        let hashes = hashes.flat_map(|answer| answer.facts.hashes());
        let files = hashes.map(|hash| (self.ids.of(SPACE_FILE, hash), true));
        // Files first: there are few, and links may be padded with others.
        for key in files.take(KEYS / 2).chain(links) {
            if keys.len() < KEYS && !keys.contains(&key) {
                keys.push(key);
            }
        }
        keys
    }
}

impl Tracker for Outbreak {
    fn symbols(&self) -> &'static [SymbolInfo] {
        &SYMBOLS
    }

    fn observe(&mut self, case: &Case<'_>, findings: &mut Findings) {
        let keys = self.keys(case);
        let sending = Sending::of(&self.ids, case.message);
        let mut worst = None;
        for (key, is_file) in keys {
            let spread = match &sending {
                Some(sending) => self.learn(key, sending),
                // A copy teaches nothing, but an outbreak is kept from late readers too.
                None => self.known(key, case.message.time.as_millisecond()),
            };
            worst = worst.max(Some((spread, is_file)));
        }
        if let Some(finding) = worst.and_then(|(spread, is_file)| told(spread, is_file)) {
            findings.push(finding);
        }
        if let (Some(shape), Some(sending)) = (case.facts.shape, sending)
            && let Some(reach) = self.learn_text(shape, &sending)
        {
            let Reach { senders, strangers } = reach;
            let explain = match senders >= POPULAR {
                true => format!("About {senders} accounts have sent nearly the same text within the hour"),
                false => format!("Nearly the same text went to about {strangers} who had not been written to before"),
            };
            findings.push(TEXT.found(explain, None));
        }
    }

    fn replay(&mut self, record: &Record) {
        let Some(sending) = Sending::recorded(&self.ids, record) else { return };
        for key in record.keys.iter().take(64) {
            if let Some(link) = self.link(key) {
                self.learn(link, &sending);
            } else if let Some(hash) = key.strip_prefix("sha256:").and_then(bytes_of) {
                self.learn(self.ids.of(SPACE_FILE, &hash), &sending);
            } else if let Some(shape) = key.strip_prefix("shape:").and_then(|hex| u64::from_str_radix(hex, 16).ok()) {
                self.learn_text(shape, &sending);
            }
        }
    }
}

impl Outbreak {
    /// The id of the link that a record key names, if it is one that is followed.
    fn link(&self, key: &str) -> Option<u64> {
        let url = key.strip_prefix("url:")?;
        // Addresses of people stand under most messages and spread nothing.
        let scheme = url.split(':').next().unwrap_or_default();
        (!matches!(scheme, "mailto" | "tel" | "sip" | "sips")).then(|| self.ids.of(SPACE_LINK, url.as_bytes()))
    }

    /// Bytes it takes, for ever.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        let tables = self.keys.bytes() + self.senders.bytes() + self.edges.bytes() + self.receipts.bytes();
        tables + self.shapes.bytes()
    }

    fn known(&self, key: u64, now: i64) -> Spread {
        match self.keys.get(key, now) {
            Some(state) if state.outbreak => Spread::Outbreak(state.relays),
            _ => Spread::Ordinary,
        }
    }
}

/// The points of a relay; the table is in the module's documentation.
fn points(sender: &Sender, from_spreader: bool) -> u8 {
    if sender.source.is_none() {
        return 0;
    }
    let mut points = u16::from(sender.quick && sender.sent >= 2);
    if from_spreader {
        let mostly = |part: u16| part * 2 >= sender.sent;
        points += match mostly(sender.rapid) && sender.rapid > 0 {
            true => sender.sent.saturating_sub(FEW).min(if mostly(sender.acquainted) { 3 } else { 6 }),
            false if mostly(sender.strangers) => sender.sent.saturating_sub(SOME).min(3),
            false => 0,
        };
        points += if sender.returned && sender.sent > FEW { 2 } else { 0 };
    }
    u8::try_from(points).unwrap_or(u8::MAX)
}

fn told(spread: Spread, is_file: bool) -> Option<Finding> {
    let what = if is_file { "file" } else { "link" };
    match spread {
        Spread::Ordinary => None,
        Spread::Popular(senders) => {
            Some(POPULARITY.found(format!("About {senders} accounts have sent this {what}"), None))
        }
        Spread::Fanout(people) => Some(FANOUT.found(
            format!("The account has sent this {what} to {people} people it is not known to be in touch with"),
            None,
        )),
        Spread::Outbreak(relays) => {
            let how = match relays {
                0 => "one account sends it to strangers as fast as a machine".to_owned(),
                n => format!("{n} of those who received it sent it on to everybody they know"),
            };
            let info = if is_file { FILE } else { LINK };
            Some(info.found(format!("This {what} spreads as a worm does: {how}"), None))
        }
    }
}

fn bytes_of(hex: &str) -> Option<[u8; 32]> {
    let digits = hex.as_bytes();
    let mut out = [0; 32];
    if digits.len() != 64 {
        return None;
    }
    for (byte, pair) in out.iter_mut().zip(digits.chunks_exact(2)) {
        let digit = |d: u8| char::from(d).to_digit(16);
        *byte = (digit(pair[0])? * 16 + digit(pair[1])?) as u8;
    }
    Some(out)
}
