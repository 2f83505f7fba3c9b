//! Which runs are meant: a scenario by name or file, with a number of brokers and a length.

use std::num::NonZeroU32;
use std::path::Path;

use clap::Args;
use weir_sim::library::{BUILT_IN, Choice, ChoiceError};

use crate::failure::Failure;

/// Bytes of a scenario file at most.
const MAX_FILE_BYTES: u64 = 1 << 24;

/// Virtual minutes of a run at most: a year.
const MAX_MINUTES: f64 = 366.0 * 24.0 * 60.0;

/// What a simulated run is made from.
#[derive(Clone, Debug, Args)]
pub struct ScenarioArguments {
    /// A scenario by name, as in calm, rough or lost-disk, or a TOML file; wild unless told otherwise
    #[arg(long, value_name = "NAME|FILE")]
    pub scenario: Option<String>,
    /// Brokers at the start, instead of the scenario's
    #[arg(long, value_name = "N")]
    pub nodes: Option<NonZeroU32>,
    /// Virtual minutes that a run lasts, its healed part included, instead of the scenario's
    #[arg(long, value_name = "M", value_parser = minutes)]
    pub minutes: Option<f64>,
}

fn minutes(text: &str) -> Result<f64, String> {
    let parsed: Result<f64, _> = text.parse();
    let in_range = parsed.ok().filter(|minutes| *minutes > 0.0 && *minutes <= MAX_MINUTES);
    in_range.ok_or_else(|| "give minutes as in 1.5, more than none and at most a year".to_string())
}

/// What is run unless told otherwise: it finds most.
const USUAL: &str = "wild";

impl ScenarioArguments {
    /// The scenario's name or file.
    pub fn name(&self) -> &str {
        self.scenario.as_deref().unwrap_or(USUAL)
    }

    /// Whether any of it was given.
    pub fn is_given(&self) -> bool {
        self.scenario.is_some() || self.nodes.is_some() || self.minutes.is_some()
    }

    /// Finds and checks the scenario.
    pub fn choice(&self) -> Result<Choice, Failure> {
        let mut choice = find(self.name())?;
        if let Some(brokers) = self.nodes {
            choice = choice.with_brokers(brokers.get()).map_err(|error| told("--nodes", &error))?;
        }
        if let Some(minutes) = self.minutes {
            let duration_ms = (minutes * 60_000.0).round() as u64;
            choice = choice.with_duration_ms(duration_ms).map_err(|error| told("--minutes", &error))?;
        }
        Ok(choice)
    }

    /// The same as arguments, for commands that people repeat.
    pub fn repeat(&self) -> Vec<String> {
        let mut arguments = vec!["--scenario".to_string(), self.name().to_string()];
        if let Some(nodes) = self.nodes {
            arguments.extend(["--nodes".to_string(), nodes.to_string()]);
        }
        if let Some(minutes) = self.minutes {
            arguments.extend(["--minutes".to_string(), minutes.to_string()]);
        }
        arguments
    }
}

fn told(argument: &str, error: &ChoiceError) -> Failure {
    Failure::Usage(format!("{argument}: {error}"))
}

/// Names go before files: a file of the same name is `./NAME`.
fn find(name: &str) -> Result<Choice, Failure> {
    if let Some(choice) = Choice::built_in(name) {
        return Ok(choice);
    }
    let path = Path::new(name);
    let bytes = std::fs::metadata(path).map(|metadata| metadata.len());
    if bytes.is_ok_and(|bytes| bytes > MAX_FILE_BYTES) {
        return Err(Failure::Usage(format!(
            "{name} is larger than any scenario, which has {MAX_FILE_BYTES} bytes at most"
        )));
    }
    let text = std::fs::read_to_string(path).map_err(|error| {
        let names: Vec<&str> = BUILT_IN.iter().map(|(name, _)| *name).collect();
        let names = names.join(", ");
        Failure::Usage(format!(
            "{name} is no scenario by name and cannot be read as a file ({error}); names are {names}"
        ))
    })?;
    Choice::read(name, &text).map_err(|error| Failure::Usage(error.to_string()))
}
