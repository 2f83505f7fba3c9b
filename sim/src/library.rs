//! Scenarios by name: those that come with the program, and files in the same form.
//!
//! A [`Choice`] is what a person typed: a name or a file, perhaps with another number of brokers and another length. It
//! gives the scenario of each seed. Where the file's `base` is drawn (`swarm`, `wild`, `harsh`) and no `base_seed`
//! fixes it, every seed draws its own.

use toml::{Table, Value};

use crate::faults::mix;
use crate::scenario::{Scenario, ScenarioError};

/// Scenarios that come with the program: name and file.
pub const BUILT_IN: [(&str, &str); 15] = [
    ("calm", include_str!("../scenarios/calm.toml")),
    ("rough", include_str!("../scenarios/rough.toml")),
    ("swarm", include_str!("../scenarios/swarm.toml")),
    ("wild", include_str!("../scenarios/wild.toml")),
    ("harsh", include_str!("../scenarios/harsh.toml")),
    ("lost-disk", include_str!("../scenarios/lost-disk.toml")),
    ("power-cut", include_str!("../scenarios/power-cut.toml")),
    ("partition", include_str!("../scenarios/partition.toml")),
    ("silent-leader", include_str!("../scenarios/silent-leader.toml")),
    ("forks", include_str!("../scenarios/forks.toml")),
    ("handover", include_str!("../scenarios/handover.toml")),
    ("reorgs", include_str!("../scenarios/reorgs.toml")),
    ("cheats", include_str!("../scenarios/cheats.toml")),
    ("guests", include_str!("../scenarios/guests.toml")),
    ("all-disks-lost", include_str!("../scenarios/all-disks-lost.toml")),
];

/// Bases that are drawn from a seed.
const DRAWN: [&str; 3] = ["swarm", "wild", "harsh"];

/// What is wrong with a scenario, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("scenario {name}{}: {error}", place(*.line))]
pub struct ChoiceError {
    /// The name or the file.
    pub name: String,
    /// The line of the file, from 1, where one can be named.
    pub line: Option<usize>,
    /// What is wrong.
    pub error: ScenarioError,
}

fn place(line: Option<usize>) -> String {
    line.map(|line| format!(", line {line}")).unwrap_or_default()
}

/// A scenario for each seed.
#[derive(Clone, Debug, PartialEq)]
pub struct Choice {
    name: String,
    table: Table,
    is_drawn: bool,
    brokers: Option<u32>,
}

impl Choice {
    /// The built-in scenario of this name.
    pub fn built_in(name: &str) -> Option<Self> {
        let (name, text) = BUILT_IN.into_iter().find(|(known, _)| *known == name)?;
        Some(Self::read(name, text).expect("what comes with the program can be run"))
    }

    /// A scenario file's text; `name` is what errors call it.
    ///
    /// # Errors
    ///
    /// [`ChoiceError`] as [`Scenario::from_toml`] has them, with the line where one can be named.
    pub fn read(name: &str, text: &str) -> Result<Self, ChoiceError> {
        let failed = |error| ChoiceError { name: name.to_string(), line: line_of(text, &error), error };
        let scenario = Scenario::from_toml(text).map_err(failed)?;
        enough_brokers(&scenario).map_err(failed)?;
        let table: Table = text.parse().expect("it was read a moment ago");
        let base = table.get("base").and_then(Value::as_str).unwrap_or("calm");
        let is_drawn = DRAWN.contains(&base) && !table.contains_key("base_seed");
        Ok(Self { name: name.to_string(), table, is_drawn, brokers: None })
    }

    /// The same with so many brokers at the start. What the file does not say about partitions follows.
    ///
    /// # Errors
    ///
    /// [`ChoiceError`] if the scenario cannot be run with them.
    pub fn with_brokers(mut self, brokers: u32) -> Result<Self, ChoiceError> {
        self.table.insert("brokers".into(), Value::Integer(brokers.into()));
        self.table.entry("base").or_insert_with(|| Value::String("calm".into()));
        self.brokers = Some(brokers);
        self.checked()
    }

    /// The same lasting so long, the healed part included.
    ///
    /// # Errors
    ///
    /// [`ChoiceError`] if the healed part does not fit in.
    pub fn with_duration_ms(mut self, duration_ms: u64) -> Result<Self, ChoiceError> {
        let duration = Value::Integer(i64::try_from(duration_ms).unwrap_or(i64::MAX));
        self.table.insert("duration_ms".into(), duration);
        self.checked()
    }

    /// Its name or file.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether each seed draws a scenario of its own.
    pub fn is_drawn(&self) -> bool {
        self.is_drawn
    }

