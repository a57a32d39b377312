//! Sessions from transcripts: who says what, and what goes where.

use std::sync::Mutex;

use model::{Address, PartyKind, Side, Verdict};

use super::*;

/// A role that leads every slot to `gw.test`.
#[derive(Default)]
struct House {
    offered: Mutex<Vec<SlotRequest>>,
    no_uploads: bool,
}

impl Parties for House {
    fn party(&self, address: Address, kind: PartyKind) -> Arc<Party> {
        Arc::new(Party::stranger(address, kind, Side::Internal))
    }
}

impl Slots for House {
    fn takes_uploads(&self) -> bool {
        !self.no_uploads
    }

    fn offer(&self, _party: &Party, request: &SlotRequest, slot: Slot) -> Option<Slot> {
        self.offered.lock().unwrap().push(request.clone());
        let get = slot.get.replace("server.test", "gw.test").into();
        Some(Slot { put: "https://gw.test/up/1".into(), headers: Vec::new(), get })
    }
}

const HEADER: &str = "<?xml version='1.0'?><stream:stream xmlns='jabber:client' \
    xmlns:stream='http://etherx.jabber.org/streams' to='server.test' version='1.0'>";
const SERVER_HEADER: &str = "<?xml version='1.0'?><stream:stream xmlns='jabber:client' \
    xmlns:stream='http://etherx.jabber.org/streams' from='server.test' id='s1' version='1.0'>";
const MECHANISMS: &str = "<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>\
    <mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>SCRAM-SHA-1</mechanism><mechanism>EXTERNAL</mechanism></mechanisms>\
    <compression xmlns='http://jabber.org/features/compress'><method>zlib</method></compression>\
    <authentication xmlns='urn:xmpp:sasl:2'><mechanism>PLAIN</mechanism></authentication></stream:features>";
const FEATURES: &str = "<stream:features><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>\
    <sm xmlns='urn:xmpp:sm:3'/><sm xmlns='urn:xmpp:sm:2'/></stream:features>";

/// Both ends of a session, with every message allowed unless its text says otherwise.
struct Table {
    dialect: Xmpp,
    ended: Option<Ending>,
    events: Vec<String>,
}

impl Table {
    fn new() -> Table {
        Table::with(House::default(), Settings::default())
    }

    fn with(house: House, settings: Settings) -> Table {
        let dialect = Xmpp::new(settings, Arc::new(house), "server.test", "g1");
        Table { dialect, ended: None, events: Vec::new() }
    }

    /// A logged-in session of alice@server.test/desk, stream management on.
    fn bound() -> Table {
        let mut t = Table::new();
        t.log_in();
        t.client("<iq type='set' id='b1'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>");
        t.server("<iq type='result' id='b1'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><jid>alice@server.test/desk</jid></bind></iq>");
        t
    }

    fn managed() -> Table {
        let mut t = Table::bound();
        t.client("<enable xmlns='urn:xmpp:sm:3' resume='true'/>");
        let (client, _) =
            t.server("<enabled xmlns='urn:xmpp:sm:3' id='sm1' resume='true' location='other.test:5222'/>");
        assert!(client.contains("id='sm1'") && !client.contains("location"), "{client}");
        t
    }

    fn log_in(&mut self) {
        self.client(HEADER);
        self.server(SERVER_HEADER);
        self.server(MECHANISMS);
        self.client("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AGFsaWNlAHB3</auth>");
        self.server("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>");
        self.client(HEADER);
        self.server(SERVER_HEADER);
        self.server(FEATURES);
    }

    fn client(&mut self, text: &str) -> (String, String) {
        self.say(End::Client, text)
    }

    fn server(&mut self, text: &str) -> (String, String) {
        self.say(End::Server, text)
    }

    /// Says something at one end; returns what was written to the client and to the server.
    fn say(&mut self, from: End, text: &str) -> (String, String) {
        let mut steps = Vec::new();
        let heard = self.dialect.hear(from, text.as_bytes(), Timestamp::UNIX_EPOCH, &mut steps);
        let written = self.carry_out(from, steps);
        match heard {
            Ok(used) => assert_eq!(used, text.len(), "all of it is understood: {text}"),
            Err(ending) => self.ended = Some(ending),
        }
        written
    }

