//! One HTTP request without TLS, for health, metrics and the servers' own interfaces.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result};

const PATIENCE: Duration = Duration::from_secs(20);

/// The answer: its status and everything behind the head.
#[derive(Clone, Debug)]
pub struct Answer {
    /// `200` and the like.
    pub status: u16,
    /// As sent.
    pub body: String,
}

/// Asks with GET.
pub fn get(address: SocketAddr, path: &str) -> Result<Answer> {
    ask(address, &format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n"))
}

/// Asks with POST and a JSON body.
pub fn post(address: SocketAddr, host: &str, path: &str, body: &str) -> Result<Answer> {
    ask(
        address,
        &format!(
            "POST {path} HTTP/1.0\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ),
    )
}

fn ask(address: SocketAddr, request: &str) -> Result<Answer> {
    let mut stream = TcpStream::connect(address).with_context(|| format!("cannot connect to {address}"))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").with_context(|| format!("no HTTP answer: {answer}"))?;
    let status = head.split(' ').nth(1).and_then(|word| word.parse().ok()).context("no HTTP status")?;
    Ok(Answer { status, body: body.to_owned() })
}
