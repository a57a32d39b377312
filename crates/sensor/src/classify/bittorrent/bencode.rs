//! Bencoding (BEP 3), as much as is needed to look into a dictionary: borrowed, bounded in depth.

/// How deep lists and dictionaries may nest; no message of the protocols goes beyond four.
const DEPTH: usize = 8;

/// One value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Value<'a> {
    /// A byte string.
    Bytes(&'a [u8]),
    /// An integer.
    Integer(i64),
    /// The entries of a list, still encoded, with what follows it.
    List(&'a [u8]),
    /// The keys and values of a dictionary, still encoded, with what follows it.
    Dictionary(&'a [u8]),
}

/// The keys and values of the dictionary at the beginning, until it ends, is cut off or is not bencoded.
pub(crate) fn dictionary(bytes: &[u8]) -> Entries<'_> {
    Entries { rest: bytes.strip_prefix(b"d").unwrap_or_default() }
}

/// See [`dictionary`].
pub(crate) struct Entries<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Entries<'a> {
    type Item = (&'a [u8], Value<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let (key, rest) = string(self.rest)?;
        let (value, rest) = value(rest)?;
        self.rest = rest;
        Some((key, value))
    }
}

impl<'a> Value<'a> {
    /// The byte string, if it is one.
    pub(crate) fn bytes(self) -> Option<&'a [u8]> {
        if let Value::Bytes(bytes) = self { Some(bytes) } else { None }
    }

    /// The value under a key of the dictionary.
    pub(crate) fn get(self, key: &[u8]) -> Option<Value<'a>> {
        let Value::Dictionary(rest) = self else { return None };
        Entries { rest }.find(|(found, _)| *found == key).map(|(_, value)| value)
    }

    /// The entries of the list.
    pub(crate) fn entries(self) -> impl Iterator<Item = Value<'a>> {
        let mut rest = if let Value::List(rest) = self { rest } else { &[] };
        std::iter::from_fn(move || {
            let (entry, after) = value(rest)?;
            rest = after;
            Some(entry)
        })
    }
}

/// The value at the beginning, and what follows. A list or dictionary that is cut off is followed by nothing.
fn value(bytes: &[u8]) -> Option<(Value<'_>, &[u8])> {
    match bytes.split_first()? {
        (b'd', inner) => Some((Value::Dictionary(inner), skip(inner))),
        (b'l', inner) => Some((Value::List(inner), skip(inner))),
        (b'i', _) => integer(bytes).map(|(number, rest)| (Value::Integer(number), rest)),
        _ => string(bytes).map(|(string, rest)| (Value::Bytes(string), rest)),
    }
}

/// What follows the list or dictionary whose inside begins here.
fn skip(mut bytes: &[u8]) -> &[u8] {
    let mut depth = 1;
    while let Some((first, rest)) = bytes.split_first() {
        bytes = match first {
            b'e' => {
                depth -= 1;
                rest
            }
            b'l' | b'd' if depth < DEPTH => {
                depth += 1;
                rest
            }
            b'i' => match integer(bytes) {
                Some((_, rest)) => rest,
                None => return &[],
            },
            _ => match string(bytes) {
                Some((_, rest)) => rest,
                None => return &[],
            },
        };
        if depth == 0 {
            return bytes;
        }
    }
    &[]
}

fn integer(bytes: &[u8]) -> Option<(i64, &[u8])> {
    let inner = bytes.strip_prefix(b"i")?;
    let end = inner.iter().take(21).position(|&byte| byte == b'e')?;
    let (digits, rest) = inner.split_at_checked(end)?;
    Some((std::str::from_utf8(digits).ok()?.parse().ok()?, rest.get(1..)?))
}

fn string(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut length = 0usize;
    for (at, &byte) in bytes.iter().enumerate().take(7) {
        match byte {
            b'0'..=b'9' => length = length * 10 + usize::from(byte - b'0'),
            b':' if at > 0 => return bytes.get(at + 1..)?.split_at_checked(length),
            _ => return None,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dictionaries_are_walked() {
        let message = b"d1:ad2:id3:abc4:listli-1e2:xyee1:q4:ping1:y1:qe";
        let keys: Vec<_> = dictionary(message).map(|(key, _)| key).collect();
        assert_eq!(keys, [&b"a"[..], b"q", b"y"]);
        let (_, inner) = dictionary(message).next().unwrap();
        assert_eq!(inner.get(b"id").and_then(Value::bytes), Some(&b"abc"[..]));
        let list: Vec<_> = inner.get(b"list").unwrap().entries().collect();
        assert_eq!(list, [Value::Integer(-1), Value::Bytes(b"xy")]);
    }

    #[test]
    fn hostile_bencoding_ends_the_walk() {
        for hostile in [&b"d"[..], b"d1:a", b"d99999999999:a", b"d1:ai--1ee", b"d1:a5:xe", b"", b"d:a", b"di1e1:ae"] {
            assert_eq!(dictionary(hostile).count(), 0, "{}", hostile.escape_ascii());
        }
        let deep = [&b"d1:a"[..], &[b'l'; 4000]].concat();
        assert!(dictionary(&deep).count() <= 1);
    }
}
