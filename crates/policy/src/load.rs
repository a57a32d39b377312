//! Rule text to checked rules: parse each, check it against the schema, read its annotations.

use cedar_policy::ffi::DetailedError;
use cedar_policy::{PolicyId, PolicySet, Schema, ValidationMode, Validator};

use crate::problem::{Problem, Severity};
use crate::rule::Rule;
use crate::schema::{self, Symbols};
use crate::source::{MOST_BYTES, Piece, Source};
use crate::words;

/// What was read: rules and Cedar policies in the same order, and everything wrong with them.
pub(crate) struct Loaded {
    pub(crate) rules: Vec<Rule>,
    /// The Cedar policy of each rule; its id is the rule's index.
    pub(crate) policies: Vec<cedar_policy::Policy>,
    /// Errors and warnings, in the order of the text.
    pub(crate) problems: Vec<Problem>,
}

impl Loaded {
    pub(crate) fn has_errors(&self) -> bool {
        self.problems.iter().any(|p| p.severity == Severity::Error)
    }
}

/// A rule's place, for what is found out about it later.
struct Placed<'s> {
    source: &'s Source<'s>,
    piece: Piece,
}

/// Reads the sources; the rules of all after the first `enforced` only observe. Never fails: what can't be used
/// is a problem.
pub(crate) fn load(sources: &[(&str, &str)], enforced: usize, symbols: &Symbols) -> Loaded {
    let mut loaded = Loaded { rules: Vec::new(), policies: Vec::new(), problems: Vec::new() };
    let sources: Vec<Source<'_>> = sources.iter().map(|(file, text)| Source::new(file, text)).collect();
    if let Some(problem) = too_much(&sources) {
        loaded.problems.push(problem);
        return loaded;
    }
    let mut placed = Vec::new();
    for (at, source) in sources.iter().enumerate() {
        let (pieces, problems) = source.pieces();
        loaded.problems.extend(problems);
        for piece in pieces {
            if let Some(policy) = parse(source, &piece, placed.len(), &mut loaded.problems) {
                let mut rule = Rule::read(source, &piece, &policy, &mut loaded.problems);
                rule.observe |= at >= enforced;
                loaded.rules.push(rule);
                loaded.policies.push(policy);
                placed.push(Placed { source, piece });
            }
        }
    }
    refuse_twins(&loaded.rules, &placed, &mut loaded.problems);
    validate(&loaded.policies, &placed, symbols, &mut loaded.problems);
    if let Some(source) = sources.first() {
        loaded.problems.extend(missing_base(&loaded, source));
    }
    tidy(&placed, &mut loaded.problems);
    let order = |p: &Problem| sources.iter().position(|s| s.file == p.file);
    loaded.problems.sort_by_key(|p| (order(p), p.line, p.column));
    loaded
}