    fn carry_out(&mut self, from: End, steps: Vec<Step>) -> (String, String) {
        let mut legs = [Vec::new(), Vec::new()];
        for step in steps {
            match step {
                Step::Forward { bytes, tag, .. } => self.write(&mut legs, from, tag, &bytes),
                Step::Reply { bytes, tag } => self.write(&mut legs, from.far(), tag, &bytes),
                Step::Judge { message, bytes, tag, .. } => self.judge(&mut legs, from, &message, &bytes, tag),
                Step::Event(event) => self.events.push(format!("{event:?}")),
                Step::End(bytes) => legs[index(from.far())].extend_from_slice(&bytes),
            }
        }
        let [client, server] = legs.map(|leg| String::from_utf8(leg).unwrap());
        (client, server)
    }

    fn write(&mut self, legs: &mut [Vec<u8>; 2], from: End, tag: Tag, bytes: &Bytes) {
        legs[index(from.far())].extend_from_slice(bytes);
        if let Some(more) = self.dialect.wrote(from, tag, bytes) {
            legs[index(from.far())].extend_from_slice(&more);
        }
    }

    fn judge(&mut self, legs: &mut [Vec<u8>; 2], from: End, message: &model::Message, bytes: &Bytes, tag: Tag) {
        let says = |word: &str| message.parts.iter().filter_map(|p| p.body.expose()).any(|text| text.contains(word));
        let effect = Effect::ALL.into_iter().find(|e| says(&format!("make-it-{}", e.name()))).unwrap_or_default();
        let verdict = Verdict { effect, notice: Some("No.".into()), ..Verdict::default() };
        if effect == Effect::Allow {
            return self.write(legs, from, tag, bytes);
        }
        let enforced = self.dialect.enforce(from, bytes, Ruling { verdict: &verdict, findings: &[], message });
        match enforced.forward {
            Some(bytes) => self.write(legs, from, tag, &bytes),
            None => self.dialect.kept(from, tag),
        }
        if let Some(reply) = enforced.reply {
            let tag = self.dialect.own(from);
            self.write(legs, from.far(), tag, &reply);
        }
    }

    fn condition(&self) -> Option<Condition> {
        self.ended.map(|ending| ending.condition)
    }
}

fn message(id: u32, text: &str) -> String {
    format!("<message to='bob@server.test' type='chat' id='m{id}'><body>{text}</body></message>")
}

#[test]
fn features_that_lead_around_the_gateway_are_taken_out() {
    let mut t = Table::new();
    let (_, server) = t.client(HEADER);
    assert!(server.ends_with("version='1.0'>") && server.contains("to='server.test'"), "{server}");
    t.server(SERVER_HEADER);
    let (client, _) = t.server(MECHANISMS);
    assert!(client.contains("SCRAM-SHA-1"), "{client}");
    for gone in ["starttls", "compress", "sasl:2", "EXTERNAL"] {
        assert!(!client.contains(gone), "{gone} in {client}");
    }
}

#[test]
fn a_login_passes_through_and_names_its_author() {
    let t = Table::bound();
    assert!(t.dialect.is_in_session());
    assert!(t.events.iter().any(|e| e.contains("LoggedIn") && e.contains("alice@server.test")), "{:?}", t.events);
}

#[test]
fn a_failed_login_is_told_with_its_account_and_can_be_tried_again() {
    let mut t = Table::new();
    t.client(HEADER);
    t.server(SERVER_HEADER);
    t.server(MECHANISMS);
    let auth = "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AGFsaWNlAHB3</auth>";
    t.client(auth);
    assert!(!t.dialect.listens_to(End::Client), "one step at a time");
    let (client, _) = t.server("<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><not-authorized/></failure>");
    assert!(client.contains("not-authorized"));
    assert!(t.events.iter().any(|e| e.contains("LoginFailed") && e.contains("alice")), "{:?}", t.events);
    assert!(!t.events.iter().any(|e| e.contains("pw")), "no password in any event");
    let (_, server) = t.client(auth);
    assert!(server.contains("AGFsaWNlAHB3"));
}

