//! Sessions over loopback connections: a client and a server that follow a script, and a judge that keeps no record.

use model::{Address, Party, PartyKind, Side};
use policy::Policy;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use uuid::Uuid;
use wire::xmpp::dialect::{Settings, Slot as UploadSlot, SlotRequest, Slots, Xmpp};
use wire::xmpp::hear::Parties;

use super::*;
use crate::doorkeeper::{Doorkeeper, Limits};
use crate::registry::Receipt;

struct House;

impl Parties for House {
    fn party(&self, address: Address, kind: PartyKind) -> Arc<Party> {
        Arc::new(Party::stranger(address, kind, Side::Internal))
    }
}

impl Slots for House {
    fn takes_uploads(&self) -> bool {
        false
    }

    fn offer(&self, _party: &Party, _request: &SlotRequest, _slot: UploadSlot) -> Option<UploadSlot> {
        None
    }
}

/// Allows everything.
fn judge() -> Judge {
    let text = "@id(\"all\") permit (principal, action, resource);";
    let policy = Policy::load(&[("t.cedar", text)], &[]).unwrap();
    let rules = judge::Rules { policy, detectors: Vec::new(), indicators: "none".into(), files: None };
    let lookups = judge::Lookups::new(None, inspect::files::Limits::default(), Duration::from_secs(1), 1);
    Judge::new(judge::Settings::default(), rules, Vec::new(), identity::Directory::empty(&[]), lookups, None)
}

/// Two ends of one connection whose buffers are small, so that what is not read soon stands in the session.
async fn connection() -> (TcpStream, TcpStream) {
    const BUFFER: u32 = 16 << 10;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let ours = TcpSocket::new_v4().unwrap();
    ours.set_recv_buffer_size(BUFFER).unwrap();
    let (ours, theirs) = tokio::join!(ours.connect(listener.local_addr().unwrap()), listener.accept());
    let theirs = theirs.unwrap().0;
    socket2::SockRef::from(&theirs).set_send_buffer_size(BUFFER as usize).unwrap();
    (ours.unwrap(), theirs)
}

/// A client, its server, and the session between them.
struct Line {
    client: TcpStream,
    server: TcpStream,
    shared: Arc<Shared>,
    session: JoinHandle<()>,
}

const HEADER: &str = "<?xml version='1.0'?><stream:stream xmlns='jabber:client' \
    xmlns:stream='http://etherx.jabber.org/streams' to='server.test' version='1.0'>";
const SERVER_HEADER: &str = "<?xml version='1.0'?><stream:stream xmlns='jabber:client' \
    xmlns:stream='http://etherx.jabber.org/streams' from='server.test' id='s1' version='1.0'>";

impl Line {
    async fn open() -> Line {
        let (client, client_leg) = connection().await;
        let (server, server_leg) = connection().await;
        let (registry, _logins) = Registry::new(16, Duration::from_secs(60));
        let deadlines = Deadlines::default();
        let shared = Arc::new(Shared { judge: judge(), registry, metrics: Metrics::default(), deadlines });
        let dialect = Xmpp::new(Settings::default(), Arc::new(House), "server.test", "g1");
        let address = client.local_addr().unwrap();
        let pass = Doorkeeper::new(Limits::default()).admit(address.ip(), Instant::now()).unwrap();
        let leg = |stream| Leg::new(Stream::Plain(stream), BytesMut::new());
        let session = Session::new(
            shared.clone(),
            Box::new(dialect),
            leg(client_leg),
            leg(server_leg),
            (address, pass),
            Instant::now(),
        );
        let mut line = Line { client, server, shared, session: crate::task::spawn_named("session", session) };
        line.log_in().await;
        line
    }

    async fn log_in(&mut self) {
        let sasl = "xmlns='urn:ietf:params:xml:ns:xmpp-sasl'";
        let bind = "xmlns='urn:ietf:params:xml:ns:xmpp-bind'";
        for (asks, answers) in [
            (
                HEADER.to_owned(),
                format!(
                    "{SERVER_HEADER}<stream:features><mechanisms {sasl}><mechanism>PLAIN</mechanism></mechanisms></stream:features>"
                ),
            ),
            (format!("<auth {sasl} mechanism='PLAIN'>AGFsaWNlAHB3</auth>"), format!("<success {sasl}/>")),
            (HEADER.to_owned(), format!("{SERVER_HEADER}<stream:features><bind {bind}/></stream:features>")),
            (
                format!("<iq type='set' id='b1'><bind {bind}/></iq>"),
                format!("<iq type='result' id='b1'><bind {bind}><jid>alice@server.test/desk</jid></bind></iq>"),
            ),
        ] {
            say(&mut self.client, &asks).await;
            hear_until(&mut self.server, last_tag(&asks)).await;
            say(&mut self.server, &answers).await;
            hear_until(&mut self.client, last_tag(&answers)).await;
        }
    }
}

/// From the last `<` on, which no frame of the script has twice; a header ends the same whoever writes it.
fn last_tag(text: &str) -> &str {
    if text.ends_with("version='1.0'>") { "version='1.0'>" } else { &text[text.rfind('<').unwrap()..] }
}

async fn say(stream: &mut TcpStream, text: &str) {
    stream.write_all(text.as_bytes()).await.unwrap();
}

/// Reads until the text ends so.
async fn hear_until(stream: &mut TcpStream, end: &str) -> String {
    let mut heard = Vec::new();
    while !heard.ends_with(end.as_bytes()) {
        let n = stream.read_buf(&mut heard).await.unwrap();
        assert_ne!(n, 0, "{end} was expected after {}", String::from_utf8_lossy(&heard));
    }
    String::from_utf8(heard).unwrap()
}

