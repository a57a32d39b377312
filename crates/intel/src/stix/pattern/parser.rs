//! From text to [`Observation`]: recursive descent with a bound on depth.

use super::lexer::{Lexer, Token};
use super::{
    COMPARISONS, Comparison, DEPTH, Literal, Observation, Operator, Path, PathStep, PatternError, Qualifier, Test,
};
use crate::stix::check::PATTERN_BYTES;

/// Reads a pattern.
pub fn parse(text: &str) -> Result<Observation, PatternError> {
    if text.len() > PATTERN_BYTES {
        return Err(PatternError { at: 0, why: format!("longer than {PATTERN_BYTES} bytes") });
    }
    let mut parser = Parser { lexer: Lexer::new(text), ahead: None, at: 0, comparisons: COMPARISONS };
    parser.advance()?;
    let observation = parser.followed_by(DEPTH)?;
    match parser.ahead {
        None => Ok(observation),
        Some(_) => Err(parser.unexpected("the end")),
    }
}

struct Parser<'a> {
    lexer: Lexer<'a>,
    /// The next token.
    ahead: Option<Token>,
    /// Where it begins.
    at: usize,
    /// Comparisons that may still come.
    comparisons: usize,
}

impl Parser<'_> {
    fn advance(&mut self) -> Result<Option<Token>, PatternError> {
        let next = self.lexer.next()?;
        let (token, at) = match next {
            Some((token, at)) => (Some(token), at),
            None => (None, usize::MAX),
        };
        self.at = at;
        Ok(std::mem::replace(&mut self.ahead, token))
    }

    fn unexpected(&self, wanted: &str) -> PatternError {
        match &self.ahead {
            None => PatternError { at: 0, why: format!("ends where {wanted} is wanted") },
            Some(_) => PatternError { at: self.at, why: format!("{wanted} is wanted here") },
        }
    }

    fn is_sign(&self, sign: &str) -> bool {
        matches!(&self.ahead, Some(Token::Sign(have)) if *have == sign)
    }

    fn is_word(&self, word: &str) -> bool {
        matches!(&self.ahead, Some(Token::Word(have)) if **have == *word)
    }

    fn take_sign(&mut self, sign: &str) -> Result<bool, PatternError> {
        let is = self.is_sign(sign);
        if is {
            self.advance()?;
        }
        Ok(is)
    }

    fn take_word(&mut self, word: &str) -> Result<bool, PatternError> {
        let is = self.is_word(word);
        if is {
            self.advance()?;
        }
        Ok(is)
    }

    fn need_sign(&mut self, sign: &str) -> Result<(), PatternError> {
        if self.take_sign(sign)? { Ok(()) } else { Err(self.unexpected(&format!("`{sign}`"))) }
    }

    fn need_word(&mut self, word: &str) -> Result<(), PatternError> {
        if self.take_word(word)? { Ok(()) } else { Err(self.unexpected(&format!("`{word}`"))) }
    }

    fn deeper(&self, depth: usize) -> Result<usize, PatternError> {
        depth.checked_sub(1).ok_or_else(|| PatternError { at: self.at, why: format!("nested deeper than {DEPTH}") })
    }

    fn followed_by(&mut self, depth: usize) -> Result<Observation, PatternError> {
        let mut all = vec![self.any_observation(depth)?];
        while self.take_word("FOLLOWEDBY")? {
            all.push(self.any_observation(depth)?);
        }
        Ok(one_or(all, Observation::FollowedBy))
    }

    fn any_observation(&mut self, depth: usize) -> Result<Observation, PatternError> {
        let mut all = vec![self.all_observations(depth)?];
        while self.take_word("OR")? {
            all.push(self.all_observations(depth)?);
        }
        Ok(one_or(all, Observation::Or))
    }

    fn all_observations(&mut self, depth: usize) -> Result<Observation, PatternError> {
        let mut all = vec![self.observation(depth)?];
        while self.take_word("AND")? {
            all.push(self.observation(depth)?);
        }
        Ok(one_or(all, Observation::And))
    }

    fn observation(&mut self, depth: usize) -> Result<Observation, PatternError> {
        let depth = self.deeper(depth)?;
        let mut observation = if self.take_sign("[")? {
            let comparison = self.any_comparison(depth)?;
            self.need_sign("]")?;
            Observation::One(comparison)
        } else if self.take_sign("(")? {
            let inner = self.followed_by(depth)?;
            self.need_sign(")")?;
            inner
        } else {
            return Err(self.unexpected("`[` or `(`"));
        };
        let mut qualifiers = 0;
        while let Some(qualifier) = self.qualifier()? {
            qualifiers += 1;
            if qualifiers > 3 {
                return Err(PatternError { at: self.at, why: "more than three qualifiers".into() });
            }
            observation = Observation::Qualified(Box::new(observation), qualifier);
        }
        Ok(observation)
    }

    fn qualifier(&mut self) -> Result<Option<Qualifier>, PatternError> {
        if self.take_word("WITHIN")? {
            let seconds = match self.literal()? {
                Literal::Integer(seconds) => seconds as f64,
                Literal::Float(seconds) => seconds,
                _ => -1.0,
            };
            if seconds <= 0.0 {
                return Err(PatternError { at: self.at, why: "WITHIN wants a number of seconds above 0".into() });
            }
            self.need_word("SECONDS")?;
            return Ok(Some(Qualifier::Within(seconds)));
        }
        if self.take_word("REPEATS")? {
            let Literal::Integer(times @ 1..) = self.literal()? else {
                return Err(PatternError { at: self.at, why: "REPEATS wants a number above 0".into() });
            };
            self.need_word("TIMES")?;
            return Ok(Some(Qualifier::Repeats(times.unsigned_abs())));
        }
        if self.take_word("START")? {
            let start = self.literal()?;
            self.need_word("STOP")?;
            return match (start, self.literal()?) {
                (Literal::Time(start), Literal::Time(stop)) if start < stop => {
                    Ok(Some(Qualifier::StartStop(start, stop)))
                }
                _ => Err(PatternError { at: self.at, why: "START and STOP want two times, the later one last".into() }),
            };
        }
        Ok(None)
    }

    fn any_comparison(&mut self, depth: usize) -> Result<Comparison, PatternError> {
        let mut all = vec![self.all_comparisons(depth)?];
        while self.take_word("OR")? {
            all.push(self.all_comparisons(depth)?);
        }
        Ok(one_or(all, Comparison::Or))
    }

    fn all_comparisons(&mut self, depth: usize) -> Result<Comparison, PatternError> {
        let mut all = vec![self.comparison(depth)?];
        while self.take_word("AND")? {
            all.push(self.comparison(depth)?);
        }
        Ok(one_or(all, Comparison::And))
    }

    fn comparison(&mut self, depth: usize) -> Result<Comparison, PatternError> {
        let depth = self.deeper(depth)?;
        if self.take_sign("(")? {
            let inner = self.any_comparison(depth)?;
            self.need_sign(")")?;
            return Ok(inner);
        }
        self.count()?;
        if self.take_word("EXISTS")? {
            return Ok(Comparison::Exists(self.path()?));
        }
        let path = self.path()?;
        let negated = self.take_word("NOT")?;
        let operator = self.operator()?;
        let values = if operator == Operator::In { self.set()? } else { vec![self.literal()?] };
        Ok(Comparison::Test(Test { path, negated, operator, values }))
    }

    fn count(&mut self) -> Result<(), PatternError> {
        match self.comparisons.checked_sub(1) {
            Some(left) => self.comparisons = left,
            None => return Err(PatternError { at: self.at, why: format!("more than {COMPARISONS} comparisons") }),
        }
        Ok(())
    }

    fn operator(&mut self) -> Result<Operator, PatternError> {
        let operator = match &self.ahead {
            Some(Token::Sign("=")) => Operator::Equal,
            Some(Token::Sign("!=")) => Operator::NotEqual,
            Some(Token::Sign("<")) => Operator::Less,
            Some(Token::Sign("<=")) => Operator::LessEqual,
            Some(Token::Sign(">")) => Operator::Greater,
            Some(Token::Sign(">=")) => Operator::GreaterEqual,
            Some(Token::Word(word)) => match &**word {
                "IN" => Operator::In,
                "LIKE" => Operator::Like,
                "MATCHES" => Operator::Matches,
                "ISSUBSET" => Operator::Subset,
                "ISSUPERSET" => Operator::Superset,
                _ => return Err(self.unexpected("an operator")),
            },
            _ => return Err(self.unexpected("an operator")),
        };
        self.advance()?;
        Ok(operator)
    }

    fn set(&mut self) -> Result<Vec<Literal>, PatternError> {
        self.need_sign("(")?;
        let mut values = vec![self.literal()?];
        while self.take_sign(",")? {
            self.count()?;
            values.push(self.literal()?);
        }
        self.need_sign(")")?;
        Ok(values)
    }

    fn literal(&mut self) -> Result<Literal, PatternError> {
        match self.ahead {
            Some(Token::Literal(_)) => {}
            _ => return Err(self.unexpected("a value")),
        }
        match self.advance()? {
            Some(Token::Literal(literal)) => Ok(literal),
            _ => Err(self.unexpected("a value")),
        }
    }

    fn path(&mut self) -> Result<Path, PatternError> {
        let object = self.name("the type of an object")?;
        self.need_sign(":")?;
        let mut steps = vec![PathStep::Property(self.name("a property")?)];
        loop {
            if self.take_sign(".")? {
                steps.push(PathStep::Property(self.name("a property")?));
            } else if self.take_sign("[")? {
                steps.push(self.index()?);
                self.need_sign("]")?;
            } else {
                return Ok(Path { object, steps });
            }
            if steps.len() > DEPTH {
                return Err(PatternError { at: self.at, why: format!("a path of more than {DEPTH} steps") });
            }
        }
    }

    fn index(&mut self) -> Result<PathStep, PatternError> {
        if self.take_sign("*")? {
            return Ok(PathStep::Any);
        }
        match self.literal()? {
            Literal::Integer(at @ 0..) => Ok(PathStep::Index(at.unsigned_abs())),
            _ => Err(self.unexpected("a place in a list")),
        }
    }

    fn name(&mut self, wanted: &str) -> Result<Box<str>, PatternError> {
        if !matches!(self.ahead, Some(Token::Word(_) | Token::Literal(Literal::Text(_)))) {
            return Err(self.unexpected(wanted));
        }
        match self.advance()? {
            Some(Token::Word(name) | Token::Literal(Literal::Text(name))) => Ok(name),
            _ => Err(self.unexpected(wanted)),
        }
    }
}

