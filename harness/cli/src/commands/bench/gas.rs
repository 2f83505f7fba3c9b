//! What each public function of the contracts costs in gas, measured with the real bytecode on an in-memory chain. Gas
//! is counted and not timed, so that one run says all.

use weir_chain::gas;

use super::axis::Axis;
use super::chart::{Bar, Chart, Drawing};
use super::measure::Settings;
use super::report::Table;
use super::row::{Row, number};
use super::{Findings, Group, Running};
use crate::failure::Failure;

/// The group.
pub const GROUP: Group = Group {
    name: "gas",
    about: "What each public function of the contracts costs, and a sealed partition and epoch",
    run: start,
};

/// Rows with a budget, and the most gas they should cost.
const BUDGETS: [(&str, u64); 3] =
    [("gas.seal.single", gas::SEAL_SINGLE), ("gas.seal.shared30", gas::SEAL_SHARED), ("gas.seat", gas::SEAT)];

/// What the names of rows begin with that are no function's.
const OWN: &str = "gas.";

/// What the rows of deployments begin with: they cost so much more that nothing else could be seen beside them.
const DEPLOYMENT: &str = "deploy ";

fn start(_: Settings) -> Running {
    Box::pin(async { findings(&gas::rows()) })
}

fn findings(measured: &[gas::Row]) -> Result<Findings, Failure> {
    let missing = BUDGETS.iter().find(|(name, _)| measured.iter().all(|row| row.name != *name));
    if let Some((name, _)) = missing {
        return Err(Failure::Failed(format!("{name} was not measured")));
    }
    let (own, functions): (Vec<_>, Vec<_>) = measured.iter().partition(|row| row.name.starts_with(OWN));
    let row = |measured: &gas::Row| {
        let row = Row::new(&measured.name, "gas", vec![measured.gas as f64]);
        match BUDGETS.iter().find(|(name, _)| *name == measured.name) {
            Some((_, most)) => row.at_most(*most as f64),
            None => row,
        }
    };
    let bar = |row: &&gas::Row| Bar { name: row.name.clone(), value: row.gas as f64, range: None };
    let bars = functions.iter().filter(|row| !row.name.starts_with(DEPLOYMENT)).map(bar).collect();
    Ok(Findings {
        rows: own.into_iter().map(row).collect(),
        tables: vec![Table {
            title: format!("Gas of every public function by the rules of {}", gas::HARDFORK),
            head: vec!["FUNCTION", "GAS"],
            rows: functions.iter().map(|row| vec![row.name.clone(), number(row.gas as f64)]).collect(),
        }],
        charts: vec![Chart {
            name: "gas-functions".into(),
            title: format!("Gas of every public function, {}", gas::HARDFORK),
            drawing: Drawing::Bars { x: Axis::linear("gas"), bars, mark: None },
        }],
        notes: vec![format!(
            "Gas is counted by the rules of {}. gas.seal.single is execution and calldata of a transaction that seals \
             one partition, without the 21,000 that any transaction costs; gas.seal.shared30 and gas.seat include \
             everything.",
            gas::HARDFORK
        )],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn budgets_are_rows_and_the_rest_a_table() {
        let row = |name: &str, gas| gas::Row { name: name.into(), gas };
        let mut measured: Vec<_> = BUDGETS.iter().map(|(name, most)| row(name, *most)).collect();
        measured.extend([
            row("gas.seat, the cheapest", 60_000),
            row("deploy Karma", 388_265),
            row("Karma.credit", 31_693),
        ]);
        let findings = findings(&measured).expect("all were measured");
        let met: Vec<_> = findings.rows.iter().map(Row::met).collect();
        assert_eq!(met, [Some(true), Some(true), Some(true), None]);
        assert_eq!(findings.tables[0].rows, [["deploy Karma", "388,265"], ["Karma.credit", "31,693"]]);
        let svg = findings.charts[0].svg();
        assert!(svg.contains(">Karma.credit<") && !svg.contains("deploy"), "{svg}");
        let failure = super::findings(&measured[1..]).err();
        assert_eq!(failure, Some(Failure::Failed("gas.seal.single was not measured".into())));
    }
}
