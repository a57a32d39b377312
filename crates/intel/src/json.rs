//! JSON from strangers: read once with bounds on depth, size and number of values; a name given twice in one object
//! is refused, because two readers may then see two different things.

use std::fmt;

use serde::de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// What is taken of one document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bounds {
    /// Objects and arrays within each other.
    pub(crate) depth: usize,
    /// Values in all.
    pub(crate) values: usize,
    /// Bytes of one string or name.
    pub(crate) string: usize,
}

/// Reads a document within bounds.
pub(crate) fn read(text: &str, bounds: Bounds) -> Result<Value, serde_json::Error> {
    let mut left = bounds.values;
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let value = Seed { bounds, depth: bounds.depth, left: &mut left }.deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(value)
}

/// A document without the white space between its tokens; it has been read before.
pub(crate) fn compact(text: &str) -> Box<str> {
    let mut out = String::with_capacity(text.len());
    let (mut quoted, mut escaped) = (false, false);
    for c in text.chars() {
        if quoted {
            quoted = escaped || c != '"';
            escaped = c == '\\' && !escaped;
        } else if matches!(c, ' ' | '\t' | '\n' | '\r') {
            continue;
        } else {
            quoted = c == '"';
        }
        out.push(c);
    }
    out.into_boxed_str()
}

struct Seed<'a> {
    bounds: Bounds,
    depth: usize,
    left: &'a mut usize,
}

impl Seed<'_> {
    fn inner<E: serde::de::Error>(&mut self) -> Result<Seed<'_>, E> {
        let depth = self.depth.checked_sub(1);
        let depth = depth.ok_or_else(|| E::custom(format_args!("nested deeper than {}", self.bounds.depth)))?;
        Ok(Seed { bounds: self.bounds, depth, left: self.left })
    }

    fn string<E: serde::de::Error>(&self, text: &str) -> Result<String, E> {
        if text.len() > self.bounds.string {
            return Err(E::custom(format_args!("a string of more than {} bytes", self.bounds.string)));
        }
        Ok(text.to_owned())
    }
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Value;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        match self.left.checked_sub(1) {
            Some(left) => *self.left = left,
            None => return Err(D::Error::custom(format_args!("more than {} values", self.bounds.values))),
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("a number out of range"))
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Value, E> {
        self.string(text).map(Value::String)
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<Value, A::Error> {
        let mut out = Vec::new();
        while let Some(value) = list.next_element_seed(self.inner()?)? {
            out.push(value);
        }
        Ok(Value::Array(out))
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<Value, A::Error> {
        let mut out = Map::new();
        while let Some(name) = map.next_key::<std::borrow::Cow<'de, str>>()? {
            let name = self.string(&name)?;
            if out.contains_key(&name) {
                return Err(A::Error::custom(format_args!("property `{name}` stands there twice")));
            }
            let value = map.next_value_seed(self.inner()?)?;
            out.insert(name, value);
        }
        Ok(Value::Object(out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds { depth: 4, values: 10, string: 8 };

    #[test]
    fn what_exceeds_the_bounds_is_refused() {
        for (text, why) in [
            ("[[[[[]]]]]", "deeper"),
            ("[1,2,3,4,5,6,7,8,9,10]", "values"),
            (r#"{"a":"123456789"}"#, "bytes"),
            (r#"{"123456789":1}"#, "bytes"),
            (r#"{"a":1,"a":2}"#, "twice"),
            ("{} x", "trailing"),
            ("1e999", "range"),
        ] {
            assert!(read(text, BOUNDS).unwrap_err().to_string().contains(why), "{text}");
        }
        assert_eq!(read(r#"{"a":[1,-2,0.5,true,null,"x"]}"#, BOUNDS).unwrap()["a"][5], "x");
    }

    #[test]
    fn compact_text_says_the_same() {
        assert_eq!(&*compact("{ \"a b\" : [ 1 ,\n\t\"\\\" \\\\\" , 2 ] }"), r#"{"a b":[1,"\" \\",2]}"#);
    }

    proptest::proptest! {
        #[test]
        fn compacting_changes_no_value(text in r#"[ \\"a{}\[\]:,0-9]{0,40}"#) {
            if let Ok(value) = serde_json::from_str::<Value>(&text) {
                proptest::prop_assert_eq!(serde_json::from_str::<Value>(&compact(&text)).unwrap(), value);
            }
        }
    }
}