#[test]
fn nothing_is_said_before_login() {
    for (text, condition) in [
        ("<message to='bob@server.test'><body>x</body></message>", Condition::NotAuthorized),
        ("<iq type='get' id='1'><query xmlns='jabber:iq:roster'/></iq>", Condition::NotAuthorized),
        ("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>", Condition::PolicyViolation),
        ("<resume xmlns='urn:xmpp:sm:3' previd='x' h='0'/>", Condition::PolicyViolation),
        ("<authenticate xmlns='urn:xmpp:sasl:2' mechanism='PLAIN'/>", Condition::NotAuthorized),
    ] {
        let mut t = Table::new();
        t.client(HEADER);
        t.server(SERVER_HEADER);
        t.server(MECHANISMS);
        let (_, server) = t.client(text);
        assert_eq!(t.condition(), Some(condition), "{text}");
        assert_eq!(server, "", "{text}");
    }
}

#[test]
fn compression_is_refused_and_the_stream_goes_on() {
    let mut t = Table::bound();
    let (client, server) =
        t.client("<compress xmlns='http://jabber.org/protocol/compress'><method>zlib</method></compress>");
    assert!(client.contains("<failure") && server.is_empty());
    let (_, server) = t.client(&message(1, "hello"));
    assert_eq!(server, message(1, "hello"));
}

#[test]
fn channel_binding_that_cant_be_kept_ends_the_login() {
    let plus = |types: &str| {
        format!(
            "<stream:features><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>SCRAM-SHA-1-PLUS</mechanism>\
             </mechanisms><sasl-channel-binding xmlns='urn:xmpp:sasl-cb:0'>{types}</sasl-channel-binding></stream:features>"
        )
    };
    let end_point = "<channel-binding type='tls-server-end-point'/>";
    let exporter = "<channel-binding type='tls-exporter'/>";
    for (types, binding, kept) in [
        (end_point, Binding::SameCertificate, true),
        (end_point, Binding::Broken, false),
        (exporter, Binding::SameCertificate, false),
        (&format!("{end_point}{exporter}"), Binding::SameCertificate, false),
    ] {
        let mut t = Table::with(House::default(), Settings { binding, ..Settings::default() });
        t.client(HEADER);
        t.server(SERVER_HEADER);
        let (client, _) = t.server(&plus(types));
        assert_eq!(t.ended.is_none(), kept, "{types} {binding:?}");
        assert_eq!(client.contains("PLUS"), kept);
    }
}

#[test]
fn an_allowed_stanza_leaves_as_the_same_bytes() {
    let mut t = Table::bound();
    for text in [
        &message(1, "hello &amp; good day"),
        "<presence/>",
        "<iq type='get' id='p' to='server.test'><ping xmlns='urn:xmpp:ping'/></iq>",
    ] {
        assert_eq!(t.client(text).1, text);
        assert_eq!(t.server(text).0, text);
    }
}

#[test]
fn a_borrowed_sender_is_taken_off() {
    let mut t = Table::bound();
    let (_, server) = t.client("<message from='boss@server.test' to='bob@server.test'><body>pay</body></message>");
    assert!(!server.contains("boss") && server.contains("pay"), "{server}");
    let own = "<message from='alice@server.test/desk' to='bob@server.test'><body>hi</body></message>";
    assert_eq!(t.client(own).1, own);
}

#[test]
fn an_impossible_address_is_answered() {
    let mut t = Table::bound();
    let (client, server) = t.client("<message to='a\u{202e}b@server.test' id='x'><body>x</body></message>");
    assert!(client.contains("jid-malformed") && client.contains("id='x'") && server.is_empty(), "{client}");
}

