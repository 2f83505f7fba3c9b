//! The text form of tapes: what a person reads and may change.
//!
//! ```text
//! weir tape 1
//! seed 7
//! violates lane order
//! made by 0.1.0+6f0c…
//! decisions
//! node:3 sync 700 5000
//! link:0>3 lost 12 1
//! scenario
//! brokers = 5
//! …
//! ```
//!
//! A decision is its actor, purpose, ordinal and value. Empty lines and lines that begin with `#` are passed over.

use std::fmt::Write as _;

use super::codec::{FORMAT, MAX_DECISIONS, TapeError};
use super::{Actor, Decision, MADE_BY, Purpose, Tape};
use crate::scenario::Scenario;

/// What a text tape begins with.
pub(super) const FIRST_WORDS: &str = "weir tape";

impl Tape {
    /// The text form.
    pub fn to_text(&self) -> String {
        let mut text = format!("{FIRST_WORDS} {FORMAT}\nseed {}\n", self.seed);
        if let Some(oracle) = &self.violates {
            let _ = writeln!(text, "violates {oracle}");
        }
        let _ = writeln!(text, "made by {MADE_BY}\ndecisions");
        for Decision { actor, purpose, ordinal, value } in &self.decisions {
            let _ = writeln!(text, "{actor} {} {ordinal} {value}", purpose.name());
        }
        let _ = write!(text, "scenario\n{}", self.scenario.to_toml());
        text
    }
}

pub(super) fn read(bytes: &[u8]) -> Result<Tape, TapeError> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let place = format!("byte {}", error.valid_up_to());
        TapeError::Invalid { place, what: "a text is not UTF-8".into() }
    })?;
    let (mut seed, mut violates, mut decisions) = (None, None, None);
    let mut lines = text.split_inclusive('\n').zip(1_usize..);
    let mut at = 0;
    for (line, number) in &mut lines {
        at += line.len();
        let (line, invalid) = (line.trim(), |what: &str| invalid(number, what));
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match (word, &mut decisions) {
            ("weir", _) if number == 1 => check_format(line, number)?,
            ("" | "#", _) => {}
            ("scenario", Some(_)) => break,
            ("seed", None) => seed = Some(rest.parse().map_err(|_| invalid("the seed is no number"))?),
            ("violates", None) => violates = Some(rest.to_string()),
            ("made", None) => {}
            ("decisions", None) => decisions = Some(Vec::new()),
            (_, Some(decisions)) if decisions.len() < MAX_DECISIONS => {
                decisions.push(decision(line).map_err(|what| invalid(&what))?);
            }
            (_, Some(_)) => {
                return Err(TapeError::TooLarge {
                    what: "the list of decisions".into(),
                    limit: MAX_DECISIONS,
                });
            }
            _ => return Err(invalid("this word says nothing here")),
        }
    }
    let missing =
        |what: &str| TapeError::Invalid { place: "the end".into(), what: format!("{what} is missing") };
    let seed = seed.ok_or_else(|| missing("the line \"seed\""))?;
    let mut decisions = decisions.ok_or_else(|| missing("the line \"decisions\""))?;
    let scenario = text.get(at..).filter(|rest| !rest.trim().is_empty());
    let scenario = Scenario::from_toml(scenario.ok_or_else(|| missing("the scenario"))?)?;
    decisions.sort_unstable();
    let repeated = decisions.windows(2).find(|pair| {
        let name = |d: &Decision| (d.actor, d.purpose, d.ordinal);
        name(&pair[0]) == name(&pair[1])
    });
    if let Some(pair) = repeated {
        let Decision { actor, purpose, ordinal, .. } = pair[0];
        let what = format!("{actor} {} {ordinal} is decided twice", purpose.name());
        return Err(TapeError::Invalid { place: "the decisions".into(), what });
    }
    Tape { seed, scenario, violates, decisions }.checked()
}

fn check_format(line: &str, number: usize) -> Result<(), TapeError> {
    let version = line.strip_prefix(FIRST_WORDS).map(str::trim).unwrap_or_default();
    match version.parse::<u64>() {
        Ok(version) if version == u64::from(FORMAT) => Ok(()),
        Ok(found) => Err(TapeError::OtherFormat { found }),
        Err(_) => Err(invalid(number, "the format's version is no number")),
    }
}

fn decision(line: &str) -> Result<Decision, String> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [actor, purpose, ordinal, value] = words[..] else {
        return Err("a decision is four words: actor, purpose, ordinal, value".to_string());
    };
    let actor: Actor = actor.parse().map_err(|error: super::ActorError| error.to_string())?;
    let purpose =
        Purpose::from_name(purpose).ok_or_else(|| format!("nothing is decided about {purpose:?}"))?;
    let number = |text: &str| text.parse().map_err(|_| format!("{text:?} is no number"));
    Ok(Decision { actor, purpose, ordinal: number(ordinal)?, value: number(value)? })
}

fn invalid(line: usize, what: &str) -> TapeError {
    TapeError::Invalid { place: format!("line {line}"), what: what.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_line_is_named() {
        let text = "weir tape 1\nseed 7\n\n# a note\ndecisions\nlink:0>3 lost 12 1\nscenario\nbrokers = 5\n";
        let tape = Tape::decode(text.as_bytes()).unwrap();
        assert_eq!((tape.seed, tape.decisions.len(), tape.scenario.brokers), (7, 1, 5));
        let error =
            |from: &str, to: &str| Tape::decode(text.replace(from, to).as_bytes()).unwrap_err().to_string();
        assert_eq!(error("lost", "lose"), "the tape is invalid at line 6: nothing is decided about \"lose\"");
        assert!(error("12 1", "12").contains("line 6: a decision is four words"));
        assert!(error("link", "lynx").contains("line 6: \"lynx:0>3\" names nobody"));
        assert!(error("seed 7", "seed x").contains("line 2: the seed is no number"));
        assert!(error("seed 7", "").contains("the line \"seed\" is missing"));
        assert!(error("tape 1", "tape 3").contains("format 3"));
        assert!(error("brokers", "breakers").contains("breakers"));
        assert!(error("scenario\nbrokers = 5\n", "").contains("the scenario is missing"));
        assert!(error("12 1\n", "12 1\nlink:0>3 lost 12 2\n").contains("link:0>3 lost 12 is decided twice"));
    }
}
