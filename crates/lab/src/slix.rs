//! slixmpp clients, driven from Rust: `clients/driver.py` takes one JSON command a line and reports
//! whatever arrives as events.

use std::collections::{HashMap, VecDeque};
use std::fs;
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ChildStdin;
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value, json};

use crate::process::{self, Process};
use crate::{Account, tools};

const DRIVER: &str = include_str!("../clients/driver.py");
/// How long a command or an event may take. The driver gives up on its own side before that.
const PATIENCE: Duration = Duration::from_secs(30);
/// How much of an event is shown when another one was awaited.
const SHOWN: usize = 400;

/// One Python process that holds any number of clients.
pub struct Clients {
    shared: Arc<Shared>,
    ca: PathBuf,
    _process: Process,
}

/// One client: an account on a device.
#[derive(Clone)]
pub struct Client {
    name: String,
    shared: Arc<Shared>,
    /// What login said: `jid`, `mechanism`, `tls`.
    pub session: Value,
}

/// How to log in.
#[derive(Clone, Debug)]
pub struct Login {
    account: Account,
    resource: Option<String>,
    address: SocketAddr,
    direct: bool,
    mechanism: Option<String>,
    resume: bool,
}

impl Login {
    /// With STARTTLS, the strongest mechanism offered, and no stream management.
    pub fn new(account: &Account, address: SocketAddr) -> Login {
        let account = account.clone();
        Login { account, resource: None, address, direct: false, mechanism: None, resume: false }
    }

    /// With TLS from the first byte.
    pub fn direct(mut self) -> Login {
        self.direct = true;
        self
    }

    /// With one SASL mechanism and no other.
    pub fn mechanism(mut self, name: &str) -> Login {
        self.mechanism = Some(name.to_owned());
        self
    }

    /// As a named device.
    pub fn resource(mut self, name: &str) -> Login {
        self.resource = Some(name.to_owned());
        self
    }

    /// With stream management and resumption.
    pub fn resume(mut self) -> Login {
        self.resume = true;
        self
    }
}

#[derive(Default)]
struct Shared {
    input: Mutex<Option<ChildStdin>>,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    next: u64,
    answers: HashMap<u64, Value>,
    events: HashMap<String, VecDeque<Value>>,
    ended: bool,
}

impl Clients {
    /// Starts the driver; `target` is the cargo target directory with the Python environment.
    pub fn start(target: &Path, directory: &Path, ca: &Path) -> Result<Clients> {
        let python = tools::python(target)?;
        let driver = directory.join("driver.py");
        fs::write(&driver, DRIVER)?;
        let mut command = process::command(&python);
        command.arg("-u").arg(&driver);
        let mut process = Process::start_piped("slixmpp", &mut command, &directory.join("slixmpp.out"))?;
        let shared = Arc::new(Shared::default());
        *shared.input() = Some(process.take_stdin()?);
        let lines = process.lines()?;
        let to = Arc::clone(&shared);
        thread::spawn(move || to.receive(&lines));
        Ok(Clients { shared, ca: ca.to_owned(), _process: process })
    }

    /// Logs a client in; `name` only tells clients of this process apart.
    pub fn login(&self, name: &str, login: &Login) -> Result<Client> {
        let jid = match &login.resource {
            Some(resource) => format!("{}/{resource}", login.account.jid()),
            None => login.account.jid(),
        };
        let mut client = Client { name: name.to_owned(), shared: Arc::clone(&self.shared), session: Value::Null };
        self.shared.state().events.remove(name);
        client.session = client.call(
            "login",
            json!({
                "jid": jid,
                "password": login.account.password,
                "host": login.address.ip().to_string(),
                "port": login.address.port(),
                "tls": if login.direct { "direct" } else { "starttls" },
                "ca": self.ca,
                "mechanism": login.mechanism,
                "resume": login.resume,
            }),
        )?;
        Ok(client)
    }
}

impl Client {
    /// Its full JID.
    pub fn jid(&self) -> &str {
        self.session["jid"].as_str().unwrap_or_default()
    }

    /// Runs a command of the driver.
    pub fn call(&self, what: &str, arguments: Value) -> Result<Value> {
        self.shared.call(&self.name, what, arguments).with_context(|| format!("{} could not {}", self.name, what))
    }

    /// Sends one stanza as written; its default namespace must be given.
    pub fn send(&self, xml: &str) -> Result<()> {
        self.call("send", json!({ "xml": xml })).map(drop)
    }

