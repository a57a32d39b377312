//! The reference of the policy language, generated from the tables that the loader uses.

use std::fmt::Write;

use model::{Effect, Kind};

use crate::rule::ANNOTATIONS;
use crate::schema::{Attribute, CONTEXT, ENUMERATED, PARTY, Symbols, action_about};

/// Everything a rule may say, as Markdown: `docs/reference/policy.md`.
pub fn reference(symbols: &Symbols) -> String {
    let mut out = String::from(
        "<!-- Generated from the code; do not edit. -->\n# Policy reference\n\n\
         Rules are written in [Cedar](https://docs.cedarpolicy.com/). [Writing rules](../policy.md) is the guide; \
         this page lists every name there is. A name that is not here is an error when the policy is loaded.\n\n",
    );
    annotations(&mut out);
    verdicts(&mut out);
    actions(&mut out);
    heading(
        &mut out,
        "principal and resource",
        "Who speaks and who is spoken to; both are a `Party`. A party is also `in` each of its groups (`Group::\"contractors\"`) and `in` its domain and the domains above it (`Domain::\"partner.example\"`).",
    );
    attributes(&mut out, &PARTY);
    heading(&mut out, "context", "What was found and how it came.");
    attributes(&mut out, &CONTEXT);
    heading(&mut out, "Values", "Closed lists; written like `Side::\"external\"`.");
    out.push_str("| type | values |\n| --- | --- |\n");
    for list in ENUMERATED {
        let names: Vec<String> = list.names.iter().map(|name| format!("`{name}`")).collect();
        let _ = writeln!(out, "| `{}` | {} |", list.of, names.join(", "));
    }
    symbol_table(&mut out, symbols);
    out
}

fn heading(out: &mut String, title: &str, text: &str) {
    let _ = writeln!(out, "\n## {title}\n\n{text}\n");
}

fn annotations(out: &mut String) {
    heading(out, "Annotations", "Written before the rule, like `@verdict(\"block\")`.");
    out.push_str("| annotation | is |\n| --- | --- |\n");
    for (name, about) in ANNOTATIONS {
        let _ = writeln!(out, "| `@{name}` | {about} |");
    }
}

fn verdicts(out: &mut String) {
    heading(out, "Verdicts", "Weakest first. Where several rules apply, the strongest counts.");
    out.push_str("| verdict | on a | what happens |\n| --- | --- | --- |\n");
    for effect in Effect::ALL {
        let (rule, about) = match effect {
            Effect::Allow => ("permit", "forwarded unchanged"),
            Effect::Warn => ("permit", "forwarded, with the notice for its readers"),
            Effect::Redact => ("permit", "forwarded, with the spans that were found replaced; the sender is told"),
            Effect::Quarantine => {
                ("forbid", "kept until a person releases or destroys it; the sender is told unless the rule is silent")
            }
            Effect::Block => ("forbid", "not delivered; the sender is told"),
            Effect::Disconnect => ("forbid", "not delivered, and the sender's session ends"),
        };
        let _ = writeln!(out, "| `{}` | {rule} | {about} |", effect.name());
    }
}

fn actions(out: &mut String) {
    heading(out, "action", "What was said or done; `action == Action::\"file\"`, or `action in [..]` for several.");
    out.push_str("| action | is |\n| --- | --- |\n");
    for kind in Kind::ALL {
        let _ = writeln!(out, "| `Action::\"{}\"` | {} |", kind.name(), action_about(kind));
    }
}

fn attributes(out: &mut String, attributes: &[Attribute]) {
    out.push_str("| attribute | type | is |\n| --- | --- | --- |\n");
    for Attribute { name, of, optional, about } in attributes {
        let optional = if *optional { " (ask `has` first)" } else { "" };
        let _ = writeln!(out, "| `{name}` | `{of}`{optional} | {about} |");
    }
}

fn symbol_table(out: &mut String, symbols: &Symbols) {
    heading(
        out,
        "Symbols",
        "What can be found. A finding puts its symbol and the families above it into `context.symbols`: \
         `link.indicator.phishing` puts `link.indicator` and `link` there too.",
    );
    out.push_str("| symbol | score | is | ATT&CK |\n| --- | ---: | --- | --- |\n");
    for (name, text) in symbols.entries() {
        let _ = match text {
            None => writeln!(out, "| **`{name}`** | | any of the family | |"),
            Some(text) => {
                let score = text.score.map(|s| s.to_string()).unwrap_or_default();
                let about = text.about.replace('|', "\\|");
                writeln!(out, "| `{name}` | {score} | {about} | {} |", text.technique.as_deref().unwrap_or_default())
            }
        };
    }
}
