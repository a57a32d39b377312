//! Canonical JSON: the one way to write a value, so that the bytes signed are the bytes stored.
//!
//! RFC 8785 (JCS), narrowed until it needs no number formatting and no UTF-16: no space between tokens; member
//! names are ASCII, sorted, each once; numbers are integers from 0 to 2^53 - 1; strings escape only what JSON
//! demands. What is read is written again and compared: a file that could be read in two ways is refused
//! before anybody looks at what it says.

use serde::Serialize;
use serde_json::Value;

/// The largest number that every JSON reader takes in exactly.
pub const MOST: u64 = (1 << 53) - 1;

/// Why a value has no canonical form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotCanonical {
    /// Not JSON at all.
    #[error("not JSON")]
    NotJson,
    /// A fraction, a negative number or one beyond 2^53 - 1.
    #[error("a number that is no integer from 0 to 2^53 - 1")]
    Number,
    /// A member name outside ASCII.
    #[error("a member name that is not ASCII")]
    Name,
    /// The same value, written in another way.
    #[error("not written in the canonical form (sorted names, no spaces, each name once)")]
    Form,
}

/// The canonical form of a value.
pub fn write(value: &impl Serialize) -> Result<Vec<u8>, NotCanonical> {
    let value = serde_json::to_value(value).map_err(|_| NotCanonical::NotJson)?;
    let mut out = Vec::new();
    put(&value, &mut out)?;
    Ok(out)
}

/// Whether these bytes are the canonical form of what they say.
pub fn check(bytes: &[u8]) -> Result<(), NotCanonical> {
    let value: Value = serde_json::from_slice(bytes).map_err(|_| NotCanonical::NotJson)?;
    let mut again = Vec::with_capacity(bytes.len());
    put(&value, &mut again)?;
    if again == bytes { Ok(()) } else { Err(NotCanonical::Form) }
}

/// Recursion is bounded by the parser's, which reads 128 levels.
fn put(value: &Value, out: &mut Vec<u8>) -> Result<(), NotCanonical> {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Number(number) => {
            let number = number.as_u64().filter(|number| *number <= MOST).ok_or(NotCanonical::Number)?;
            out.extend_from_slice(number.to_string().as_bytes());
        }
        Value::String(text) => put_text(text, out)?,
        Value::Array(values) => {
            out.push(b'[');
            for (at, value) in values.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                put(value, out)?;
            }
            out.push(b']');
        }
        Value::Object(members) => {
            let mut sorted: Vec<(&String, &Value)> = members.iter().collect();
            sorted.sort_unstable_by_key(|(name, _)| *name);
            out.push(b'{');
            for (at, (name, value)) in sorted.into_iter().enumerate() {
                if !name.is_ascii() {
                    return Err(NotCanonical::Name);
                }
                if at > 0 {
                    out.push(b',');
                }
                put_text(name, out)?;
                out.push(b':');
                put(value, out)?;
            }
            out.push(b'}');
        }
    }
    Ok(())
}

fn put_text(text: &str, out: &mut Vec<u8>) -> Result<(), NotCanonical> {
    serde_json::to_writer(out, text).map_err(|_| NotCanonical::NotJson)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_value_is_written_in_one_way() {
        let value = json!({"b": [1, true, null, {"z": "\u{1f}\n\"\\/é\u{2028}", "a": ""}], "a": 9_007_199_254_740_991u64, "B": {}});
        let bytes = write(&value).unwrap();
        assert_eq!(
            std::str::from_utf8(&bytes).unwrap(),
            "{\"B\":{},\"a\":9007199254740991,\"b\":[1,true,null,{\"a\":\"\",\"z\":\"\\u001f\\n\\\"\\\\/é\u{2028}\"}]}"
        );
        assert_eq!(check(&bytes), Ok(()));
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        for (text, why) in [
            (r#"{"b":1,"a":1}"#, NotCanonical::Form),
            (r#"{"a": 1}"#, NotCanonical::Form),
            (r#"{"a":1}  "#, NotCanonical::Form),
            (r#"{"a":1,"a":1}"#, NotCanonical::Form),
            (r#"{"a":"\u0041"}"#, NotCanonical::Form),
            (r#"{"a":"\/"}"#, NotCanonical::Form),
            (r#"{"a":1.0}"#, NotCanonical::Number),
            (r#"{"a":1e3}"#, NotCanonical::Number),
            (r#"{"a":-1}"#, NotCanonical::Number),
            (r#"{"a":9007199254740992}"#, NotCanonical::Number),
            (r#"{"é":1}"#, NotCanonical::Name),
            (r#"{"a":1"#, NotCanonical::NotJson),
            ("", NotCanonical::NotJson),
        ] {
            assert_eq!(check(text.as_bytes()), Err(why), "{text}");
        }
        assert_eq!(check("[".repeat(100_000).as_bytes()), Err(NotCanonical::NotJson));
    }
}
