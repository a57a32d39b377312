//! Google's hello from before TLS: tags and values ("QUIC Crypto", 2016).

use super::super::cursor::Cursor;
use super::super::text;
use super::super::tls::ClientHello;

/// Tags in a message; clients send about thirty.
const MOST_TAGS: usize = 128;

/// The tag that a client's hello begins with.
pub(super) const CHLO: &[u8] = b"CHLO";

/// A CHLO, as far as it tells something.
#[derive(Debug, Default)]
pub(super) struct Hello<'a> {
    server_name: Option<&'a [u8]>,
    /// UAID.
    pub(super) user_agent: Option<&'a str>,
}

/// How a message began.
pub(super) enum Message<'a> {
    Whole(Hello<'a>),
    Cut,
    Not,
}

/// Reads a CHLO: tag, count of entries, two bytes of nothing, then for each its tag and where its value ends.
pub(super) fn read(message: &[u8]) -> Message<'_> {
    let Some((tag, rest)) = message.split_at_checked(CHLO.len()) else {
        return if CHLO.starts_with(message) { Message::Cut } else { Message::Not };
    };
    if tag != CHLO {
        return Message::Not;
    }
    match entries(rest) {
        Ok(hello) => Message::Whole(hello),
        Err(broken) => broken,
    }
}

fn entries(rest: &[u8]) -> Result<Hello<'_>, Message<'_>> {
    let mut left = Cursor(rest);
    let count = left.array().map(u16::from_le_bytes).ok_or(Message::Cut)?;
    left.take(2).ok_or(Message::Cut)?;
    if usize::from(count) > MOST_TAGS {
        return Err(Message::Not);
    }
    let index = left.take(8 * usize::from(count)).ok_or(Message::Cut)?;
    let mut hello = Hello::default();
    let mut start = 0;
    for entry in index.as_chunks::<8>().0 {
        let [t0, t1, t2, t3, end @ ..] = *entry;
        let end = u32::from_le_bytes(end) as usize;
        if end < start {
            return Err(Message::Not);
        }
        let value = left.take(end - start).ok_or(Message::Cut)?;
        match &[t0, t1, t2, t3] {
            b"SNI\0" => hello.server_name = Some(value),
            b"UAID" => hello.user_agent = text::text(value),
            _ => {}
        }
        start = end;
    }
    Ok(hello)
}

impl Hello<'_> {
    /// What is worth keeping. There is no JA4, for this isn't TLS.
    pub(super) fn summary(&self) -> ClientHello {
        ClientHello {
            sni: self.server_name.and_then(text::authority),
            alpn: Vec::new(),
            ja4: Box::from(""),
            ech: false,
            version: 0,
        }
    }
}