fn too_much(sources: &[Source<'_>]) -> Option<Problem> {
    const MOST_SOURCES: usize = 256;
    let bytes: usize = sources.iter().map(|s| s.text.len()).sum();
    let first = sources.first()?;
    (bytes > 4 * MOST_BYTES || sources.len() > MOST_SOURCES).then(|| {
        let hint = "a policy has at most 256 files and 4 MiB".to_owned();
        first.problem(Severity::Error, 0, "too much policy text", Some(hint))
    })
}

fn parse(
    source: &Source<'_>,
    piece: &Piece,
    index: usize,
    problems: &mut Vec<Problem>,
) -> Option<cedar_policy::Policy> {
    let text = &source.text[piece.span.clone()];
    match cedar_policy::Policy::parse(Some(PolicyId::new(index.to_string())), text) {
        Ok(policy) => Some(policy),
        Err(errors) => {
            for error in errors.iter() {
                let detail = DetailedError::from(error);
                problems.push(placed(source, piece, &detail, Severity::Error));
            }
            None
        }
    }
}

/// A problem from what Cedar says, whose offsets count from the beginning of the rule.
fn placed(source: &Source<'_>, piece: &Piece, detail: &DetailedError, severity: Severity) -> Problem {
    let offset = detail.source_locations.first().map_or(0, |label| label.loc.start);
    let label = detail.source_locations.iter().find_map(|l| l.label.clone());
    let hint = detail.help.clone().or(label).map(|hint| words::plain(&hint));
    source.problem(severity, piece.span.start + offset, words::plain(&detail.message), hint)
}

/// Says each thing once, and of a rule that does not load only why it does not.
fn tidy(placed: &[Placed<'_>], problems: &mut Vec<Problem>) {
    for Placed { source, piece } in placed {
        let lines = source.place(piece.span.start).0..=source.place(piece.span.end).0;
        let is_here = |p: &Problem| p.file == source.file && lines.contains(&p.line);
        if problems.iter().any(|p| is_here(p) && p.severity == Severity::Error) {
            problems.retain(|p| !is_here(p) || p.severity == Severity::Error);
        }
    }
    let mut seen = std::collections::HashSet::new();
    problems.retain(|p| seen.insert((p.file.clone(), p.line, p.column, p.message.clone())));
}

fn refuse_twins(rules: &[Rule], placed: &[Placed<'_>], problems: &mut Vec<Problem>) {
    let mut seen = crate::Map::<&str, &Rule>::default();
    for (rule, Placed { source, piece }) in rules.iter().zip(placed) {
        match seen.get(&*rule.id) {
            Some(first) => {
                let message = format!("a second rule with the id `{}`", rule.id);
                let hint = format!("the first is at {}:{}; records need to tell them apart", first.file, first.line);
                problems.push(source.problem(Severity::Error, piece.span.start, message, Some(hint)));
            }
            None => _ = seen.insert(&rule.id, rule),
        }
    }
}

fn validate(policies: &[cedar_policy::Policy], places: &[Placed<'_>], symbols: &Symbols, problems: &mut Vec<Problem>) {
    let schema = match Schema::from_cedarschema_str(&schema::text(symbols)) {
        Ok((schema, _)) => schema,
        Err(error) => return problems.push(Problem::internal(error.to_string())),
    };
    let set = match PolicySet::from_policies(policies.iter().cloned()) {
        Ok(set) => set,
        Err(error) => return problems.push(Problem::internal(error.to_string())),
    };
    let result = Validator::new(schema).validate(&set, ValidationMode::Strict);
    let place = |id: &PolicyId| -> Option<&Placed<'_>> { places.get(index(id)?) };
    for error in result.validation_errors() {
        if let Some(Placed { source, piece }) = place(error.policy_id()) {
            let mut problem = placed(source, piece, &DetailedError::from(error), Severity::Error);
            words::explain(error, symbols, &mut problem);
            problems.push(problem);
        }
    }
    for warning in result.validation_warnings() {
        if let Some(Placed { source, piece }) = place(warning.policy_id()) {
            let mut problem = placed(source, piece, &DetailedError::from(warning), Severity::Warning);
            use cedar_policy::ValidationWarning::{ImpossiblePolicy, InvalidActionApplication};
            if let ImpossiblePolicy(_) | InvalidActionApplication(_) = warning {
                problem.message = "the rule can never apply".to_owned();
                problem.hint = Some("its conditions exclude each other; take it out or correct it".to_owned());
            }
            problems.push(problem);
        }
    }
}

/// The index of the rule that a Cedar policy id stands for.
pub(crate) fn index(id: &PolicyId) -> Option<usize> {
    let id: &str = id.as_ref();
    id.parse().ok()
}

fn missing_base(loaded: &Loaded, source: &Source<'_>) -> Option<Problem> {
    use cedar_policy::{ActionConstraint, PrincipalConstraint, ResourceConstraint};
    let is_base = |(rule, policy): (&Rule, &cedar_policy::Policy)| {
        !rule.forbids
            && !rule.observe
            && policy.principal_constraint() == PrincipalConstraint::Any
            && policy.action_constraint() == ActionConstraint::Any
            && policy.resource_constraint() == ResourceConstraint::Any
            && !policy.has_non_scope_constraint()
    };
    let found = loaded.rules.iter().zip(&loaded.policies).any(is_base);
    (!found && !loaded.has_errors()).then(|| {
        let message = "no base permit: whatever no rule permits is blocked";
        let hint = "add `@id(\"base\") permit (principal, action, resource);` unless that is meant";
        source.problem(Severity::Warning, 0, message, Some(hint.to_owned()))
    })
}
