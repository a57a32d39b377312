//! Both sides of STARTTLS against anything: no panic, the same end at any chunking, and TLS is never started with a
//! byte left over.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wire::xmpp::starttls::{Accepting, Initiating, Next};
use wire::xmpp::{Condition, Fault, Limits};

#[derive(Debug, PartialEq, Eq)]
enum End {
    More,
    Secure,
    Closed,
    Fault(Condition),
}

/// Feeds `bytes` in pieces of `piece`; returns how it ended, and how many bytes were read by then.
fn feed(bytes: &[u8], piece: usize, hear: &mut dyn FnMut(&[u8]) -> Result<Next, Fault>) -> (End, usize) {
    let mut unread: Vec<u8> = Vec::new();
    let mut read = 0;
    for chunk in bytes.chunks(piece.max(1)) {
        unread.extend_from_slice(chunk);
        read += chunk.len();
        match hear(&unread) {
            Ok(Next::More { used, .. }) => drop(unread.drain(..used)),
            Ok(Next::Secure { .. }) => return (End::Secure, read),
            Ok(Next::End) => return (End::Closed, read),
            Err(fault) => return (End::Fault(fault.condition), read),
        }
    }
    (End::More, read)
}

/// Put before, between and behind the fuzzer's own bytes.
const PHRASES: &[&str] = &[
    "",
    "<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='example.test' version='1.0'>",
    "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>",
    "<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:features>",
    "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>",
    "</stream:stream>",
];

fuzz_target!(|input: (Vec<(u8, Vec<u8>)>, u8)| {
    let (parts, piece) = input;
    let mut bytes = Vec::new();
    for (choice, part) in parts {
        bytes.extend_from_slice(PHRASES[usize::from(choice) % PHRASES.len()].as_bytes());
        bytes.extend_from_slice(&part);
    }
    let accept = |piece| {
        let mut leg = Accepting::new(Limits::UNAUTHENTICATED, "id");
        feed(&bytes, piece, &mut |heard| leg.hear(heard))
    };
    let initiate = |piece| {
        let mut leg = Initiating::new(Limits::AUTHENTICATED, "example.test").0;
        feed(&bytes, piece, &mut |heard| leg.hear(heard))
    };
    for (whole, pieces) in [(accept(bytes.len()), accept(usize::from(piece))), (initiate(bytes.len()), initiate(usize::from(piece)))] {
        // In one piece, TLS starts only when nothing stands behind the element that starts it. In pieces it may start
        // earlier, before those bytes are there; they are TLS's then, not ours.
        match (&whole.0, &pieces.0) {
            (End::Secure, end) => assert_eq!(*end, End::Secure),
            (End::Fault(_), End::Secure) => assert!(pieces.1 < bytes.len()),
            (End::Fault(_), end) => assert!(matches!(end, End::Fault(_)), "{whole:?} {pieces:?}"),
            (end, other) => assert_eq!(end, other),
        }
    }
});