    /// Sends initial presence, so that messages to the account come here.
    pub fn appear(&self) -> Result<()> {
        self.send("<presence xmlns='jabber:client'/>")?;
        let own = self.jid().to_owned();
        self.wait("its own presence", |event| event["event"] == "presence" && event["from"] == *own).map(drop)
    }

    /// Sends a chat message with plain text, which must need no escaping.
    pub fn chat(&self, to: &str, id: &str, body: &str) -> Result<()> {
        self.send(&format!(
            "<message xmlns='jabber:client' type='chat' to='{to}' id='{id}'><body>{body}</body></message>"
        ))
    }

    /// Sends an iq and gives its answer: `type` and `xml`.
    pub fn ask(&self, xml: &str) -> Result<Value> {
        self.call("ask", json!({ "xml": xml }))
    }

    /// Waits for the first event that fits and takes it out of the queue; others stay.
    pub fn wait(&self, what: &str, fits: impl Fn(&Value) -> bool) -> Result<Value> {
        self.shared.wait(&self.name, fits).with_context(|| format!("{} waited in vain for {what}", self.name))
    }

    /// Waits for a message with exactly this body.
    pub fn wait_body(&self, body: &str) -> Result<Value> {
        self.wait(&format!("a message that says {body:?}"), |event| {
            event["event"] == "message" && event["body"] == body
        })
    }

    /// Waits for the error that answers a message of this id.
    pub fn wait_error(&self, id: &str) -> Result<Value> {
        self.wait(&format!("an error for {id:?}"), |event| {
            event["event"] == "message" && event["type"] == "error" && event["id"] == id
        })
    }

    /// Every event not yet taken, in order of arrival.
    pub fn seen(&self) -> Vec<Value> {
        self.shared.state().events.get(&self.name).map(|queue| queue.iter().cloned().collect()).unwrap_or_default()
    }
}

impl Shared {
    fn input(&self) -> MutexGuard<'_, Option<ChildStdin>> {
        self.input.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn receive(&self, lines: &Receiver<String>) {
        for line in lines {
            let Ok(value) = serde_json::from_str::<Value>(&line) else { continue };
            let mut state = self.state();
            match (value["n"].as_u64(), value["client"].as_str()) {
                (Some(number), _) => {
                    state.answers.insert(number, value);
                }
                (None, Some(client)) => state.events.entry(client.to_owned()).or_default().push_back(value),
                (None, None) => {}
            }
            self.changed.notify_all();
        }
        self.state().ended = true;
        self.changed.notify_all();
    }

    fn call(&self, client: &str, what: &str, arguments: Value) -> Result<Value> {
        let number = {
            let mut state = self.state();
            state.next += 1;
            state.next
        };
        let mut order = match arguments {
            Value::Object(order) => order,
            Value::Null => Map::new(),
            other => bail!("{what} takes an object, not {other}"),
        };
        order.insert("n".to_owned(), json!(number));
        order.insert("client".to_owned(), json!(client));
        order.insert("do".to_owned(), json!(what));
        let line = format!("{}\n", Value::Object(order));
        self.input().as_mut().context("the driver has no input")?.write_all(line.as_bytes())?;
        let mut answer = self.until(|state| state.answers.remove(&number))?;
        match answer["error"].take() {
            Value::String(error) => bail!("{error}"),
            _ => Ok(answer["ok"].take()),
        }
    }

    fn wait(&self, client: &str, fits: impl Fn(&Value) -> bool) -> Result<Value> {
        self.until(|state| {
            let queue = state.events.get_mut(client)?;
            let index = queue.iter().position(&fits)?;
            queue.remove(index)
        })
        .with_context(|| {
            let events: Vec<String> = self
                .state()
                .events
                .get(client)
                .map(|queue| queue.iter().map(|event| event.to_string().chars().take(SHOWN).collect()).collect())
                .unwrap_or_default();
            format!("what came instead:\n{}", events.join("\n"))
        })
    }

    fn until<T>(&self, mut found: impl FnMut(&mut State) -> Option<T>) -> Result<T> {
        let deadline = Instant::now() + PATIENCE;
        let mut state = self.state();
        loop {
            if let Some(value) = found(&mut state) {
                return Ok(value);
            }
            if state.ended {
                bail!("the slixmpp driver ended");
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                bail!("nothing within {PATIENCE:?}");
            }
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}
