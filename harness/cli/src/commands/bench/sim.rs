//! How fast the simulator runs: kernel steps, and virtual time a second on one core, by the number of brokers. What
//! every run has is on: oracles, nodes' chains, the contracts in their EVM.

use weir_sim::audit::AuditLevel;
use weir_sim::speed::{Stretch, load};

use super::child::{Child, Role};
use super::measure::Settings;
use super::report::Table;
use super::roles::node::Request;
use super::row::{Row, number};
use super::simulated;
use super::{Findings, Group, Running};
use crate::failure::Failure;

/// The group.
pub const GROUP: Group = Group {
    name: "sim",
    about: "The simulator: steps a second, virtual time a second at 5, 1,000 and 10,000 brokers",
    run: start,
};

/// Kernel steps a second at least, in a run that fits the cache.
const STEPS: f64 = 3_000_000.0;

/// Brokers, virtual seconds a second at least, virtual seconds that are measured, whole epochs, and whether that is
/// quick enough to be repeated.
const SIZES: [(u32, f64, u64, bool); 3] =
    [(5, 5_000.0, 1_800, true), (1_000, 150.0, 60, false), (10_000, 10.0, 60, false)];

/// Brokers at most unless told otherwise.
const MAX_BROKERS: u32 = 2_000;

/// The audit's share of a run, in percent, at most; how large the network is that shows it, and for how long.
const AUDIT: (f64, u32, u64) = (15.0, 200, 60);

/// KiB that an idle broker may take, and how many there are of them.
const IDLE: (f64, u32) = (20.0, 2_000);

fn start(settings: Settings) -> Running {
    Box::pin(async move {
        let most = settings.max_brokers.unwrap_or(MAX_BROKERS);
        let idle = if most >= IDLE.1 { idle_bytes().await? } else { None };
        run(settings, most, idle)
    })
}

/// What an idle broker takes in a process that does nothing else: another group's memory, given back, would be used
/// again and not be counted.
async fn idle_bytes() -> Result<Option<f64>, Failure> {
    let mut node = Child::start(Role::Node)?;
    let bytes = node.ask(&Request::Idle(IDLE.1)).await?;
    node.end().await?;
    Ok(bytes)
}

fn run(settings: Settings, most: u32, idle: Option<f64>) -> Result<Findings, Failure> {
    let mut findings = Findings::default();
    let mut rows = Vec::new();
    for (brokers, wanted, measured_s, repeated) in SIZES {
        if brokers > most {
            findings.notes.push(format!("sim.{brokers} is left out: --max-brokers {brokers} measures it."));
            continue;
        }
        let runs = if repeated { settings.runs + 1 } else { 1 };
        let stretches: Vec<Stretch> =
            (0..runs).map(|_| simulated::run(brokers, measured_s)).collect::<Result<_, _>>()?;
        // The first of several is not counted: it warms up.
        let counted = &stretches[usize::from(repeated)..];
        let each = |of: fn(&Stretch) -> f64| counted.iter().map(of).collect::<Vec<f64>>();
        if findings.rows.is_empty() {
            let steps = each(|stretch| stretch.steps / stretch.spent_s);
            findings.rows.push(Row::new("sim.steps", "steps/s", steps).at_least(STEPS));
        }
        let speed = each(|stretch| stretch.virtual_s / stretch.spent_s);
        findings.rows.push(Row::new(format!("sim.{brokers}"), "x real time", speed).at_least(wanted));
        rows.push(cells(brokers, &counted[0]));
    }
    let shares: Vec<f64> = (0..settings.runs).map(|_| audit_share()).collect::<Result<_, _>>()?;
    findings.rows.push(Row::new("sim.audit", "% of the run", shares).at_most(AUDIT.0));
    match idle {
        Some(bytes) => {
            let row = Row::new("sim.idle", "KiB a broker", vec![bytes / 1_024.0]).at_most(IDLE.0);
            findings.rows.push(row);
        }
        None => findings.notes.push(format!("sim.idle needs Linux and --max-brokers {} at least.", IDLE.1)),
    }
    let head =
        vec!["BROKERS", "VIRTUAL S", "CORE S", "MESSAGES/S A BROKER", "MESSAGES A CORE S", "STEPS A CORE S"];
    findings.tables.push(Table { title: "What was measured, one run each".into(), head, rows });
    findings.notes.push(
        "Each broker's share is a batch of four events in the mean every 1.5 seconds, which comes to about eight messages a \
         second that it sends; R = 4, a block in five seconds, epochs of a minute, and of 250 seconds at 10,000 brokers, \
         whose seals need as many blocks. Oracles and the audit are on, the \
         founding is not measured, and seconds are those on one core. What an idle broker takes includes its share of the \
         chain, the oracles and the events that wait. The documentation of weir_sim::speed says where a step's time goes: \
         the kernel's own work and the memory that it allocates and waits for."
            .into(),
    );
    Ok(findings)
}

/// What a run takes longer, in percent of it, because nodes' chains are kept.
fn audit_share() -> Result<f64, Failure> {
    let scenario = load(AUDIT.1, AUDIT.2);
    let [with, without] = [AuditLevel::Digest, AuditLevel::Nothing]
        .map(|level| simulated::run_scenario(&scenario, AUDIT.2, level));
    Ok((1.0 - without?.spent_s / with?.spent_s) * 100.0)
}

fn cells(brokers: u32, stretch: &Stretch) -> Vec<String> {
    let messages = stretch.frames / f64::from(brokers) / stretch.virtual_s;
    let figures = [
        f64::from(brokers),
        stretch.virtual_s,
        stretch.spent_s,
        messages,
        stretch.frames / stretch.spent_s,
        stretch.steps / stretch.spent_s,
    ];
    figures.into_iter().map(number).collect()
}