    /// The scenario of a seed.
    ///
    /// # Errors
    ///
    /// [`ChoiceError`] if what this seed draws does not go with what the file says.
    pub fn scenario(&self, seed: u64) -> Result<Scenario, ChoiceError> {
        let failed = |error| ChoiceError { name: self.name.clone(), line: None, error };
        let mut table = self.table.clone();
        if self.is_drawn {
            // Integers of TOML have a sign; which draw belongs to which seed has no meaning.
            let base_seed = (seed & i64::MAX as u64) as i64;
            table.insert("base_seed".into(), Value::Integer(base_seed));
        }
        let mut scenario = Scenario::from_toml(&table.to_string()).map_err(failed)?;
        if self.is_drawn
            && let Some(brokers) = self.brokers.filter(|brokers| *brokers >= 3)
        {
            scenario.replicas = u8::try_from(brokers).unwrap_or(u8::MAX).min(scenario.replicas);
            if scenario.replicas < 4 {
                // With three seats nobody may lie.
                scenario.fault_intervals_ms.retain(|name, _| !mix::is_lie(name));
            }
        }
        enough_brokers(&scenario).map_err(failed)?;
        Ok(scenario)
    }

    fn checked(self) -> Result<Self, ChoiceError> {
        self.scenario(0).map(|_| self)
    }
}

/// Partitions that never fill are never founded: nothing would be promised, and nothing tried.
fn enough_brokers(scenario: &Scenario) -> Result<(), ScenarioError> {
    if scenario.brokers >= u32::from(scenario.replicas) {
        return Ok(());
    }
    let reason =
        "every partition has as many seats as `replicas` says: there must be as many brokers at least";
    Err(ScenarioError::Impossible { field: "brokers", value: scenario.brokers.to_string(), reason })
}

/// The line that an error is about, if it names a key that stands there.
fn line_of(text: &str, error: &ScenarioError) -> Option<usize> {
    let key = match error {
        // TOML's own errors show the line themselves.
        ScenarioError::Unreadable(message) if message.contains("at line ") => return None,
        ScenarioError::Unreadable(message) => message.split('`').nth(1)?,
        ScenarioError::UnknownBase(_) => "base",
        ScenarioError::Impossible { field, .. } => field.rsplit('.').next()?,
    };
    let has = |line: &str| {
        let name = line.split('=').next().unwrap_or_default().trim();
        line.contains('=') && name.rsplit('.').next() == Some(key)
    };
    let named = text.lines().position(has);
    // Or in a table on one line, as in `kind = { cut = { … } }`.
    let inside = || text.lines().position(|line| !line.trim_start().starts_with('#') && line.contains(key));
    named.or_else(inside).map(|line| line + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_with_the_program_can_be_run_and_says_what_it_is() {
        for (name, text) in BUILT_IN {
            let choice = Choice::built_in(name).unwrap();
            assert!(text.starts_with("# "), "{name} begins with a comment");
            assert_eq!(choice.scenario(7).unwrap().check(), Ok(()), "{name}");
            assert_eq!(choice.is_drawn(), DRAWN.contains(&name), "{name}");
        }
        assert_eq!(Choice::built_in("mild"), None);
        let named = |name: &str| Choice::built_in(name).unwrap().scenario(3).unwrap();
        assert_eq!(named("calm"), Scenario::calm(5));
        assert_eq!((named("swarm"), named("harsh")), (Scenario::swarm(3), Scenario::harsh(3)));
        assert_eq!(named("wild"), Scenario::wild(3));
    }

    #[test]
    fn brokers_and_length_can_be_chosen() {
        let choice = Choice::built_in("rough").unwrap().with_brokers(9).unwrap();
        let scenario = choice.with_duration_ms(120_000).unwrap().scenario(1).unwrap();
        assert_eq!((scenario.brokers, scenario.partitions, scenario.duration_ms), (9, 9, 120_000));
        let swarm = Choice::built_in("swarm").unwrap().with_brokers(3).unwrap();
        assert!((0..50).all(|seed| swarm.scenario(seed).unwrap().replicas == 3));
        let error = |choice: Result<Choice, ChoiceError>| choice.unwrap_err().to_string();
        let calm = || Choice::built_in("calm").unwrap();
        assert!(
            error(calm().with_brokers(3)).contains("brokers cannot be 3: every partition has as many seats")
        );
        assert!(error(calm().with_duration_ms(20_000)).contains("heal_ms cannot be 25000"));
        assert!(error(Choice::built_in("partition").unwrap().with_brokers(4)).contains("faults.broker"));
    }

    #[test]
    fn errors_name_file_line_and_key() {
        let error = |text: &str| Choice::read("a.toml", text).unwrap_err().to_string();
        let unknown = error("# text\nbase = \"rough\"\nbrokres = 5\n");
        assert!(unknown.starts_with("scenario a.toml, line 3: ") && unknown.contains("brokres"), "{unknown}");
        let inner = error("base = \"rough\"\n\n[links]\nlost = 5\n");
        assert!(inner.contains("line 4: ") && inner.contains("lost"), "{inner}");
        let impossible = error("base = \"calm\"\nlinks.loss = 2000000\n");
        assert!(impossible.contains("line 2: links.loss cannot be 2000000"), "{impossible}");
        assert!(error("base = \"mild\"").contains("line 1: base \"mild\" is none of"));
        assert!(error("brokers = \n").contains("line 1"));
        assert!(error("brokers = 2\n").contains("line 1: brokers cannot be 2"));
    }
}
