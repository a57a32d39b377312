//! Tokens that give access: how they begin, and what the rest must look like: a table.
//!
//! Only forms with a distinctive beginning are listed, as their makers document them; the
//! rest of the token is checked by alphabet and length, so that prose about `ghp_` is none.

use model::SymbolInfo;

/// One form of a token.
pub(super) struct Form {
    /// What it begins with.
    pub(super) starts: &'static str,
    /// The symbol it raises.
    pub(super) info: &'static SymbolInfo,
    /// What follows.
    pub(super) rest: Rest,
    /// What it is, in words.
    pub(super) what: &'static str,
}

/// What follows the beginning of a token.
#[derive(Clone, Copy)]
pub(super) enum Rest {
    /// That many characters of an alphabet, and then none more of it; at least and at most.
    Run(Alphabet, usize, usize),
    /// `header.payload.signature` in base64url, the payload an object too.
    Jwt,
    /// The label of a PEM block with a private key.
    Pem,
}

/// Characters a token is made of.
#[derive(Clone, Copy)]
pub(super) enum Alphabet {
    /// `A-Z2-7`.
    Base32,
    /// `A-Za-z0-9`.
    Alnum,
    /// `A-Za-z0-9_-`.
    Base64Url,
    /// `A-Za-z0-9+/=`.
    Base64,
    /// `A-Za-z0-9_-./:` as in the paths of web hooks.
    Path,
}

impl Alphabet {
    /// How many bytes from the start belong to it.
    pub(super) fn run(self, bytes: &[u8]) -> usize {
        bytes.iter().take_while(|byte| self.has(**byte)).count()
    }

    fn has(self, byte: u8) -> bool {
        match self {
            Alphabet::Base32 => byte.is_ascii_uppercase() || (b'2'..=b'7').contains(&byte) || byte.is_ascii_digit(),
            Alphabet::Alnum => byte.is_ascii_alphanumeric(),
            Alphabet::Base64Url => byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'),
            Alphabet::Base64 => byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'='),
            Alphabet::Path => byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'/' | b':'),
        }
    }
}

const fn info(symbol: &'static str, score: f32, about: &'static str) -> SymbolInfo {
    SymbolInfo { symbol, score, about, technique: Some("T1552") }
}

pub(super) const AWS: SymbolInfo = info("pattern.secret.aws", 5.0, "An Amazon Web Services access key");
pub(super) const GITHUB: SymbolInfo = info("pattern.secret.github", 5.0, "A GitHub token");
pub(super) const GITLAB: SymbolInfo = info("pattern.secret.gitlab", 5.0, "A GitLab token");
pub(super) const SLACK: SymbolInfo = info("pattern.secret.slack", 5.0, "A Slack token or web hook");
pub(super) const GOOGLE: SymbolInfo = info("pattern.secret.google", 5.0, "A Google API key or OAuth secret");
pub(super) const STRIPE: SymbolInfo = info("pattern.secret.stripe", 5.0, "A Stripe live key");
pub(super) const PRIVATE_KEY: SymbolInfo =
    info("pattern.secret.private_key", 6.0, "A private key in PEM or OpenPGP armour");
pub(super) const JWT: SymbolInfo = info("pattern.secret.jwt", 3.0, "A JSON web token");
pub(super) const TOKEN: SymbolInfo =
    info("pattern.secret.token", 5.0, "A token of another service with a distinctive beginning");
pub(super) const PASSWORD: SymbolInfo =
    info("pattern.secret.password", 2.0, "Something random after password=, token: or the like");

const fn run(
    starts: &'static str,
    info: &'static SymbolInfo,
    alphabet: Alphabet,
    least: usize,
    most: usize,
    what: &'static str,
) -> Form {
    Form { starts, info, rest: Rest::Run(alphabet, least, most), what }
}

