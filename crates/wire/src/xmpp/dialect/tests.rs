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
    lanes: Vec<Lane>,
    /// Frames that are heard wait in [`Table::later`] instead of being written.
    waits: bool,
    later: Vec<(End, Step)>,
}

impl Table {
    fn new() -> Table {
        Table::with(House::default(), Settings::default())
    }

    fn with(house: House, settings: Settings) -> Table {
        let dialect = Xmpp::new(settings, Arc::new(house), "server.test", "g1");
        Table { dialect, ended: None, events: Vec::new(), lanes: Vec::new(), waits: false, later: Vec::new() }
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
            if let Step::Forward { lane, .. } | Step::Judge { lane, .. } = &step {
                self.lanes.push(*lane);
                if self.waits && *lane != Lane::Free {
                    self.later.push((from, step));
                    continue;
                }
            }
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
        let verdict =
            Verdict { effect, notice: Some("No.".into()), on_fault: says("by-a-fault"), ..Verdict::default() };
        if effect == Effect::Allow {
            return self.write(legs, from, tag, bytes);
        }
        let enforced = self.dialect.enforce(from, bytes, Ruling { verdict: &verdict, findings: &[], message });
        match enforced.forward {
            Some(bytes) => self.write(legs, from, tag, &bytes),
            None => {
                if let Some(more) = self.dialect.kept(from, tag) {
                    legs[index(from.far())].extend_from_slice(&more);
                }
            }
        }
        self.ended = self.ended.or(enforced.disconnect.then_some(Ending {
            at: from,
            condition: Condition::PolicyViolation,
            text: "disconnect",
        }));
        if let Some(reply) = enforced.reply {
            let tag = self.dialect.own();
            self.write(legs, from.far(), tag, &reply);
        }
    }

    /// Carries out what waited.
    fn catch_up(&mut self) -> (String, String) {
        self.waits = false;
        let mut written = (String::new(), String::new());
        for (from, step) in std::mem::take(&mut self.later) {
            let (client, server) = self.carry_out(from, vec![step]);
            written.0 += &client;
            written.1 += &server;
        }
        written
    }

