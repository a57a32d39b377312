//! A whole XMPP session from arbitrary bytes of both ends: no panic, and nothing of a client reaches the server before
//! it has logged in but what a login needs.
#![no_main]

use std::sync::Arc;

use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;
use model::{Address, Party, PartyKind, Side};
use wire::dialect::{Dialect, End, Ruling, Step};
use wire::xmpp::dialect::{Settings, Slot, SlotRequest, Slots, Xmpp};
use wire::xmpp::hear::Parties;

struct House;

impl Parties for House {
    fn party(&self, address: Address, kind: PartyKind) -> Arc<Party> {
        Arc::new(Party::stranger(address, kind, Side::Internal))
    }
}

impl Slots for House {
    fn takes_uploads(&self) -> bool {
        true
    }

    fn offer(&self, _party: &Party, _request: &SlotRequest, slot: Slot) -> Option<Slot> {
        Some(slot)
    }
}

/// Carries steps out, judging each message by its length.
fn carry_out(dialect: &mut Xmpp, from: End, steps: Vec<Step>) {
    for step in steps {
        match step {
            Step::Forward { bytes, tag, .. } => drop(dialect.wrote(from, tag, &bytes)),
            Step::Reply { bytes, tag } => drop(dialect.wrote(from.far(), tag, &bytes)),
            Step::Judge { message, bytes, tag, .. } => {
                let effect = model::Effect::ALL[bytes.len() % model::Effect::ALL.len()];
                let verdict = model::Verdict { effect, ..model::Verdict::default() };
                let enforced = dialect.enforce(from, &bytes, Ruling { verdict: &verdict, findings: &[], message: &message });
                match enforced.forward {
                    Some(bytes) => drop(dialect.wrote(from, tag, &bytes)),
                    None => drop(dialect.kept(from, tag)),
                }
                if let Some(reply) = enforced.reply {
                    let tag = dialect.own();
                    drop(dialect.wrote(from.far(), tag, &reply));
                }
            }
            Step::Event(_) | Step::End(_) => {}
        }
    }
}

/// What sessions are made of, so that the fuzzer gets past the login; anything may stand before and behind.
const PHRASES: &[&str] = &[
    "",
    "<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='server.test' version='1.0'>",
    "<stream:features><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>PLAIN</mechanism></mechanisms></stream:features>",
    "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AGEAYg==</auth>",
    "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>",
    "<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><not-authorized/></failure>",
    "<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>",
    "<iq type='result' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><jid>a@server.test/r</jid></bind></iq>",
    "<enable xmlns='urn:xmpp:sm:3' resume='true'/>",
    "<enabled xmlns='urn:xmpp:sm:3' id='s' resume='true'/>",
    "<resume xmlns='urn:xmpp:sm:3' previd='s' h='0'/>",
    "<resumed xmlns='urn:xmpp:sm:3' previd='s' h='1'/>",
    "<r xmlns='urn:xmpp:sm:3'/>",
    "<a xmlns='urn:xmpp:sm:3' h='1'/>",
    "<message to='b@server.test' type='chat' id='1'><body>hello</body></message>",
    "<message from='b@server.test' type='groupchat'><body>hello</body></message>",
    "<presence to='r@rooms.test/n'><x xmlns='http://jabber.org/protocol/muc'/></presence>",
    "<iq type='get' to='u.test' id='u'><request xmlns='urn:xmpp:http:upload:0' filename='f' size='1'/></iq>",
    "<iq type='result' id='u'><slot xmlns='urn:xmpp:http:upload:0'><put url='https://x.test/p'/><get url='https://x.test/g'/></slot></iq>",
    "</stream:stream>",
];

fuzz_target!(|said: Vec<(u8, Vec<u8>)>| {
    let mut dialect = Xmpp::new(Settings::default(), Arc::new(House), "server.test", "id");
    let mut unread = [Vec::new(), Vec::new()];
    for (choice, bytes) in said {
        let (end, unread) = if choice & 1 == 0 { (End::Client, &mut unread[0]) } else { (End::Server, &mut unread[1]) };
        unread.extend_from_slice(PHRASES[usize::from(choice >> 1) % PHRASES.len()].as_bytes());
        unread.extend_from_slice(&bytes);
        let mut steps = Vec::new();
        let heard = dialect.hear(end, unread, Timestamp::UNIX_EPOCH, &mut steps);
        carry_out(&mut dialect, end, steps);
        match heard {
            Ok(used) => drop(unread.drain(..used)),
            Err(ending) => {
                let _ = dialect.farewell(End::Client, &ending);
                return;
            }
        }
    }
    if let Some(parked) = dialect.park() {
        let mut steps = Vec::new();
        dialect.unpark(Some(parked), Timestamp::UNIX_EPOCH, &mut steps);
    }
});
