//! Assignment at the size of a large network (WP 2.4.6): who sits where in all partitions, and what one broker that
//! joins or leaves changes. Brokers register and draw by the facts that a chain would tell, and the changes are found
//! by what brokers find them with.

use std::sync::Arc;

use weir_kernel::coordinator::assignment::useful_changes_of;
use weir_kernel::coordinator::params::DATA;
use weir_kernel::coordinator::score::draw;
use weir_kernel::coordinator::targets::useful;
use weir_kernel::coordinator::{
    BlockRef, Change, Contracts, Fact, Params, Seat, State, evolve, useful_changes,
};
use weir_kernel::hash::keccak256;
use weir_kernel::ids::{Address, BrokerIndex, Hash};

use super::axis::Axis;
use super::chart::{Bar, Chart, Drawing, Line};
use super::measure::Settings;
use super::report::Table;
use super::row::{Row, number};
use super::{Findings, Group, Running};
use crate::failure::Failure;

/// The group.
pub const GROUP: Group = Group {
    name: "assign",
    about: "Seats of 50,000 partitions among 10,000 brokers, five each; one broker more or less",
    run: start,
};

const PARTITIONS: u32 = 50_000;
const BROKERS: u32 = 10_000;
const REPLICAS: u8 = 5;

/// Brokers hold 1 to this many tickets, as many of them each number.
const TICKETS: u8 = 4;

/// Brokers that join, one after the other, to see what a join costs.
const JOINS: u32 = 40;

/// All seats in how many seconds at most, and a join in how many milliseconds.
const FULL_S: f64 = 5.0;
const JOIN_MS: f64 = 20.0;

fn start(settings: Settings) -> Running {
    Box::pin(async move { run(settings) })
}

fn run(settings: Settings) -> Result<Findings, Failure> {
    let empty = network(PARTITIONS, BROKERS);
    let full = settings.seconds(|| useful_changes(&empty, usize::MAX));
    let mut state = empty.clone();
    let changes = useful_changes(&state, usize::MAX);
    seat(&mut state, &changes)?;
    if changes.len() != PARTITIONS as usize * usize::from(REPLICAS) || !useful_changes(&state, 1).is_empty() {
        return Err(Failure::Failed(format!(
            "{} changes do not fill all seats: a rule is wrong",
            changes.len()
        )));
    }
    let newcomer = BrokerIndex(BROKERS + 1);
    let mut with_newcomer = state.clone();
    join(&mut with_newcomer, newcomer);
    let join = settings.seconds(|| useful_changes_of(&with_newcomer, newcomer, usize::MAX));
    if useful_changes(&with_newcomer, usize::MAX) != useful_changes_of(&with_newcomer, newcomer, usize::MAX) {
        return Err(Failure::Failed("who joins finds other changes than everybody: a rule is wrong".into()));
    }
    let loads = loads(&state);
    Ok(Findings {
        rows: vec![
            Row::new("assign.full", "s", full).at_most(FULL_S),
            Row::new("assign.join", "ms", join.iter().map(|s| s * 1e3).collect()).at_most(JOIN_MS),
        ],
        tables: vec![moves(&state, &loads)?, spread(&loads)],
        charts: vec![spread_chart(&loads), brokers_chart(settings)],
        notes: vec![
            "assign.full finds all useful changes of a network in which no seat is taken; assign.join those of one \
             broker more in a network in which all are as they should be."
                .into(),
        ],
    })
}

/// Brokers 1 to `brokers` with their draws, and no seat taken.
fn network(partitions: u32, brokers: u32) -> State {
    let params =
        Params { replicas: REPLICAS, partitions, maximum_tickets: TICKETS, join_fee: 0, ..Params::default() };
    let contract = |n: u8| Address([n; 20]);
    let mut state = State::new(31_337, Contracts::of(contract(0xC0), contract(0xC1), contract(0xC2)), params);
    (1..=brokers).map(BrokerIndex).for_each(|index| join(&mut state, index));
    state
}

/// How many tickets a broker holds.
fn tickets(index: BrokerIndex) -> u8 {
    1 + (index.0 % u32::from(TICKETS)) as u8
}

/// A broker registers and has its draw.
fn join(state: &mut State, index: BrokerIndex) {
    let Hash(random) = keccak256(&[b"account", &index.0.to_be_bytes()]);
    let mut account = [0; 20];
    account.copy_from_slice(&random[..20]);
    let registered = Fact::BrokerRegistered {
        index,
        broker: Address(account),
        stake: u128::from(tickets(index)) * 1_000 * DATA,
        tickets: tickets(index),
        endpoint: "127.0.0.1:7600".into(),
        tls_key_hash: Hash(random),
        draw_block: 1,
    };
    let drawn = Fact::DrawRecorded { index, draw: draw(&keccak256(&[b"block"]), index) };
    [registered, drawn].iter().for_each(|fact| evolve(state, BlockRef::default(), fact));
}

/// Makes changes, each of which must be useful when it is made. Only the targets move: members are no part of this.
fn seat(state: &mut State, changes: &[Change]) -> Result<(), Failure> {
    for change in changes {
        let proposal = useful(state, *change)
            .ok_or_else(|| Failure::Failed(format!("{change:?} is not useful: a rule is wrong")))?;
        let partition = &mut Arc::make_mut(&mut state.partitions)[change.partition.0 as usize];
        partition.target.set(proposal.seat, Some(Seat { broker: change.broker, ticket: change.ticket }));
    }
    Ok(())
}

