//! What reading a stanza costs: a chat message, a room's presence, a large roster.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use wire::xmpp::{Limits, Read, Reader, write};

const HEADER: &[u8] = b"<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' \
                        to='example.net' version='1.0'>";

const MESSAGE: &str = "<message to='juliet@capulet.example' from='romeo@montague.example/orchard' type='chat' \
                       id='a1b2c3d4'><body>I take thee at thy word: call me</body></message>";

const PRESENCE: &str = "<presence from='coven@chat.shakespeare.example/firstwitch' to='crone1@shakespeare.example/desktop' \
    id='3DCB0401'><c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='https://example.net/client' \
    ver='QgayPKawpkPSDYmwT/WM94uAlu0='/><x xmlns='vcard-temp:x:update'><photo>f0e9d8c7b6a5f0e9d8c7b6a5f0e9d8c7b6a5f0e9\
    </photo></x><x xmlns='http://jabber.org/protocol/muc#user'><item affiliation='member' role='participant' \
    jid='hag66@shakespeare.example/pda'/><status code='110'/></x></presence>";

fn roster() -> String {
    let mut roster =
        String::from("<iq id='r1' type='result' to='juliet@example.net/balcony'><query xmlns='jabber:iq:roster'>");
    for n in 0..1_000 {
        roster += &format!(
            "<item jid='person{n}@example.net' name='Person &amp; Company {n}' subscription='both'><group>Friends</group></item>"
        );
    }
    roster + "</query></iq>"
}

fn stanza(c: &mut Criterion) {
    let mut reader = Reader::new(Limits::AUTHENTICATED);
    assert!(matches!(reader.next(HEADER), Ok(Read::Header { .. })));
    let mut group = c.benchmark_group("read");
    for (name, stanza) in [("message", MESSAGE.to_owned()), ("presence", PRESENCE.to_owned()), ("roster", roster())] {
        group.throughput(Throughput::Bytes(stanza.len() as u64));
        group.bench_function(name, |b| {
            b.iter(|| match reader.next(black_box(stanza.as_bytes())) {
                Ok(Read::Stanza { used, stanza }) => black_box((used, stanza.root.attr("to").map(str::len))),
                other => panic!("{other:?}"),
            });
        });
    }
    group.finish();

    let mut group = c.benchmark_group("canonical");
    let mut out = Vec::new();
    for (name, stanza) in [("message", MESSAGE.to_owned()), ("roster", roster())] {
        let parsed = wire::xmpp::Parsed::new(stanza.into()).unwrap_or_else(|e| panic!("{e}"));
        group.throughput(Throughput::Bytes(parsed.bytes().len() as u64));
        group.bench_function(name, |b| {
            b.iter(|| {
                out.clear();
                write::canonical(&mut out, black_box(parsed.stanza().root));
                black_box(out.len())
            });
        });
    }
    group.finish();
}

criterion_group!(benches, stanza);
criterion_main!(benches);
