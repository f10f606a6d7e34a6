//! From matchers to series: set algebra over sorted lists of series numbers.

use limpid_model::Matcher;
use limpid_model::series::{MatchOp, SourceError};
use regex::Regex;

/// A regular expression may not compile to more than this.
const MAX_REGEX_BYTES: usize = 1 << 20;

enum Test {
    Equal(String),
    Regex(Regex),
}

/// A matcher whose regular expression is compiled.
pub struct Compiled {
    pub name: String,
    test: Test,
    negated: bool,
}

impl Compiled {
    pub fn new(matcher: &Matcher) -> Result<Self, SourceError> {
        let test = match matcher.op {
            MatchOp::Equal | MatchOp::NotEqual => Test::Equal(matcher.value.to_string()),
            MatchOp::Regex | MatchOp::NotRegex => Test::Regex(anchored(&matcher.value)?),
        };
        let negated = matches!(matcher.op, MatchOp::NotEqual | MatchOp::NotRegex);
        Ok(Compiled { name: matcher.name.to_string(), test, negated })
    }

    pub fn all(matchers: &[Matcher]) -> Result<Vec<Self>, SourceError> {
        matchers.iter().map(Compiled::new).collect()
    }

    pub fn matches(&self, value: &str) -> bool {
        let found = match &self.test {
            Test::Equal(wanted) => wanted == value,
            Test::Regex(regex) => regex.is_match(value),
        };
        found != self.negated
    }

    /// The one value that matches, if there is only one.
    fn only_value(&self) -> Option<&str> {
        match &self.test {
            Test::Equal(value) if !self.negated => Some(value),
            _ => None,
        }
    }
}

fn anchored(pattern: &str) -> Result<Regex, SourceError> {
    // `s`: in Prometheus a dot matches a newline, too.
    regex::RegexBuilder::new(&format!("^(?s:{pattern})$")).size_limit(MAX_REGEX_BYTES).build().map_err(|error| {
        SourceError::BadRegex(format!("regular expression {pattern:?}: {}", last_line(&error.to_string())))
    })
}

/// The parser's message draws the place over several lines; the reason stands in the last one.
fn last_line(text: &str) -> &str {
    text.lines().last().unwrap_or_default().trim()
}

/// Where lists of series numbers come from: the head or a block. All lists ascend.
pub trait Postings {
    type Error;
    fn all(&self) -> Result<Vec<u32>, Self::Error>;
    fn with_value(&self, name: &str, value: &str) -> Result<Vec<u32>, Self::Error>;
    /// The union over the values that are accepted.
    fn with_values(&self, name: &str, accepts: &dyn Fn(&str) -> bool) -> Result<Vec<u32>, Self::Error>;
}

/// The series that all matchers accept. A missing label counts as the empty string, so a matcher that accepts the
/// empty string can only take series away.
pub fn resolve<P: Postings>(postings: &P, matchers: &[Compiled]) -> Result<Vec<u32>, P::Error> {
    let (narrowing, excluding): (Vec<&Compiled>, Vec<&Compiled>) =
        matchers.iter().partition(|matcher| !matcher.matches(""));
    let mut found: Option<Vec<u32>> = None;
    for matcher in narrowing {
        let list = match matcher.only_value() {
            Some(value) => postings.with_value(&matcher.name, value)?,
            None => postings.with_values(&matcher.name, &|value| matcher.matches(value))?,
        };
        found = Some(match found {
            Some(found) => intersect(&found, &list),
            None => list,
        });
        if found.as_ref().is_some_and(Vec::is_empty) {
            return Ok(Vec::new());
        }
    }
    let mut found = match found {
        Some(found) => found,
        None => postings.all()?,
    };
    for matcher in excluding {
        let out = postings.with_values(&matcher.name, &|value| !matcher.matches(value))?;
        found = subtract(&found, &out);
    }
    Ok(found)
}

fn intersect(left: &[u32], right: &[u32]) -> Vec<u32> {
    let (small, large) = if left.len() <= right.len() { (left, right) } else { (right, left) };
    let mut rest = large;
    let mut both = Vec::with_capacity(small.len());
    for id in small {
        rest = &rest[rest.partition_point(|have| have < id)..];
        if rest.first() == Some(id) {
            both.push(*id);
        }
    }
    both
}

fn subtract(from: &[u32], out: &[u32]) -> Vec<u32> {
    from.iter().copied().filter(|id| out.binary_search(id).is_err()).collect()
}

/// The union of lists, ascending, each number once.
pub fn union(mut lists: Vec<Vec<u32>>) -> Vec<u32> {
    if lists.len() <= 1 {
        return lists.pop().unwrap_or_default();
    }
    let mut all = lists.concat();
    all.sort_unstable();
    all.dedup();
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compiled(op: MatchOp, value: &str) -> Compiled {
        Compiled::new(&Matcher { name: "a".into(), op, value: value.into() }).unwrap()
    }

    #[test]
    fn regular_expressions_are_anchored_and_bad_ones_say_so() {
        assert!(compiled(MatchOp::Regex, "a|bc").matches("bc"));
        assert!(!compiled(MatchOp::Regex, "a|bc").matches("abc"));
        assert!(compiled(MatchOp::Regex, "a.c").matches("a\nc"));
        assert!(compiled(MatchOp::NotRegex, "b").matches(""));
        let bad = Compiled::new(&Matcher { name: "a".into(), op: MatchOp::Regex, value: "(".into() });
        assert!(matches!(bad.map(|_| ()), Err(SourceError::BadRegex(text)) if !text.contains('\n')));
    }

    #[test]
    fn lists_combine() {
        assert_eq!(intersect(&[1, 3, 5, 9], &[3, 4, 9]), [3, 9]);
        assert_eq!(subtract(&[1, 3, 5, 9], &[3, 4, 9]), [1, 5]);
        assert_eq!(union(vec![vec![1, 4], vec![2, 4, 8], vec![]]), [1, 2, 4, 8]);
    }
}
