//! Asks Cedar: subject to request, satisfied rules to verdict.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use cedar_policy::{
    Authorizer, Context, Entities, Entity, EntityUid, PolicySet, Request, Response, RestrictedExpression as Value,
};
use model::{Effect, Party, Verdict};

use crate::key::suffixes;
use crate::questions::Questions;
use crate::rule::Rule;
use crate::schema::{self, Names, ancestors, uid};
use crate::subject::Subject;
use crate::{EvalFault, Outcome, fixed, load};

/// The rules, as Cedar evaluates them.
pub(crate) struct Evaluator {
    authorizer: Authorizer,
    names: Names,
    enforced: PolicySet,
    /// Rules in observe mode, apart by kind: Cedar names the satisfied permits
    /// of a set only when no forbid of it is satisfied.
    observed: [PolicySet; 2],
    groups: HashSet<Box<str>>,
    domains: HashSet<Box<str>>,
    observe_faults: AtomicU64,
}

type Why = Box<dyn std::error::Error>;

impl Evaluator {
    pub(crate) fn new(
        rules: &[Rule],
        policies: Vec<cedar_policy::Policy>,
        names: Names,
        questions: &Questions,
    ) -> Result<Evaluator, Box<cedar_policy::PolicySetError>> {
        let mut sets = [PolicySet::new(), PolicySet::new(), PolicySet::new()];
        for (rule, policy) in rules.iter().zip(policies) {
            let set = match (rule.observe, rule.forbids) {
                (false, _) => &mut sets[0],
                (true, true) => &mut sets[1],
                (true, false) => &mut sets[2],
            };
            set.add(policy)?;
        }
        let [enforced, forbids, permits] = sets;
        Ok(Evaluator {
            authorizer: Authorizer::new(),
            names,
            enforced,
            observed: [forbids, permits],
            groups: questions.groups.iter().cloned().collect(),
            domains: questions.domains.iter().cloned().collect(),
            observe_faults: AtomicU64::new(0),
        })
    }

    /// Evaluations of observe-mode rules that failed: they decide nothing, so they are only counted.
    pub(crate) fn observe_faults(&self) -> u64 {
        self.observe_faults.load(Ordering::Relaxed)
    }

    /// What the rules say of the subject.
    pub(crate) fn decide(&self, rules: &[Rule], subject: &Subject<'_>) -> Outcome {
        let (request, entities) = match self.request(subject) {
            Ok(made) => made,
            Err(why) => {
                let why = format!("the message could not be put to the rules: {why}").into();
                return Err(EvalFault { rules: Arc::from([]), why, at_least: Arc::default() });
            }
        };
        let ask = |set: &PolicySet| self.authorizer.is_authorized(&request, set, &entities);
        let response = ask(&self.enforced);
        let satisfied = satisfied(&response, rules);
        let mut verdict = verdict(&satisfied);
        for set in self.observed.iter().filter(|set| !set.is_empty()) {
            let response = ask(set);
            self.observe_faults.fetch_add(response.diagnostics().errors().count() as u64, Ordering::Relaxed);
            let differs = |rule: &&&Rule| rule.effect > verdict.effect || (satisfied.is_empty() && !rule.forbids);
            let ids: Vec<Arc<str>> =
                self::satisfied(&response, rules).iter().filter(differs).map(|rule| rule.id.clone()).collect();
            verdict.observed.extend(ids);
        }
        fault(&response, rules, &satisfied, verdict)
    }

    fn request(&self, subject: &Subject<'_>) -> Result<(Request, Entities), Why> {
        let (from, to) = (subject.from, subject.to);
        let mut entities = vec![self.party(from)?];
        let principal = entities[0].uid();
        let resource = match from.address.account == to.address.account {
            true => principal.clone(),
            false => {
                let entity = self.party(to)?;
                let resource = entity.uid();
                entities.push(entity);
                resource
            }
        };
        let action = self.names.actions.get(usize::from(schema::kind_index(subject.kind))).ok_or("unknown action")?;
        let request = Request::new(principal, action.clone(), resource, self.context(subject)?, None)?;
        Ok((request, Entities::from_entities(entities, None)?))
    }

    /// A party with the groups and domains that rules name; no other can matter.
    fn party(&self, party: &Party) -> Result<Entity, Why> {
        let domain = party.address.domain();
        let groups = party.groups.iter().filter(|g| self.groups.contains(&***g)).map(|g| uid(&self.names.group, g));
        let domains = suffixes(domain).filter(|d| self.domains.contains(*d)).map(|d| uid(&self.names.domain, d));
        let parents: HashSet<EntityUid> = groups.chain(domains).collect();
        let mut attributes = HashMap::from([
            ("account".to_owned(), Value::new_string(party.address.account.to_string())),
            ("domain".to_owned(), Value::new_string(domain.to_owned())),
            ("side".to_owned(), self.member(schema::SIDE, schema::side_index(party.side))?),
            ("kind".to_owned(), self.member(schema::PARTY_KIND, schema::party_kind_index(party.kind))?),
        ]);
        if let Some(person) = &party.person {
            attributes.insert("person".to_owned(), Value::new_string(person.to_string()));
        }
        Ok(Entity::new(uid(&self.names.party, &party.address.account), attributes, parents)?)
    }