    /// A new connection of the same client, logged in, that asks for its session.
    fn back(parked: Option<Parked>, h: u32) -> (Table, String) {
        let mut t = Table::new();
        t.log_in();
        t.client(&format!("<resume xmlns='urn:xmpp:sm:3' previd='sm1' h='{h}'/>"));
        let mut steps = Vec::new();
        t.dialect.unpark(parked, Timestamp::UNIX_EPOCH, &mut steps);
        let (_, server) = t.carry_out(End::Client, steps);
        (t, server)
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
    let (client, _) = t.client(&message(9, "make-it-block by-a-fault"));
    assert!(client.contains("resource-constraint") && client.contains("type='wait'"), "{client}");
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
    let mut t = Table { dialect: Xmpp::new(Settings::default(), Arc::new(house), "server.test", "g1"), ..Table::new() };
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
fn a_line_break_between_two_streams_is_dropped() {
    let mut t = Table::new();
    t.client(HEADER);
    t.server(SERVER_HEADER);
    t.server(MECHANISMS);
    t.client("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AGFsaWNlAHB3</auth>");
    t.server("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>");
    let (_, server) = t.client(&format!("\n{HEADER}"));
    assert!(t.ended.is_none() && server.starts_with("<?xml"), "{server}");
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

#[test]
fn who_is_written_to_is_not_disconnected_for_it() {
    let mut t = Table::bound();
    let (client, server) = t.server("<message from='eve@x.test/y'><body>make-it-disconnect</body></message>");
    assert!(client.contains("No.") && !client.contains("make-it") && server.is_empty(), "{client}");
    assert_eq!(t.ended, None);
    t.client(&message(1, "make-it-disconnect"));
    assert_eq!(t.condition(), Some(Condition::PolicyViolation));
}

#[test]
fn answers_of_the_gateway_are_small() {
    let mut t = Table::bound();
    let long = "x".repeat(5_000);
    let (client, _) =
        t.client(&format!("<message to='bob@server.test' id='{long}'><body>make-it-block</body></message>"));
    assert!(client.contains("policy-violation") && client.len() < 1_000, "{client}");
    let (client, _) = t.client(&format!("<message to='bob@{long}'><body>x</body></message>"));
    assert!(client.contains("jid-malformed") && client.len() < 1_000, "{client}");
    let (client, server) =
        t.client(&format!("<iq to='\u{202e}@x' type='get' id='{long}'><ping xmlns='urn:xmpp:ping'/></iq>"));
    assert_eq!((&*client, &*server), ("", ""));
    assert!(t.dialect.is_in_session());
}

#[test]
fn a_client_that_acknowledges_nothing_is_not_kept_company_for_ever() {
    let mut t = Table::managed();
    let mut asked = false;
    let mut sent = 0;
    while t.ended.is_none() && sent < 10_000 {
        asked |= t.client(&message(sent, "make-it-block")).0.contains("<r ");
        sent += 1;
    }
    assert!(asked && sent < 2_000, "{sent}");
    assert_eq!(t.condition(), Some(Condition::PolicyViolation));
    assert!(t.dialect.park().is_none(), "what it missed can't be sent again");

    // Strangers who make the gateway answer can't do that to it.
    let mut t = Table::managed();
    for i in 0..5_000 {
        t.server(&format!("<iq type='set' id='{i}' from='eve@x.test/y'><q xmlns='x:y'>make-it-block</q></iq>"));
    }
    assert_eq!(t.ended, None);
    assert!(!t.dialect.has_room(End::Server) && t.dialect.has_room(End::Client));
}

#[test]
fn what_the_gateway_told_the_server_is_told_again_after_a_loss() {
    let mut t = Table::managed();
    let (_, error) = t.server("<iq type='set' id='j1' from='eve@x.test/y'><q xmlns='x:y'>make-it-block</q></iq>");
    assert!(error.contains("type='error'"));
    let parked = t.dialect.park();
    let (mut t, _) = Table::back(parked, 1);
    let (client, server) = t.server("<resumed xmlns='urn:xmpp:sm:3' h='0' previd='sm1'/>");
    assert!(client.starts_with("<resumed"), "{client}");
    assert_eq!(server, error);
    assert_eq!(t.server("<a xmlns='urn:xmpp:sm:3' h='1'/>").0, "<a xmlns='urn:xmpp:sm:3' h='0'/>");
    assert_eq!(t.ended, None, "it counts");
}

#[test]
fn a_session_lost_while_it_is_taken_up_can_be_taken_up_again() {
    let mut t = Table::managed();
    t.client(&message(1, "one"));
    let parked = t.dialect.park();
    let (mut t, _) = Table::back(parked, 0);
    let parked = t.dialect.park();
    assert!(parked.as_ref().is_some_and(|p| &*p.id == "sm1" && &*p.account == "alice@server.test"), "{parked:?}");
    let (mut t, server) = Table::back(parked, 0);
    assert_eq!(server, "<resume xmlns='urn:xmpp:sm:3' h='0' previd='sm1'/>");
    let (client, _) = t.server("<resumed xmlns='urn:xmpp:sm:3' h='1' previd='sm1'/>");
    assert_eq!(client, "<resumed xmlns='urn:xmpp:sm:3' h='1' previd='sm1'/>");
}

#[test]
fn who_asks_for_a_session_is_named_and_may_not_guess() {
    let mut t = Table::new();
    t.log_in();
    for _ in 0..3 {
        let (client, _) = {
            t.client("<resume xmlns='urn:xmpp:sm:3' previd='guess' h='0'/>");
            let mut steps = Vec::new();
            t.dialect.unpark(None, Timestamp::UNIX_EPOCH, &mut steps);
            t.carry_out(End::Client, steps)
        };
        assert!(client.contains("item-not-found"));
    }
    let named = "Unpark { id: \"guess\", domain: \"server.test\", account: Some(\"alice@server.test\") }";
    assert!(t.events.iter().any(|e| e == named), "{:?}", t.events);
    t.client("<resume xmlns='urn:xmpp:sm:3' previd='guess' h='0'/>");
    assert_eq!(t.condition(), Some(Condition::PolicyViolation));
}

#[test]
fn white_space_stays_out_of_a_stream_that_starts_again() {
    let mut t = Table::new();
    t.client(HEADER);
    assert_eq!(t.client(" ").1, " ");
    t.server(SERVER_HEADER);
    t.server(MECHANISMS);
    t.client("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AGFsaWNlAHB3</auth>");
    t.server("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>");
    assert_eq!(t.client("\n ").1, "");
    assert_eq!(t.server(" ").0, "");
    // No declaration may stand behind white space.
    let (_, server) = t.client(HEADER.trim_start_matches("<?xml version='1.0'?>"));
    assert!(server.starts_with("<?xml"), "{server}");
    t.server(SERVER_HEADER.trim_start_matches("<?xml version='1.0'?>"));
    assert_eq!(t.server(" ").0, " ");
}

#[test]
fn a_released_message_goes_out_under_the_name_of_the_session_it_goes_out_on() {
    let t = Table::bound();
    let kept =
        Bytes::from_static(b"<message from='alice@server.test/old' to='bob@server.test'><body>hi</body></message>");
    let late = |to| String::from_utf8(t.dialect.late(to, &kept, Timestamp::UNIX_EPOCH).unwrap().to_vec()).unwrap();
    assert!(!late(End::Server).contains("/old") && late(End::Server).contains("delay"), "{}", late(End::Server));
    assert!(late(End::Client).contains("from='alice@server.test/old'"));
}

#[test]
fn counting_begins_where_the_server_reads_that_it_does() {
    let mut t = Table::bound();
    t.waits = true;
    t.client("<enable xmlns='urn:xmpp:sm:3' resume='true'/>");
    // An answer of the gateway's own overtakes the request: the server does not count it.
    t.waits = false;
    t.server("<iq type='set' id='j' from='eve@x.test/y'><q xmlns='x:y'>make-it-block</q></iq>");
    t.catch_up();
    t.server("<enabled xmlns='urn:xmpp:sm:3' id='sm1' resume='true'/>");
    t.client(&message(1, "one"));
    assert_eq!(t.server("<a xmlns='urn:xmpp:sm:3' h='1'/>").0, "<a xmlns='urn:xmpp:sm:3' h='1'/>");
    t.server("<a xmlns='urn:xmpp:sm:3' h='2'/>");
    assert!(t.ended.is_some(), "there was no second stanza to count");
}

#[test]
fn counts_of_a_refused_request_mean_nothing_to_the_next() {
    let mut t = Table::bound();
    t.client("<enable xmlns='urn:xmpp:sm:3'/>");
    t.waits = true;
    t.client(&message(1, "early"));
    t.waits = false;
    t.server(
        "<failed xmlns='urn:xmpp:sm:3'><unexpected-request xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>",
    );
    t.client("<enable xmlns='urn:xmpp:sm:3'/>");
    t.catch_up();
    t.server("<enabled xmlns='urn:xmpp:sm:3'/>");
    t.client(&message(2, "late"));
    assert_eq!(t.server("<a xmlns='urn:xmpp:sm:3' h='1'/>").0, "<a xmlns='urn:xmpp:sm:3' h='1'/>");
    t.server("<a xmlns='urn:xmpp:sm:3' h='2'/>");
    assert!(t.ended.is_some(), "the early one was never counted");
}

#[test]
fn an_acknowledgement_is_asked_for_again_when_the_last_frame_is_kept_back() {
    let mut t = Table::managed();
    t.waits = true;
    t.client(&message(1, "make-it-block"));
    t.client("<r xmlns='urn:xmpp:sm:3'/>");
    let (client, server) = t.catch_up();
    assert!(client.contains("policy-violation"));
    assert_eq!(server, "<r xmlns='urn:xmpp:sm:3'/>", "or the client would never be told");
}

/// An element of the stream's namespace inside anything is exotic.
const ODD: &str = "<stream:odd/>";

#[test]
fn nothing_odd_passes_in_negotiation() {
    let mut t = Table::bound();
    assert_eq!(
        t.client(&format!("<active xmlns='urn:xmpp:csi:0' x='y'>{ODD}</active>")).1,
        "<active xmlns='urn:xmpp:csi:0'/>"
    );
    assert_eq!(t.client("<inactive xmlns='urn:xmpp:csi:0'/>").1, "<inactive xmlns='urn:xmpp:csi:0'/>");
    let (client, _) =
        t.server(&format!("<stream:error><reset xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>{ODD}</stream:error>"));
    assert!(client.contains("<stream:error>") && !client.contains("odd"), "{client}");

    let auth = |inside: &str| {
        let mut t = Table::new();
        t.client(HEADER);
        t.server(SERVER_HEADER);
        t.server(MECHANISMS);
        let said = format!(
            "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN' x='y'>AGFsaWNlAHB3{inside}</auth>"
        );
        let (_, server) = t.client(&said);
        (t, server)
    };
    let (mut t, server) = auth("<x/>");
    assert_eq!(server, "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AGFsaWNlAHB3</auth>");
    let (client, _) = t.server(&format!("<challenge xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>abc{ODD}</challenge>"));
    assert_eq!(client, "<challenge xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>abc</challenge>");
    t.client("<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>");
    let (client, _) = t.server(&format!(
        "<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>{ODD}<account-disabled/><text xml:lang='en'>no &amp; no</text></failure>"
    ));
    assert_eq!(
        client,
        "<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><account-disabled/><text>no &amp; no</text></failure>"
    );
    let (t, server) = auth(ODD);
    assert_eq!((t.condition(), &*server), (Some(Condition::PolicyViolation), ""));

    // Beside what is kept it does no harm; inside, there is no way to pass it on.
    let mut t = Table::new();
    t.client(HEADER);
    t.server(SERVER_HEADER);
    let (client, _) =
        t.server(&format!("<stream:features><v xmlns='v:v'>{ODD}</v><sm xmlns='urn:xmpp:sm:3'/></stream:features>"));
    assert_eq!(client, "<stream:features><sm xmlns='urn:xmpp:sm:3'/></stream:features>");
    let (client, _) = t.server(&format!("<stream:features><sm xmlns='urn:xmpp:sm:3'>{ODD}</sm></stream:features>"));
    assert!(t.ended.is_some() && client.is_empty(), "{client}");
}

#[test]
fn a_slot_comes_from_where_it_was_asked() {
    let ask = |i: u32| {
        format!(
            "<iq type='get' to='upload.server.test' id='u{i}'><request xmlns='urn:xmpp:http:upload:0' filename='a' size='9'/></iq>"
        )
    };
    let slot = |from: &str, i: u32| {
        format!(
            "<iq type='result' from='{from}' id='u{i}'><slot xmlns='urn:xmpp:http:upload:0'>\
             <put url='https://server.test/put/1'/><get url='https://server.test/get/1'/></slot></iq>"
        )
    };
    let mut t = Table::bound();
    t.client(&ask(1));
    assert!(t.server(&slot("eve@x.test/y", 1)).0.contains("type='error'"), "a stranger's");
    assert!(t.server(&slot("Upload.server.test", 1)).0.contains("https://gw.test/up/1"));
    // Requests that are never answered don't stand in the way of others.
    for i in 0..100 {
        assert_eq!(t.client(&ask(i)).1, ask(i));
    }
    assert!(t.server(&slot("upload.server.test", 99)).0.contains("https://gw.test/up/1"));
    assert!(t.server(&slot("upload.server.test", 1)).0.contains("type='error'"), "forgotten long ago");
}

#[test]
fn who_asked_gets_an_answer() {
    let mut t = Table::bound();
    let (client, server) =
        t.client("<iq type='result' id='q1' to='eve@x.test/y'><q xmlns='x:unknown'>make-it-block</q></iq>");
    assert!(client.is_empty() && !server.contains("make-it"), "{server}");
    for part in ["<iq", "type='error'", "id='q1'", "to='eve@x.test/y'"] {
        assert!(server.contains(part), "{part} in {server}");
    }
    let (_, server) = t.client(&format!("<iq type='result' id='q2' to='eve@x.test/y'>{ODD}</iq>"));
    assert!(server.contains("type='error'") && server.contains("id='q2'") && !server.contains("odd"), "{server}");
    let (client, server) = t.server(&format!("<iq type='get' id='q3' from='eve@x.test/y'>{ODD}</iq>"));
    assert!(!client.contains("odd") && server.contains("id='q3'") && server.contains("type='error'"), "{server}");
}

#[test]
fn one_conversation_is_one_lane_however_it_is_written() {
    let mut t = Table::bound();
    let mut lane = |to: &str| {
        t.client(&format!("<message{to}><body>hi</body></message>"));
        t.lanes.pop()
    };
    let own = lane("");
    assert_eq!(lane(" to='alice@server.test'"), own);
    assert_eq!(lane(" to='Alice@Server.test/desk'"), own);
    let bob = lane(" to='bob@server.test'");
    assert_ne!(bob, own);
    assert_eq!(lane(" to='BOB@server.test/phone'"), bob);
}

#[test]
fn what_somebody_waits_for_is_not_kept_for_review() {
    let mut t = Table::bound();
    t.waits = true;
    t.client("<iq type='set' id='j' to='eve@x.test/y'><q xmlns='x:unknown'>words to read</q></iq>");
    t.client(&message(1, "words to read"));
    let can_wait: Vec<bool> = t
        .later
        .iter()
        .filter_map(|(_, step)| match step {
            Step::Judge { can_wait, .. } => Some(*can_wait),
            _ => None,
        })
        .collect();
    assert_eq!(can_wait, [false, true]);
}
