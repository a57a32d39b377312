//! Which questions the rules ask of a subject: the key of the decision cache.
//!
//! Two subjects that answer all of them alike get the same decision, so the
//! answers are a sufficient key. The rules' syntax trees are walked once at
//! load. A comparison with a literal (`context.symbols.contains(Symbol::"x")`,
//! `principal in Group::"y"`, `context.score.greaterThan(decimal("5.0"))`) is a
//! question with a yes or no, or an interval, for an answer; an attribute that
//! is read in any other way goes into the key as it is. Whatever the walk does
//! not recognise counts as reading everything below it.

use std::collections::BTreeSet;

use cedar_policy::pst::{BinaryOp, Clause, EntityOrSlot, EntityUID, Expr, Literal, PatternElem, UnaryOp, Var};
use cedar_policy::pst::{PrincipalConstraint, ResourceConstraint, Template};

use crate::fixed;

/// Everything the rules ask.
#[derive(Debug, Default)]
pub(crate) struct Questions {
    pub(crate) fields: u64,
    pub(crate) symbols: Asked,
    pub(crate) file_kinds: Asked,
    pub(crate) score: Scale,
    pub(crate) time: Scale,
    pub(crate) from: PartyQuestions,
    pub(crate) to: PartyQuestions,
    /// Groups and domains named anywhere: no other can matter.
    pub(crate) groups: BTreeSet<Box<str>>,
    pub(crate) domains: BTreeSet<Box<str>>,
}

/// Questions about the members of a set: is this literal in it?
#[derive(Debug, Default)]
pub(crate) struct Asked {
    pub(crate) literals: BTreeSet<Box<str>>,
    /// The set is read as a whole.
    pub(crate) whole: bool,
}

/// Questions about a number: on which side of each threshold?
#[derive(Debug, Default)]
pub(crate) struct Scale {
    pub(crate) thresholds: BTreeSet<i64>,
    /// The number is read as it is.
    pub(crate) whole: bool,
}

/// Questions about the sender or the recipient.
#[derive(Debug, Default)]
pub(crate) struct PartyQuestions {
    pub(crate) accounts: Asked,
    pub(crate) domains: Asked,
    pub(crate) people: Asked,
    /// `in Group::"..."`.
    pub(crate) groups: BTreeSet<Box<str>>,
    /// `in Domain::"..."`: the domain or one below it.
    pub(crate) within: BTreeSet<Box<str>>,
    pub(crate) likes: Vec<(Text, Vec<PatternElem>)>,
    /// The party itself is read in a way that is not understood.
    everything: bool,
}

/// A party's attribute that is a string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Text {
    Account,
    Domain,
    Person,
}

/// The small answers, packed into one word: field, first bit, width.
pub(crate) mod field {
    /// First bit and number of bits.
    pub(crate) type Field = (u32, u32);
    pub(crate) const KIND: Field = (0, 4);
    pub(crate) const SAME: Field = (4, 1);
    pub(crate) const DIRECTION: Field = (5, 2);
    pub(crate) const PROTOCOL: Field = (7, 4);
    pub(crate) const SEALED: Field = (11, 4);
    pub(crate) const HOUR: Field = (15, 5);
    pub(crate) const WEEKDAY: Field = (20, 3);
    pub(crate) const FROM_SIDE: Field = (23, 2);
    pub(crate) const FROM_KIND: Field = (25, 3);
    pub(crate) const FROM_PERSON: Field = (28, 1);
    pub(crate) const TO_SIDE: Field = (29, 2);
    pub(crate) const TO_KIND: Field = (31, 3);
    pub(crate) const TO_PERSON: Field = (34, 1);
    pub(crate) const CONTEXT: [Field; 5] = [DIRECTION, PROTOCOL, SEALED, HOUR, WEEKDAY];

    pub(crate) fn mask((first, width): Field) -> u64 {
        ((1u64 << width) - 1) << first
    }
}

/// Which of the two parties.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Who {
    From,
    To,
}