fn one_or<T>(mut all: Vec<T>, many: fn(Vec<T>) -> T) -> T {
    match all.pop() {
        Some(only) if all.is_empty() => only,
        Some(last) => {
            all.push(last);
            many(all)
        }
        None => many(all),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_standard_shows_is_read() {
        for text in [
            "[file:hashes.MD5 = '79054025255fb1a26e4bc422aef54eb4']",
            "[file:hashes.'SHA-256' = 'aec0'] AND [win-registry-key:key = 'HKEY_LOCAL_MACHINE\\\\foo\\\\bar']",
            "([a-b:c = 1] AND [a-b:c = 2]) WITHIN 300 SECONDS",
            "[user-account:user_id = 'pdasd'] REPEATS 5 TIMES WITHIN 1800 SECONDS",
            "[ipv4-addr:value = '1.2.3.4'] START t'2016-01-01T00:00:00Z' STOP t'2016-02-01T00:00:00.5Z'",
            "[network-traffic:dst_ref.type = 'ipv4-addr' AND network-traffic:dst_port NOT IN (80, 443)]",
            "[email-message:body_multipart[*].body_raw_ref.name MATCHES '^Final.+\\\\.exe$']",
            "[process:arguments[0] LIKE '%-a%' OR (EXISTS process:'x-y'.z AND process:pid >= -1)]",
            "[artifact:payload_bin = b'aGk=' OR artifact:payload_bin = h'6869' OR artifact:x <> 1.5]",
            "[a-b:c = true] FOLLOWEDBY [a-b:c = false] /* then */ // done",
            "[ipv6-addr:value ISSUBSET '2001:db8::/32' AND ipv6-addr:value NOT ISSUPERSET '::/0']",
            "[windows-registry-key:values[*].name = 'a\\'b']",
        ] {
            assert!(parse(text).is_ok(), "{text}: {:?}", parse(text));
        }
    }

    #[test]
    fn and_binds_closer_than_or_and_both_than_followedby() {
        let Ok(Observation::FollowedBy(parts)) = parse("[a-b:c=1] OR [a-b:c=2] AND [a-b:c=3] FOLLOWEDBY [a-b:c=4]")
        else {
            panic!("FOLLOWEDBY is outermost");
        };
        let Some(Observation::Or(any)) = parts.first() else { panic!("then OR") };
        assert!(matches!(any.last(), Some(Observation::And(all)) if all.len() == 2));
        let Ok(Observation::One(Comparison::Or(any))) = parse("[a-b:c=1 OR a-b:c=2 AND a-b:c=3]") else {
            panic!("OR is outermost");
        };
        assert!(matches!(any.last(), Some(Comparison::And(all)) if all.len() == 2));
    }

    #[test]
    fn nonsense_is_refused_and_says_where() {
        for (text, at, why) in [
            ("", 0, "ends where"),
            ("[a-b:c = 1", 0, "ends where"),
            ("[a-b:c = 1]]", 11, "the end"),
            ("[a-b:c = 'x]", 9, "quote"),
            ("[a-b = 1]", 5, "`:`"),
            ("[a-b:c ~ 1]", 7, "unexpected"),
            ("[a-b:c BETWEEN 1]", 7, "operator"),
            ("[a-b:c IN ()]", 11, "value"),
            ("[a-b:c = 1] REPEATS 0 TIMES", 22, "REPEATS"),
            ("[a-b:c = t'yesterday']", 9, "no time"),
            ("[a-b:c = h'0']", 9, "hexadecimal"),
            ("[a-b:c = 1] /* ", 12, "comment"),
            ("[a-b:c = 99999999999999999999]", 9, "number"),
            ("[a-b:c = 1] START t'2016-02-01T00:00:00Z' STOP t'2016-01-01T00:00:00Z'", usize::MAX, "later"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.at == at && error.why.contains(why), "{text}: {error}");
        }
    }

    #[test]
    fn hostile_patterns_are_refused_before_they_cost_anything() {
        let deep = format!("{}[a-b:c = 1]{}", "(".repeat(100_000), ")".repeat(100_000));
        assert!(parse(&deep).unwrap_err().why.contains("deeper"));
        let deep = format!("[{}a-b:c = 1{}]", "(".repeat(100_000), ")".repeat(100_000));
        assert!(parse(&deep).unwrap_err().why.contains("deeper"));
        let long = format!("[a-b:c = '{}']", "x".repeat(10 << 20));
        assert!(parse(&long).unwrap_err().why.contains("longer"));
        let many = format!("[{}a-b:c=1]", "a-b:c=1 OR ".repeat(COMPARISONS));
        assert!(parse(&many).unwrap_err().why.contains("comparisons"));
        let path = format!("[a-b:c{} = 1]", ".d".repeat(100));
        assert!(parse(&path).unwrap_err().why.contains("steps"));
    }

    proptest::proptest! {
        #[test]
        fn no_text_is_too_strange(text in r"[\[\]()a-c:.=<>!'\\ 0-9tAND OR*/,%é-]{0,60}") {
            let _ = parse(&text);
        }
    }
}