#[test]
fn verdicts_do_what_the_table_says() {
    let mut t = Table::bound();
    let (client, server) = t.client(&message(1, "make-it-block"));
    assert!(client.contains("policy-violation") && client.contains("id='m1'") && client.contains("No."), "{client}");
    assert_eq!(server, "");
    let (client, server) = t.client(&message(2, "make-it-quarantine"));
    assert!(client.contains("No.") && server.is_empty());
    let (client, server) = t.client(&message(3, "make-it-warn"));
    assert!(client.is_empty() && server.contains("No.") && server.contains("make-it-warn"));
    let (client, server) =
        t.server("<message from='eve@x.test' to='alice@server.test/desk'><body>make-it-block</body></message>");
    assert!(client.contains("No.") && !client.contains("make-it") && client.contains("from='eve@x.test'"), "{client}");
    assert_eq!(server, "", "a message that arrives is never bounced");
    let (client, server) = t.server(
        "<iq type='set' id='j1' from='eve@x.test/y' to='alice@server.test/desk'><query xmlns='x:unknown'>make-it-block</query></iq>",
    );
    assert!(!client.contains("make-it") && !client.contains("<iq"), "{client}");
    assert!(
        server.contains("type='error'") && server.contains("id='j1'") && server.contains("to='eve@x.test/y'"),
        "{server}"
    );
}

#[test]
fn counts_stay_exact_when_stanzas_are_kept_back_and_put_in() {
    let mut t = Table::managed();
    t.client(&message(1, "one"));
    let (client, _) = t.client(&message(2, "make-it-block"));
    assert!(client.contains("policy-violation"));
    t.client(&message(3, "three"));
    // The server saw two stanzas; the client sent three.
    let (client, _) = t.server("<a xmlns='urn:xmpp:sm:3' h='1'/>");
    assert_eq!(client, "<a xmlns='urn:xmpp:sm:3' h='2'/>");
    let (client, _) = t.server("<a xmlns='urn:xmpp:sm:3' h='2'/>");
    assert_eq!(client, "<a xmlns='urn:xmpp:sm:3' h='3'/>");
    // The client saw the error and one message; the server sent one.
    t.server("<message from='bob@server.test' to='alice@server.test'><body>hi</body></message>");
    let (_, server) = t.client("<a xmlns='urn:xmpp:sm:3' h='2'/>");
    assert_eq!(server, "<a xmlns='urn:xmpp:sm:3' h='1'/>");
    t.client("<a xmlns='urn:xmpp:sm:3' h='9'/>");
    assert_eq!(t.condition(), Some(Condition::UndefinedCondition), "handled-count-too-high");
}

#[test]
fn a_session_is_taken_up_where_it_was() {
    let mut t = Table::managed();
    t.client(&message(1, "one"));
    t.client(&message(2, "make-it-block"));
    t.client(&message(3, "three"));
    t.server("<message from='bob@server.test' to='alice@server.test'><body>hi</body></message>");
    let parked = t.dialect.park().unwrap();
    assert_eq!((&*parked.id, &*parked.account), ("sm1", "alice@server.test"));

    // The client read the error but not bob's message; the server read only the first message.
    let mut t = Table::new();
    t.log_in();
    t.client("<resume xmlns='urn:xmpp:sm:3' previd='sm1' h='1'/>");
    assert!(!t.dialect.listens_to(End::Client));
    let mut steps = Vec::new();
    t.dialect.unpark(Some(parked), Timestamp::UNIX_EPOCH, &mut steps);
    let (_, server) = t.carry_out(End::Client, steps);
    assert_eq!(server, "<resume xmlns='urn:xmpp:sm:3' h='0' previd='sm1'/>");
    let (client, _) = t.server("<resumed xmlns='urn:xmpp:sm:3' h='1' previd='sm1'/>");
    assert_eq!(client, "<resumed xmlns='urn:xmpp:sm:3' h='2' previd='sm1'/>");
    assert!(t.events.iter().any(|e| e.contains("resumed: true")), "{:?}", t.events);
    // Both ends send again what the other has not counted.
    assert_eq!(t.client(&message(3, "three")).1, message(3, "three"));
    let hi = "<message from='bob@server.test' to='alice@server.test'><body>hi</body></message>";
    assert_eq!(t.server(hi).0, hi);
    assert_eq!(t.server("<a xmlns='urn:xmpp:sm:3' h='2'/>").0, "<a xmlns='urn:xmpp:sm:3' h='3'/>");
}

