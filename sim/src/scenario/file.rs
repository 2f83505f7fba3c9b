//! Scenario files: TOML, read strictly.
//!
//! `base` names the kind that the file starts from: `calm` (the default), `rough`, or a `swarm`, `wild` or `harsh` one
//! drawn from `base_seed`. Every other key is a field of [`Scenario`] and replaces the base's; unknown keys are
//! refused. A tape holds all keys and no base.

use toml::{Table, Value};

use super::Scenario;

/// What is wrong with a scenario.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScenarioError {
    /// It is no TOML, or has a key or a value that no scenario has.
    #[error("it cannot be read: {0}")]
    Unreadable(String),
    /// Its base is none.
    #[error("base {0:?} is none of calm, rough, swarm, wild, harsh")]
    UnknownBase(String),
    /// It cannot be run.
    #[error("{field} cannot be {value}: {reason}")]
    Impossible {
        /// Which field.
        field: &'static str,
        /// What it is.
        value: String,
        /// Why that cannot be.
        reason: &'static str,
    },
}

impl Scenario {
    /// The scenario as TOML, every field of it.
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("a scenario has a form in TOML")
    }

    /// Reads a scenario file.
    ///
    /// # Errors
    ///
    /// [`ScenarioError`] for what is not TOML, unknown keys, values of the wrong type, and what cannot be run.
    pub fn from_toml(text: &str) -> Result<Self, ScenarioError> {
        let unreadable = |error: &dyn std::fmt::Display| ScenarioError::Unreadable(error.to_string());
        let mut table: Table = text.parse().map_err(|error: toml::de::Error| unreadable(&error))?;
        let base = table.remove("base");
        let seed = table.remove("base_seed");
        let scenario: Self = if base.is_none() && seed.is_none() {
            toml::from_str(text).map_err(|error| unreadable(&error))?
        } else {
            let mut merged =
                Table::try_from(named(base, seed, &table)?).map_err(|error| unreadable(&error))?;
            merge(&mut merged, table);
            merged.try_into().map_err(|error: toml::de::Error| unreadable(&error))?
        };
        scenario.check()?;
        Ok(scenario)
    }

    /// A kind by its name; of `brokers` brokers, or drawn from `seed`.
    pub fn named(name: &str, brokers: u32, seed: u64) -> Option<Self> {
        match name {
            "calm" => Some(Self::calm(brokers)),
            "rough" => Some(Self::rough(brokers)),
            "swarm" => Some(Self::swarm(seed)),
            "wild" => Some(Self::wild(seed)),
            "harsh" => Some(Self::harsh(seed)),
            _ => None,
        }
    }
}

fn named(base: Option<Value>, seed: Option<Value>, table: &Table) -> Result<Scenario, ScenarioError> {
    let base = match base {
        None => "calm".to_string(),
        Some(Value::String(name)) => name,
        Some(other) => return Err(ScenarioError::UnknownBase(other.to_string())),
    };
    let seed = match seed {
        None => 0,
        Some(Value::Integer(seed)) if seed >= 0 => seed as u64,
        Some(other) => return Err(ScenarioError::Unreadable(format!("base_seed cannot be {other}"))),
    };
    let brokers = table.get("brokers").and_then(Value::as_integer);
    let brokers = brokers.and_then(|brokers| u32::try_from(brokers).ok()).unwrap_or(5);
    Scenario::named(&base, brokers, seed).ok_or(ScenarioError::UnknownBase(base))
}

/// Replaces what is there, and inside of tables only what is named.
fn merge(into: &mut Table, from: Table) {
    for (key, value) in from {
        match (into.get_mut(&key), value) {
            (Some(Value::Table(inner)), Value::Table(value)) => merge(inner, value),
            (_, value) => drop(into.insert(key, value)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faults::FaultKind;

    #[test]
    fn scenarios_go_to_toml_and_back() {
        let all = [Scenario::calm(5), Scenario::rough(9), Scenario::harsh(4).explicit(4)];
        for scenario in all.into_iter().chain((1..40).map(|seed| Scenario::swarm(seed).explicit(seed))) {
            assert_eq!(Scenario::from_toml(&scenario.to_toml()), Ok(scenario));
        }
    }

    #[test]
    fn a_file_changes_its_base() {
        let text = "base = \"rough\"\nbrokers = 7\nlinks.loss = 9\nwithout = [\"node:2\", \"publisher:0\"]\n\
                    [[faults]]\nat_ms = 40000\nbroker = 3\nkind = \"lost-disk\"\ndown_ms = 2000\n\
                    [[faults]]\nat_ms = 40000\nkind = { cut = { side = [1], both = true } }\ndown_ms = 9\n";
        let scenario = Scenario::from_toml(text).unwrap();
        let rough = Scenario::rough(7);
        assert_eq!((scenario.partitions, scenario.links.loss), (7, 9));
        assert_eq!(scenario.links.hold_us, rough.links.hold_us);
        assert_eq!(scenario.without.len(), 2);
        assert_eq!(scenario.faults[0].kind, FaultKind::LostDisk);
        assert_eq!(scenario.faults[1].kind, FaultKind::Cut { side: vec![1], both: true });
        assert_eq!(Scenario::from_toml("").unwrap(), Scenario::calm(5));
    }

    #[test]
    fn unknown_keys_and_impossible_values_are_refused_by_name() {
        let error = |text: &str| Scenario::from_toml(text).unwrap_err().to_string();
        assert!(error("brokres = 5").contains("brokres"));
        assert!(error("base = \"calm\"\nlinks.lost = 5").contains("lost"));
        assert!(error("base = \"mild\"").contains("mild"));
        assert!(error("base = \"swarm\"\nbase_seed = -1").contains("base_seed"));
        assert!(
            error("brokers = \"five\"").contains("integer") || error("brokers = \"five\"").contains("u32")
        );
        assert!(error("[[faults]]\nat_ms = 1\nkind = \"explode\"\ndown_ms = 1").contains("explode"));
        assert!(error("brokers = 0").contains("brokers cannot be 0"));
        assert!(error("not toml at all").contains("cannot be read"));
    }
}
