//! Undoing what people do to a link so that nobody clicks it: `hxxps://evil[.]test`.

/// Text with defanging undone, and where each of its bytes came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refanged {
    /// The text a browser would take.
    pub text: String,
    /// For each byte of `text`, the offset in the original it came from; one more entry for the end.
    pub at: Vec<u32>,
}

/// What is written for what, matched without regard to case.
const FORMS: [(&str, &str); 13] = [
    ("[://]", "://"),
    ("[:]//", "://"),
    ("[:]", ":"),
    ("[.]", "."),
    ("(.)", "."),
    ("{.}", "."),
    ("[dot]", "."),
    ("(dot)", "."),
    ("{dot}", "."),
    ("[d0t]", "."),
    ("[@]", "@"),
    ("[at]", "@"),
    ("[/]", "/"),
];

/// Undoes bracketed dots, colons, slashes and ats, and `hxxp`. `None` when there is nothing to undo.
/// Takes time linear in the text.
pub fn refang(text: &str) -> Option<Refanged> {
    let mut out = Refanged { text: String::new(), at: Vec::new() };
    let mut done = 0;
    let mut i = 0;
    let bytes = text.as_bytes();
    while let Some(&byte) = bytes.get(i) {
        let found = match byte {
            b'[' | b'(' | b'{' => form_at(&text[i..]),
            b'h' | b'H' if !in_word(bytes, i) => scheme_at(&text[i..]),
            _ => None,
        };
        match found {
            Some((len, plain)) => {
                copy(&mut out, text, done, i);
                for _ in 0..plain.len() {
                    out.at.push(i as u32);
                }
                out.text.push_str(plain);
                i += len;
                done = i;
            }
            None => i += 1,
        }
    }
    if done == 0 {
        return None;
    }
    copy(&mut out, text, done, text.len());
    out.at.push(text.len() as u32);
    Some(out)
}

fn copy(out: &mut Refanged, text: &str, from: usize, to: usize) {
    out.text.push_str(&text[from..to]);
    out.at.extend(from as u32..to as u32);
}

fn in_word(bytes: &[u8], at: usize) -> bool {
    at.checked_sub(1).and_then(|i| bytes.get(i)).is_some_and(u8::is_ascii_alphanumeric)
}

fn form_at(rest: &str) -> Option<(usize, &'static str)> {
    FORMS.iter().find(|(form, _)| starts_with(rest, form)).map(|(form, plain)| (form.len(), *plain))
}

/// `hxxp`, `hxxps`, `h**p`, `hXXp`, `htxp`, `hxtp`, before a colon.
fn scheme_at(rest: &str) -> Option<(usize, &'static str)> {
    for (form, plain) in [("hxxps", "https"), ("hxxp", "http"), ("h**ps", "https"), ("h**p", "http"), ("htxp", "http")]
    {
        let next = rest.as_bytes().get(form.len());
        if starts_with(rest, form) && matches!(next, Some(b':' | b'[')) {
            return Some((form.len(), plain));
        }
    }
    None
}

fn starts_with(text: &str, form: &str) -> bool {
    text.as_bytes().get(..form.len()).is_some_and(|head| head.eq_ignore_ascii_case(form.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn undoes_what_people_write() {
        for (defanged, plain) in [
            ("hxxp://evil[.]test/a", "http://evil.test/a"),
            ("hXXps[:]//evil(.)co(dot)test", "https://evil.co.test"),
            ("hxxps[://]evil{.}test", "https://evil.test"),
            ("evil[DOT]test", "evil.test"),
            ("me[at]evil[.]test", "me@evil.test"),
        ] {
            let got = refang(defanged).unwrap();
            assert_eq!(got.text, plain);
            assert_eq!(got.at.len(), plain.len() + 1);
            assert_eq!(got.at.last(), Some(&(defanged.len() as u32)));
        }
    }

    #[test]
    fn leaves_the_rest_alone() {
        for plain in ["http://evil.test", "a (dotted) line", "hxxp", "shxxp://x", "", "[x](http://y)"] {
            assert_eq!(refang(plain), None, "{plain}");
        }
    }
}