/// The table.
pub(super) const FORMS: &[Form] = &[
    run("AKIA", &AWS, Alphabet::Base32, 16, 16, "an AWS access key"),
    run("ASIA", &AWS, Alphabet::Base32, 16, 16, "a temporary AWS access key"),
    run("ghp_", &GITHUB, Alphabet::Alnum, 36, 36, "a GitHub personal token"),
    run("gho_", &GITHUB, Alphabet::Alnum, 36, 36, "a GitHub OAuth token"),
    run("ghu_", &GITHUB, Alphabet::Alnum, 36, 36, "a GitHub app's user token"),
    run("ghs_", &GITHUB, Alphabet::Alnum, 36, 36, "a GitHub app's server token"),
    run("ghr_", &GITHUB, Alphabet::Alnum, 36, 80, "a GitHub refresh token"),
    run("github_pat_", &GITHUB, Alphabet::Base64Url, 60, 100, "a GitHub fine-grained token"),
    run("glpat-", &GITLAB, Alphabet::Path, 20, 64, "a GitLab personal token"),
    run("glrt-", &GITLAB, Alphabet::Path, 20, 64, "a GitLab runner token"),
    run("gldt-", &GITLAB, Alphabet::Path, 20, 64, "a GitLab deploy token"),
    run("glptt-", &GITLAB, Alphabet::Alnum, 40, 40, "a GitLab trigger token"),
    run("xoxb-", &SLACK, Alphabet::Base64Url, 20, 200, "a Slack bot token"),
    run("xoxp-", &SLACK, Alphabet::Base64Url, 20, 200, "a Slack user token"),
    run("xoxa-", &SLACK, Alphabet::Base64Url, 20, 200, "a Slack app token"),
    run("xoxr-", &SLACK, Alphabet::Base64Url, 20, 200, "a Slack refresh token"),
    run("xoxs-", &SLACK, Alphabet::Base64Url, 20, 200, "a Slack session token"),
    run("xapp-", &SLACK, Alphabet::Base64Url, 30, 200, "a Slack app-level token"),
    run("hooks.slack.com/services/", &SLACK, Alphabet::Path, 40, 80, "a Slack web hook"),
    run("AIza", &GOOGLE, Alphabet::Base64Url, 35, 35, "a Google API key"),
    run("GOCSPX-", &GOOGLE, Alphabet::Base64Url, 28, 28, "a Google OAuth secret"),
    run("ya29.", &GOOGLE, Alphabet::Base64Url, 40, 2_000, "a Google access token"),
    run("sk_live_", &STRIPE, Alphabet::Alnum, 24, 250, "a Stripe secret key"),
    run("rk_live_", &STRIPE, Alphabet::Alnum, 24, 250, "a Stripe restricted key"),
    run("npm_", &TOKEN, Alphabet::Alnum, 36, 36, "an npm token"),
    run("pypi-AgEIcHlwaS5vcmc", &TOKEN, Alphabet::Base64Url, 50, 1_000, "a PyPI token"),
    run("SG.", &TOKEN, Alphabet::Path, 66, 66, "a SendGrid key"),
    run("dop_v1_", &TOKEN, Alphabet::Alnum, 64, 64, "a DigitalOcean token"),
    run("sk-ant-", &TOKEN, Alphabet::Base64Url, 80, 200, "an Anthropic key"),
    run("sk-proj-", &TOKEN, Alphabet::Base64Url, 40, 250, "an OpenAI key"),
    run("hf_", &TOKEN, Alphabet::Alnum, 34, 40, "a Hugging Face token"),
    run("AccountKey=", &TOKEN, Alphabet::Base64, 86, 88, "an Azure storage key"),
    run("discord.com/api/webhooks/", &TOKEN, Alphabet::Path, 80, 100, "a Discord web hook"),
    Form { starts: "-----BEGIN ", info: &PRIVATE_KEY, rest: Rest::Pem, what: "a private key" },
    Form { starts: "eyJ", info: &JWT, rest: Rest::Jwt, what: "a JSON web token" },
];

/// Words after which a value may be a secret, without their first letter, whose case varies.
pub(super) const WORDS: &[&str] = &[
    "assword",
    "ASSWORD",
    "asswd",
    "assphrase",
    "ecret",
    "ECRET",
    "oken",
    "OKEN",
    "api_key",
    "apikey",
    "API_KEY",
    "apiKey",
];

impl Form {
    /// Length of the token that begins at the start of `text` (which begins with `starts`), if it is one.
    pub(super) fn length(&self, text: &str) -> Option<usize> {
        let rest = text.get(self.starts.len()..)?.as_bytes();
        let of = |alphabet: Alphabet, bytes: &[u8], most: usize| alphabet.run(&bytes[..bytes.len().min(most + 1)]);
        let len = match self.rest {
            Rest::Run(alphabet, least, most) => {
                let len = of(alphabet, rest, most);
                (least..=most).contains(&len).then_some(len)?
            }
            Rest::Jwt => {
                const MOST: usize = 8_192;
                let header = of(Alphabet::Base64Url, rest, MOST);
                let payload = rest.get(header..)?.strip_prefix(b".eyJ")?;
                let body = of(Alphabet::Base64Url, payload, MOST);
                let signature = payload.get(body..)?.strip_prefix(b".")?;
                let tail = of(Alphabet::Base64Url, signature, MOST);
                (header >= 8 && body >= 8 && tail >= 16).then_some(header + 4 + body + 1 + tail)?
            }
            Rest::Pem => {
                const LABEL: usize = 40;
                let head = rest.get(..rest.len().min(LABEL))?;
                let end = memchr::memmem::find(head, b"-----")?;
                memchr::memmem::find(head.get(..end)?, b"PRIVATE KEY")?;
                end + 5
            }
        };
        Some(self.starts.len() + len)
    }
}

/// The longest value after a word that is taken for a secret, in bytes.
pub(super) const LONGEST_SECRET: usize = 200;

/// Whether a value looks random: long enough, letters and digits mixed, few repeats.
pub(super) fn looks_random(value: &str) -> bool {
    if !(12..=LONGEST_SECRET).contains(&value.len()) || !value.is_ascii() {
        return false;
    }
    let bytes = value.as_bytes();
    let has = |is: fn(&u8) -> bool| bytes.iter().any(is);
    let classes = [
        has(u8::is_ascii_lowercase),
        has(u8::is_ascii_uppercase),
        has(u8::is_ascii_digit),
        has(u8::is_ascii_punctuation),
    ];
    let mixed = classes.iter().filter(|class| **class).count();
    let mut counts = [0u16; 128];
    for byte in bytes {
        counts[usize::from(byte & 127)] += 1;
    }
    let total = bytes.len() as f32;
    let entropy: f32 = counts.iter().filter(|n| **n > 0).map(|n| f32::from(*n) / total).map(|p| -p * p.log2()).sum();
    classes[2] && mixed >= 3 && entropy >= 3.2 && !value.contains("://")
}
