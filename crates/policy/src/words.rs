//! Cedar's complaints in the words of rules rather than of schemas.

use cedar_policy::ValidationError;

use crate::problem::Problem;
use crate::schema::{self, Symbols};
use model::suggest;

/// Names people try that are written in another way here.
const INSTEAD: [(&[&str], &str); 5] = [
    (&["group", "groups"], "a party is in its groups: write `principal in Group::\"staff\"`"),
    (
        &["text", "body", "content", "subject"],
        "rules see what was found, never the text; an expression of your own gives a symbol `pattern.local.NAME`",
    ),
    (&["from", "sender"], "the sender is `principal`"),
    (&["to", "recipient"], "the recipient is `resource`"),
    (&["families", "findings", "symbol"], "what was found, and its families, is in `context.symbols`"),
];

/// A message without the internal rule id that it opens with, without the
/// action for which it was found (the schema is the same for all of them), and
/// without Cedar's internal types.
pub(crate) fn plain(message: &str) -> String {
    let rest = message.strip_prefix("for policy `").and_then(|rest| rest.split_once('`'));
    let message = rest.map_or(message, |(_, rest)| rest.trim_start_matches([',', ':', ' ']));
    let message = message.strip_prefix("error during extension function argument validation: ").unwrap_or(message);
    let message = match message.split_once(" for Action::\"") {
        Some((before, rest)) => format!("{before}{}", rest.split_once('"').map_or("", |(_, after)| after)),
        None => message.to_owned(),
    };
    message.replace("Set<__cedar::internal::Any>", "a set").replace("__cedar::internal::AnyEntity", "an entity")
}

/// Adds what Cedar can't know to a problem that it found.
pub(crate) fn explain(error: &ValidationError, symbols: &Symbols, problem: &mut Problem) {
    match error {
        ValidationError::InvalidEnumEntity(_) => misspelt(symbols, problem),
        ValidationError::UnsafeAttributeAccess(_) => {
            let name = problem.message.split('`').nth(1).unwrap_or_default();
            if let Some((_, hint)) = INSTEAD.iter().find(|(names, _)| names.contains(&name)) {
                problem.hint = Some((*hint).to_owned());
            }
        }
        ValidationError::UnexpectedType(_) if problem.message.contains("saw decimal") => {
            let hint = "compare a score like `context.score.greaterThan(decimal(\"5.0\"))`";
            problem.hint = Some(hint.to_owned());
        }
        ValidationError::IncompatibleTypes(_) => {
            let closed = schema::ENUMERATED.iter().map(|list| (list.of, list.names[0]));
            let closed = closed.chain([("Symbol", "link.lookalike")]);
            let is_named = |of: &str| {
                problem.message.contains("String") && problem.message.split([' ', ',']).any(|word| word == of)
            };
            if let Some((of, example)) = closed.into_iter().find(|(of, _)| is_named(of)) {
                problem.message = format!("a string where a {of} is meant");
                problem.hint = Some(format!("write it like `{of}::\"{example}\"`"));
            }
        }
        _ => {}
    }
}

/// A value that its closed list does not have.
fn misspelt(symbols: &Symbols, problem: &mut Problem) {
    // The message opens: entity `Symbol::"x"` is of an enumerated entity type, ...
    let entity = problem.message.split('`').nth(1).and_then(|entity| entity.split_once("::"));
    let Some((of, id)) = entity.map(|(of, id)| (of.to_owned(), id.trim_matches('"').to_owned())) else { return };
    (problem.message, problem.hint) = match schema::ENUMERATED.iter().find(|list| list.of == of) {
        Some(list) => (format!("unknown {of} `{id}`"), suggest::hint(&id, list.names.iter().copied())),
        None => (format!("unknown symbol `{id}`"), Some(symbol_hint(&id, symbols))),
    };
}

/// The nearest symbol by its whole name, else by its last part: people forget the family in between.
pub(crate) fn symbol_hint(id: &str, symbols: &Symbols) -> String {
    let last = |name: &'_ str| name.rsplit('.').next().unwrap_or_default().to_owned();
    let by_last = || {
        let lasts: Vec<String> = symbols.names().map(last).collect();
        let near = suggest::nearest(&last(id), lasts.iter().map(String::as_str))?;
        symbols.names().find(|name| last(name) == near)
    };
    match suggest::nearest(id, symbols.names()).or_else(by_last) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "docs/reference/policy.md lists the symbols".to_owned(),
    }
}