impl Questions {
    /// The questions that a set of rules asks.
    pub(crate) fn of<'a>(rules: impl Iterator<Item = &'a Template>) -> Questions {
        let mut questions =
            Questions { fields: field::mask(field::KIND) | field::mask(field::SAME), ..Questions::default() };
        for rule in rules {
            questions.scope(rule);
            for clause in rule.clauses() {
                let (Clause::When(expr) | Clause::Unless(expr)) = clause;
                questions.walk(expr);
            }
        }
        questions.settle();
        questions
    }

    /// Accounts and domains that rules name.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = &str> {
        [&self.from, &self.to]
            .into_iter()
            .flat_map(|p| p.accounts.literals.iter().chain(&p.domains.literals).chain(&p.within))
            .map(|name| &**name)
    }

    fn scope(&mut self, rule: &Template) {
        use PrincipalConstraint as P;
        use ResourceConstraint as R;
        match &rule.principal {
            P::Any | P::Is(_) => {}
            P::Eq(entity) | P::In(entity) | P::IsIn(_, entity) => self.scope_entity(Who::From, entity),
        }
        match &rule.resource {
            R::Any | R::Is(_) => {}
            R::Eq(entity) | R::In(entity) | R::IsIn(_, entity) => self.scope_entity(Who::To, entity),
        }
    }

    fn scope_entity(&mut self, who: Who, entity: &EntityOrSlot) {
        match entity {
            EntityOrSlot::Entity(uid) => self.entity(who, uid),
            // Rules are never templates; the loader refuses slots.
            EntityOrSlot::Slot(_) => self.party(who).everything = true,
        }
    }

    /// "Is the party this entity, or in it?"
    fn entity(&mut self, who: Who, uid: &EntityUID) {
        self.name(uid);
        let id = Box::from(uid.eid.as_str());
        let party = self.party(who);
        match uid.ty.to_string().as_str() {
            "Group" => _ = party.groups.insert(id),
            "Domain" => _ = party.within.insert(id),
            "Party" => _ = party.accounts.literals.insert(id),
            _ => {}
        }
    }

    /// Notes a literal, wherever it stands.
    fn name(&mut self, uid: &EntityUID) {
        let id = Box::from(uid.eid.as_str());
        match uid.ty.to_string().as_str() {
            "Group" => _ = self.groups.insert(id),
            "Domain" => _ = self.domains.insert(id),
            _ => {}
        }
    }

    fn party(&mut self, who: Who) -> &mut PartyQuestions {
        match who {
            Who::From => &mut self.from,
            Who::To => &mut self.to,
        }
    }

    fn walk(&mut self, expr: &Expr) {
        if self.question(expr) {
            return;
        }
        match expr {
            Expr::Literal(Literal::EntityUID(uid)) => self.name(uid),
            Expr::Literal(_) => {}
            Expr::Var(var) => self.bare(var),
            Expr::GetAttr { expr, attr } => match &**expr {
                Expr::Var(var) => self.attribute(var, attr),
                other => self.walk(other),
            },
            Expr::HasAttr { expr, attrs } => match &**expr {
                Expr::Var(var) => self.presence(var, &attrs.head),
                other => self.walk(other),
            },
            Expr::UnaryOp { expr, .. } | Expr::Like { expr, .. } => self.walk(expr),
            Expr::BinaryOp { left, right, .. } => {
                self.walk(left);
                self.walk(right);
            }
            Expr::Is { expr, in_expr, .. } => {
                self.walk(expr);
                in_expr.iter().for_each(|e| self.walk(e));
            }
            Expr::IfThenElse { cond, then_expr, else_expr } => {
                self.walk(cond);
                self.walk(then_expr);
                self.walk(else_expr);
            }
            Expr::Set(members) => members.iter().for_each(|e| self.walk(e)),
            Expr::Record(members) => members.values().for_each(|e| self.walk(e)),
            _ => self.all(),
        }
    }

    /// Recognises a comparison with literals; `false` when it is something else.
    fn question(&mut self, expr: &Expr) -> bool {
        match expr {
            Expr::BinaryOp { op: BinaryOp::In, left, right } => match (party_var(left), entities(right)) {
                (Some(who), Some(uids)) => {
                    uids.iter().for_each(|uid| self.entity(who, uid));
                    true
                }
                _ => false,
            },
            Expr::Is { expr, in_expr, .. } => match (party_var(expr), in_expr.as_deref().map(entities)) {
                (Some(_), None) => true,
                (Some(who), Some(Some(uids))) => {
                    uids.iter().for_each(|uid| self.entity(who, uid));
                    true
                }
                _ => false,
            },
            Expr::BinaryOp { op: BinaryOp::Eq | BinaryOp::NotEq, left, right } => {
                is_both_parties(left, right)
                    || self.equals(left, right)
                    || self.equals(right, left)
                    || self.compares(left, right)
            }
            Expr::BinaryOp {
                op:
                    BinaryOp::DecimalLessThan
                    | BinaryOp::DecimalLessEq
                    | BinaryOp::DecimalGreater
                    | BinaryOp::DecimalGreaterEq
                    | BinaryOp::Less
                    | BinaryOp::LessEq
                    | BinaryOp::Greater
                    | BinaryOp::GreaterEq,
                left,
                right,
            } => self.compares(left, right),
            Expr::BinaryOp { op: BinaryOp::Contains | BinaryOp::ContainsAll | BinaryOp::ContainsAny, left, right } => {
                self.contains(left, right)
            }
            Expr::Like { expr, pattern } => match party_text(expr) {
                Some((who, text)) => {
                    self.party(who).likes.push((text, pattern.clone()));
                    true
                }
                None => false,
            },
            _ => false,
        }
    }

    /// `principal == Party::"x"`, `principal.domain == "x"`.
    fn equals(&mut self, one: &Expr, other: &Expr) -> bool {
        match other {
            Expr::Literal(Literal::EntityUID(uid)) => match party_var(one) {
                Some(who) => {
                    self.entity(who, uid);
                    true
                }
                None => false,
            },
            Expr::Literal(Literal::String(string)) => match party_text(one) {
                Some((who, text)) => {
                    self.party(who).asked(text).literals.insert(Box::from(string.as_str()));
                    true
                }
                None => false,
            },
            _ => false,
        }
    }

    /// A number of the context against a literal, on either side.
    fn compares(&mut self, left: &Expr, right: &Expr) -> bool {
        let (scale, literal) = match (context_attribute(left), context_attribute(right)) {
            (Some(name), None) => (name, right),
            (None, Some(name)) => (name, left),
            _ => return false,
        };
        let threshold = match (scale, literal) {
            ("score", Expr::UnaryOp { op: UnaryOp::Decimal, expr }) => string(expr).and_then(fixed::parse),
            ("time", Expr::UnaryOp { op: UnaryOp::Datetime, expr }) => string(expr).and_then(fixed::parse_time),
            _ => None,
        };
        let Some(threshold) = threshold else { return false };
        let scale = if scale == "score" { &mut self.score } else { &mut self.time };
        scale.thresholds.insert(threshold);
        true
    }

    /// `context.symbols.containsAny([..])` and the like.
    fn contains(&mut self, left: &Expr, right: &Expr) -> bool {
        let members: Vec<&Expr> = match right {
            Expr::Set(members) => members.iter().map(|m| &**m).collect(),
            one => vec![one],
        };
        let (asked, ids): (&mut Asked, Option<Vec<&str>>) = match context_attribute(left) {
            Some("symbols") => (&mut self.symbols, members.iter().map(|m| entity(m).map(|u| u.eid.as_str())).collect()),
            Some("file_kinds") => (&mut self.file_kinds, members.iter().map(|m| string(m)).collect()),
            _ => return false,
        };
        let Some(ids) = ids else { return false };
        asked.literals.extend(ids.into_iter().map(Box::from));
        true
    }

    /// An attribute read as it is.
    fn attribute(&mut self, var: &Var, name: &str) {
        let (who, side, kind) = match var {
            Var::Principal => (Who::From, field::FROM_SIDE, field::FROM_KIND),
            Var::Resource => (Who::To, field::TO_SIDE, field::TO_KIND),
            Var::Context => return self.context(name),
            Var::Action => return,
        };
        match name {
            "side" => self.fields |= field::mask(side),
            "kind" => self.fields |= field::mask(kind),
            "account" => self.party(who).accounts.whole = true,
            "domain" => self.party(who).domains.whole = true,
            "person" => self.party(who).people.whole = true,
            _ => self.party(who).everything = true,
        }
    }

    fn context(&mut self, name: &str) {
        match name {
            "symbols" => self.symbols.whole = true,
            "file_kinds" => self.file_kinds.whole = true,
            "score" => self.score.whole = true,
            "time" => self.time.whole = true,
            "direction" => self.fields |= field::mask(field::DIRECTION),
            "protocol" => self.fields |= field::mask(field::PROTOCOL),
            "sealed" => self.fields |= field::mask(field::SEALED),
            "hour" => self.fields |= field::mask(field::HOUR),
            "weekday" => self.fields |= field::mask(field::WEEKDAY),
            _ => self.whole_context(),
        }
    }

    /// `principal has person`, `context has sealed`; every other attribute is always there.
    fn presence(&mut self, var: &Var, name: &str) {
        match (var, name) {
            (Var::Principal, "person") => self.fields |= field::mask(field::FROM_PERSON),
            (Var::Resource, "person") => self.fields |= field::mask(field::TO_PERSON),
            (Var::Context, "sealed") => self.fields |= field::mask(field::SEALED),
            _ => {}
        }
    }

    fn bare(&mut self, var: &Var) {
        match var {
            Var::Principal => self.from.everything = true,
            Var::Resource => self.to.everything = true,
            Var::Context => self.whole_context(),
            Var::Action => {}
        }
    }

    fn whole_context(&mut self) {
        field::CONTEXT.into_iter().for_each(|f| self.fields |= field::mask(f));
        self.symbols.whole = true;
        self.file_kinds.whole = true;
        self.score.whole = true;
        self.time.whole = true;
    }

    fn all(&mut self) {
        self.from.everything = true;
        self.to.everything = true;
        self.whole_context();
    }

    /// A party read as a whole is asked everything that can be asked of it.
    fn settle(&mut self) {
        for (who, fields) in [
            (Who::From, [field::FROM_SIDE, field::FROM_KIND, field::FROM_PERSON]),
            (Who::To, [field::TO_SIDE, field::TO_KIND, field::TO_PERSON]),
        ] {
            let (groups, domains) = (self.groups.clone(), self.domains.clone());
            let party = self.party(who);
            if party.everything {
                party.accounts.whole = true;
                party.domains.whole = true;
                party.people.whole = true;
                party.groups.extend(groups);
                party.within.extend(domains);
                fields.into_iter().for_each(|f| self.fields |= field::mask(f));
            }
        }
    }
}