/// The seats of each broker, by index from 1; and how many tickets it holds.
fn loads(state: &State) -> Vec<(u8, u32)> {
    let mut loads: Vec<(u8, u32)> = (1..=BROKERS).map(|index| (tickets(BrokerIndex(index)), 0)).collect();
    let seats = state.partitions.iter().flat_map(|partition| partition.target.taken());
    seats.for_each(|(_, seat)| loads[seat.broker.0 as usize - 1].1 += 1);
    loads
}

/// The seats of the brokers with this many tickets, ascending.
fn of_tickets(loads: &[(u8, u32)], tickets: u8) -> Vec<f64> {
    loads.iter().filter(|(held, _)| *held == tickets).map(|(_, seats)| f64::from(*seats)).collect()
}

/// What a join and a leave change: seats that somebody else takes.
fn moves(state: &State, loads: &[(u8, u32)]) -> Result<Table, Failure> {
    let mut rows = Vec::new();
    for held in 1..=TICKETS {
        let newcomers =
            (BROKERS + 1..=BROKERS + JOINS).map(BrokerIndex).filter(|index| tickets(*index) == held);
        let joins = newcomers.map(|index| {
            let mut joined = state.clone();
            join(&mut joined, index);
            useful_changes_of(&joined, index, usize::MAX).len() as f64
        });
        rows.push(("join", held, Row::new("", "", joins.collect())));
    }
    // Whoever leaves is replaced in each of its seats, and nobody else moves: shown here for one, by all changes.
    let leaver = BrokerIndex(1);
    let mut left = state.clone();
    let fact = Fact::BrokerLeft { index: leaver, withdrawable_epoch: 1 };
    evolve(&mut left, BlockRef::default(), &fact);
    let (found, sat) = (useful_changes(&left, usize::MAX).len(), loads[0].1 as usize);
    if found != sat {
        return Err(Failure::Failed(format!(
            "{found} changes replace a broker of {sat} seats: a rule is wrong"
        )));
    }
    for held in 1..=TICKETS {
        rows.push(("leave", held, Row::new("", "", of_tickets(loads, held))));
    }
    let all_tickets: u32 = loads.iter().map(|(held, _)| u32::from(*held)).sum();
    let seats = f64::from(PARTITIONS) * f64::from(REPLICAS);
    let cells = |(what, held, row): (&str, u8, Row)| {
        let share = seats * f64::from(held) / f64::from(all_tickets);
        let figures = [row.min(), row.median(), row.max(), share].map(number);
        [what.into(), held.to_string()].into_iter().chain(figures).collect()
    };
    Ok(Table {
        title: format!("Seats of {} that a join or a leave of one broker moves", number(seats)),
        head: vec!["WHAT", "TICKETS", "MIN", "MEDIAN", "MAX", "SHARE OF TICKETS"],
        rows: rows.into_iter().map(cells).collect(),
    })
}

/// How evenly seats are spread, by tickets.
fn spread(loads: &[(u8, u32)]) -> Table {
    let cells = |held: u8| {
        let row = Row::new("", "", of_tickets(loads, held));
        let brokers = loads.iter().filter(|(tickets, _)| *tickets == held).count();
        let a_ticket = number(row.median() / f64::from(held));
        let figures = [row.min(), row.median(), row.max()].map(number);
        [held.to_string(), brokers.to_string()].into_iter().chain(figures).chain([a_ticket]).collect()
    };
    Table {
        title: "Seats a broker has".into(),
        head: vec!["TICKETS", "BROKERS", "MIN", "MEDIAN", "MAX", "MEDIAN A TICKET"],
        rows: (1..=TICKETS).map(cells).collect(),
    }
}

fn spread_chart(loads: &[(u8, u32)]) -> Chart {
    let bar = |held: u8| {
        let row = Row::new("", "", of_tickets(loads, held));
        let name = if held == 1 { "1 ticket".into() } else { format!("{held} tickets") };
        Bar { name, value: row.median(), range: Some((row.min(), row.max())) }
    };
    Chart {
        name: "assign-spread".into(),
        title: "Seats a broker has: median, with the least and the most".into(),
        drawing: Drawing::Bars {
            x: Axis::linear("seats"),
            bars: (1..=TICKETS).map(bar).collect(),
            mark: None,
        },
    }
}

/// All seats again, with fewer brokers: the time grows with the product of partitions and brokers.
fn brokers_chart(settings: Settings) -> Chart {
    let point = |brokers: u32| {
        let state = network(PARTITIONS, brokers);
        let seconds = settings.seconds(|| useful_changes(&state, usize::MAX));
        (f64::from(brokers), Row::new("", "s", seconds).median())
    };
    let points = [BROKERS / 8, BROKERS / 4, BROKERS / 2, BROKERS].map(point).to_vec();
    Chart {
        name: "assign-full".into(),
        title: "All seats of 50,000 partitions, median".into(),
        drawing: Drawing::Lines {
            x: Axis::logarithmic("brokers"),
            y: Axis::logarithmic("seconds"),
            lines: vec![Line { name: "all seats".into(), points }],
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_network_is_filled_and_balanced_by_tickets() {
        let mut state = network(400, 40);
        let changes = useful_changes(&state, usize::MAX);
        assert_eq!(changes.len(), 400 * usize::from(REPLICAS));
        seat(&mut state, &changes).expect("each is useful");
        assert_eq!(useful_changes(&state, usize::MAX), []);
        assert!(seat(&mut state, &changes[..1]).is_err(), "it was made already");
        let mut loads = vec![(1, 0)];
        loads.extend((1..=40).map(|index| {
            let index = BrokerIndex(index);
            let seats = state.partitions.iter().filter(|partition| partition.target.contains(index)).count();
            (tickets(index), seats as u32)
        }));
        let median = |held| Row::new("", "", of_tickets(&loads, held)).median();
        assert!(median(4) > 2.0 * median(1), "{loads:?}");
    }
}