    fn context(&self, subject: &Subject<'_>) -> Result<Context, Why> {
        let symbols = subject.findings.iter().flat_map(|f| ancestors(&f.symbol));
        let symbols: HashSet<&EntityUid> = symbols.filter_map(|s| self.names.symbols.get(s)).collect();
        let kinds = subject.file_kinds.iter().map(|kind| Value::new_string((*kind).to_owned()));
        let (hour, weekday) = subject.clock();
        let mut pairs = vec![
            ("symbols", Value::new_set(symbols.into_iter().cloned().map(Value::new_entity_uid))),
            ("score", Value::new_decimal(fixed::decimal(fixed::score(subject.score)))),
            ("file_kinds", Value::new_set(kinds)),
            ("direction", self.member(schema::DIRECTION, schema::direction_index(subject.direction))?),
            ("protocol", self.member(schema::PROTOCOL, schema::protocol_index(subject.protocol))?),
            ("time", Value::new_datetime(fixed::datetime(fixed::millis(subject.time)))),
            ("hour", Value::new_long(i64::from(hour))),
            ("weekday", self.member(schema::WEEKDAY, weekday)?),
        ];
        if let Some(sealed) = subject.sealed {
            pairs.push(("sealed", self.member(schema::SEALING, schema::sealing_index(sealed))?));
        }
        Ok(Context::from_pairs(pairs.into_iter().map(|(name, value)| (name.to_owned(), value)))?)
    }

    /// A member of a closed vocabulary.
    fn member(&self, list: usize, index: u8) -> Result<Value, Why> {
        let found = self.names.enumerated.get(list).and_then(|members| members.get(usize::from(index)));
        Ok(Value::new_entity_uid(found.ok_or("a value without a name")?.clone()))
    }
}

/// The rules that a response names as satisfied, in the order of the text.
fn satisfied<'r>(response: &Response, rules: &'r [Rule]) -> Vec<&'r Rule> {
    let mut indexes: Vec<usize> = response.diagnostics().reason().filter_map(load::index).collect();
    indexes.sort_unstable();
    indexes.into_iter().filter_map(|i| rules.get(i)).collect()
}

/// The strongest of the satisfied rules decide. Cedar names permits only when
/// no forbid is satisfied, and every forbid is stronger than every permit, so
/// strength alone tells. Where no rule is satisfied nothing permits the message.
fn verdict(satisfied: &[&Rule]) -> Verdict {
    let Some(effect) = satisfied.iter().map(|rule| rule.effect).max() else {
        return Verdict { effect: Effect::Block, ..Verdict::default() };
    };
    if effect == Effect::Allow {
        return Verdict::default();
    }
    let deciding = || satisfied.iter().filter(|rule| rule.effect == effect);
    Verdict {
        effect,
        rules: deciding().map(|rule| rule.id.clone()).collect(),
        observed: Vec::new(),
        notice: deciding().find_map(|rule| rule.notice.clone()),
        silent: deciding().all(|rule| rule.silent),
        on_fault: false,
    }
}

/// The verdict, unless a rule failed that could have made it stronger.
fn fault(response: &Response, rules: &[Rule], satisfied: &[&Rule], verdict: Verdict) -> Outcome {
    let errors: Vec<_> = response.diagnostics().errors().collect();
    let mut failed: Vec<(usize, String)> = Vec::new();
    for error in errors {
        let cedar_policy::AuthorizationError::PolicyEvaluationError(error) = error;
        if let Some(index) = load::index(error.policy_id()) {
            failed.push((index, error.inner().to_string()));
        }
    }
    failed.sort_by_key(|(index, _)| *index);
    let reached = if satisfied.is_empty() { Effect::Allow } else { verdict.effect };
    let rule = |index: &usize| rules.get(*index);
    let matters = |index: &usize| satisfied.is_empty() || rule(index).is_some_and(|r| r.effect > reached);
    failed.retain(|(index, _)| matters(index));
    let Some((_, why)) = failed.first() else { return Ok(Arc::new(verdict)) };
    let at_least =
        if satisfied.is_empty() { Verdict { observed: verdict.observed, ..Verdict::default() } } else { verdict };
    Err(EvalFault {
        why: why.as_str().into(),
        rules: failed.iter().filter_map(|(index, _)| rule(index)).map(|r| r.id.clone()).collect(),
        at_least: Arc::new(at_least),
    })
}