impl PartyQuestions {
    fn asked(&mut self, text: Text) -> &mut Asked {
        match text {
            Text::Account => &mut self.accounts,
            Text::Domain => &mut self.domains,
            Text::Person => &mut self.people,
        }
    }
}

fn party_var(expr: &Expr) -> Option<Who> {
    match expr {
        Expr::Var(Var::Principal) => Some(Who::From),
        Expr::Var(Var::Resource) => Some(Who::To),
        _ => None,
    }
}

/// `principal == resource`: its answer is always in the key.
fn is_both_parties(left: &Expr, right: &Expr) -> bool {
    party_var(left).is_some() && party_var(right).is_some()
}

fn party_text(expr: &Expr) -> Option<(Who, Text)> {
    let Expr::GetAttr { expr, attr } = expr else { return None };
    let text = match attr.as_str() {
        "account" => Text::Account,
        "domain" => Text::Domain,
        "person" => Text::Person,
        _ => return None,
    };
    Some((party_var(expr)?, text))
}

fn context_attribute(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::GetAttr { expr, attr } if matches!(**expr, Expr::Var(Var::Context)) => Some(attr.as_str()),
        _ => None,
    }
}

fn entity(expr: &Expr) -> Option<&EntityUID> {
    match expr {
        Expr::Literal(Literal::EntityUID(uid)) => Some(uid),
        _ => None,
    }
}

fn entities(expr: &Expr) -> Option<Vec<&EntityUID>> {
    match expr {
        Expr::Set(members) => members.iter().map(|m| entity(m)).collect(),
        one => entity(one).map(|uid| vec![uid]),
    }
}

fn string(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Literal(Literal::String(string)) => Some(string.as_str()),
        _ => None,
    }
}