/// Reads to the end of the connection, which must be one in order.
async fn hear_out(stream: &mut TcpStream) -> String {
    let mut heard = String::new();
    stream.read_to_string(&mut heard).await.unwrap();
    heard
}

fn messages(range: std::ops::Range<u32>, to: &str) -> String {
    range.map(|i| format!("<message {to} id='m{i}' type='chat'><body>number {i}</body></message>")).collect()
}

const TO_BOB: &str = "to='bob@server.test'";
const FROM_BOB: &str = "from='bob@server.test/x' to='alice@server.test/desk'";
const END: &str = "</stream:stream>";

#[tokio::test]
async fn messages_pass_unchanged_and_in_order() {
    let mut line = Line::open().await;
    let (up, down) = (messages(0..500, TO_BOB), messages(0..500, FROM_BOB));
    say(&mut line.client, &up).await;
    say(&mut line.server, &down).await;
    let (at_server, at_client) = tokio::join!(
        hear_until(&mut line.server, "number 499</body></message>"),
        hear_until(&mut line.client, "number 499</body></message>")
    );
    assert_eq!(at_server, up);
    assert_eq!(at_client, down);
}

#[tokio::test]
async fn the_servers_last_words_follow_the_clients_goodbye() {
    let mut line = Line::open().await;
    say(&mut line.client, END).await;
    hear_until(&mut line.server, END).await;
    let last = messages(0..3, FROM_BOB) + END;
    say(&mut line.server, &last).await;
    assert_eq!(hear_out(&mut line.client).await, last);
    assert_eq!(hear_out(&mut line.server).await, "");
    line.session.await.unwrap();
}

#[tokio::test]
async fn what_a_lost_client_sent_arrives_though_the_server_was_speaking() {
    let Line { mut client, mut server, session, .. } = Line::open().await;
    let sent = messages(0..200, TO_BOB);
    say(&mut client, &sent).await;
    // Bytes that the session never hears must not reset the connection under what it has written.
    say(&mut server, &messages(0..100, FROM_BOB)).await;
    client.shutdown().await.unwrap();
    let heard = hear_out(&mut server).await;
    assert_eq!(heard, sent, "all of it, and no goodbye that would end a session its client may take up again");
    assert!(!session.is_finished(), "the server may still be reading");
    drop(server);
    session.await.unwrap();
}

#[tokio::test]
async fn going_down_delivers_what_was_said_and_tells_both_ends() {
    let mut line = Line::open().await;
    let sent = messages(0..200, TO_BOB);
    say(&mut line.client, &sent).await;
    hear_until(&mut line.server, "number 199</body></message>").await;
    line.shared.registry.shut_down();
    assert_eq!(hear_out(&mut line.server).await, END);
    drop(line.server);
    let words = hear_out(&mut line.client).await;
    assert!(words.contains("system-shutdown") && words.ends_with(END), "{words}");
    line.session.await.unwrap();
    assert!(line.shared.registry.is_empty());
}

#[tokio::test]
async fn a_release_is_delivered_and_told_of() {
    let mut line = Line::open().await;
    let (office, mut outcomes) = mpsc::channel(1);
    let id = Uuid::from_u128(7);
    let letter = Letter::Release {
        bytes: Bytes::from(messages(0..1, FROM_BOB)),
        to: End::Client,
        since: jiff::Timestamp::UNIX_EPOCH,
        receipt: Receipt { id, office: office.reserve_owned().await.unwrap() },
    };
    assert!(line.shared.registry.post("alice@server.test", letter).is_ok());
    let late = hear_until(&mut line.client, "</message>").await;
    assert!(late.contains("number 0") && late.contains("urn:xmpp:delay"), "{late}");
    assert_eq!(outcomes.recv().await, Some((id, Ok(()))));
    assert_eq!(outcomes.recv().await, None, "no receipt is left anywhere");
}

/// Keeps the paused clock where it is until it is dropped: it runs on by itself only while nothing blocks.
fn hold_clock() -> std::sync::mpsc::SyncSender<()> {
    let (sender, receiver) = std::sync::mpsc::sync_channel::<()>(1);
    #[allow(clippy::disallowed_methods, reason = "ends with the test")]
    let _held = tokio::task::spawn_blocking(move || receiver.recv());
    sender
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_is_waited_for_and_a_stuck_one_is_not() {
    let _clock = hold_clock();
    let Line { mut client, mut server, shared, session } = Line::open().await;
    let stall = shared.deadlines.stall;
    let flood = messages(0..20_000, FROM_BOB);
    // More than all buffers between the two hold, so that each portion read makes the session write.
    const PORTION: usize = 256 << 10;
    assert!(flood.len() > 6 * PORTION);
    let expected = flood.clone();
    let writing = crate::task::spawn_named("server", async move {
        let _cut = server.write_all(flood.as_bytes()).await;
        server
    });
    let mut portion = vec![0; PORTION];
    for i in 0..4 {
        client.read_exact(&mut portion).await.unwrap();
        assert_eq!(portion, expected.as_bytes()[i * PORTION..(i + 1) * PORTION]);
        tokio::time::advance(stall * 9 / 10).await;
    }
    assert!(!session.is_finished(), "it reads, if slowly");
    // Nothing more is read.
    while !session.is_finished() {
        tokio::time::advance(stall / 10).await;
        tokio::task::yield_now().await;
    }
    assert!(shared.registry.is_empty());
    writing.abort();
}