#[test]
fn an_unknown_session_is_refused_without_asking_the_server() {
    let mut t = Table::new();
    t.log_in();
    t.client("<resume xmlns='urn:xmpp:sm:3' previd='lost' h='4'/>");
    let mut steps = Vec::new();
    t.dialect.unpark(None, Timestamp::UNIX_EPOCH, &mut steps);
    let (client, server) = t.carry_out(End::Client, steps);
    assert!(client.contains("<failed") && client.contains("item-not-found") && server.is_empty(), "{client}");
    let (_, server) = t.client("<iq type='set' id='b1'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>");
    assert!(server.contains("bind"), "the client binds anew");
}

#[test]
fn upload_slots_lead_to_the_gateway() {
    let mut t = Table::bound();
    let ask = "<iq type='get' to='upload.server.test' id='u1'><request xmlns='urn:xmpp:http:upload:0' filename='a.png' size='9'/></iq>";
    assert_eq!(t.client(ask).1, ask);
    let (client, _) = t.server(
        "<iq type='result' from='upload.server.test' id='u1'><slot xmlns='urn:xmpp:http:upload:0'>\
         <put url='https://server.test/put/1'><header name='Authorization'>secret</header></put>\
         <get url='https://server.test/get/1'/></slot></iq>",
    );
    assert!(client.contains("https://gw.test/up/1") && client.contains("https://gw.test/get/1"), "{client}");
    assert!(!client.contains("server.test/put") && !client.contains("secret"), "{client}");
    // A slot nobody asked for leads nowhere.
    let (client, _) = t.server(
        "<iq type='result' id='u9'><slot xmlns='urn:xmpp:http:upload:0'><put url='https://server.test/p'/><get url='https://server.test/g'/></slot></iq>",
    );
    assert!(client.contains("type='error'") && !client.contains("https://server.test"), "{client}");

    let house = House { no_uploads: true, ..House::default() };
    let mut t =
        Table { dialect: Xmpp::new(Settings::default(), Arc::new(house), "server.test", "g1"), ..Table::bound() };
    t.log_in();
    t.client("<iq type='set' id='b1'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>");
    t.server("<iq type='result' id='b1'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><jid>alice@server.test/desk</jid></bind></iq>");
    let (client, server) = t.client(ask);
    assert!(client.contains("service-unavailable") && server.is_empty(), "{client}");
}

#[test]
fn a_server_that_sends_the_client_elsewhere_is_not_obeyed() {
    let mut t = Table::bound();
    let (client, _) = t.server(
        "<stream:error><see-other-host xmlns='urn:ietf:params:xml:ns:xmpp-streams'>other.test</see-other-host></stream:error>",
    );
    assert!(client.contains("remote-connection-failed") && !client.contains("other.test"), "{client}");
}

#[test]
fn streams_end_in_order() {
    let mut t = Table::bound();
    let (_, server) = t.client("</stream:stream>");
    assert_eq!(server, "</stream:stream>");
    let ending = Ending { at: End::Client, condition: Condition::PolicyViolation, text: "no" };
    let words = String::from_utf8(t.dialect.farewell(End::Client, &ending).to_vec()).unwrap();
    assert!(words.starts_with("<stream:error><policy-violation") && words.ends_with("</stream:stream>"), "{words}");
    let fresh = Table::new();
    let words = String::from_utf8(fresh.dialect.farewell(End::Client, &ending).to_vec()).unwrap();
    assert!(words.starts_with("<?xml version='1.0'?><stream:stream"), "a stream error needs a stream: {words}");
}

#[test]
fn too_much_before_login_is_cut() {
    let mut t = Table::new();
    t.client(HEADER);
    t.server(SERVER_HEADER);
    t.server(MECHANISMS);
    for i in 0..200 {
        if t.ended.is_some() {
            break;
        }
        t.client(&format!("<iq type='get' id='{i}'><query xmlns='jabber:iq:register'/></iq>"));
    }
    assert_eq!(t.condition(), Some(Condition::PolicyViolation));
}
