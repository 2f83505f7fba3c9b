//! Conduct: what follows from reporting twice, late or not at all (WP 2.4.6).
//!
//! *Two checksums.* A replica signs at most one report for each (partition, epoch, round, previous). Two with
//! different checksums prove themselves, whoever brings them: a share of the stake is gone, part of it to the
//! reporter, and so are all tickets. Each conflict is punished once.
//!
//! *Late.* A member that missed the certificate may attest the accepted checksum in the reserved round
//! [`LATE_ROUND`], until the next seal: it holds the cut. If its miss is still in the tally it counts there as a seal
//! signed; if it was settled, the reliability comes back and the seal is paid at once. Its probation, if it was settled
//! as well, does not come back.
//!
//! *Not at all.* After a number of windows without a seal anybody declares the quorum lost. The target's valid
//! seats become the members, on top of the last sealed checksum, as at a founding; the former members are settled with
//! one more seal, which they missed. Those among them whom the target names stay, with what they hold above the cut.

use alloc::vec;
use alloc::vec::Vec;

use super::Partition;
use super::call::SignedReport;
use super::fact::Fact;
use super::founding;
use super::refusal::Refusal;
use super::registration;
use super::reliability;
use super::rewards;
use super::state::State;
use super::tallies;
use crate::ids::{Address, BrokerIndex, Epoch, Hash, PartitionId};

/// The round that late reports name.
pub const LATE_ROUND: u32 = u32::MAX;

/// What two conflicting reports share: broker, partition, epoch, round and previous checksum.
pub type Conflict = (BrokerIndex, PartitionId, Epoch, u32, Hash);

/// A share of an amount, in basis points, rounded down.
pub fn share(amount: u128, basis_points: u16) -> u128 {
    assert!(basis_points <= 10_000, "a share is at most the whole");
    let points = u128::from(basis_points);
    amount / 10_000 * points + amount % 10_000 * points / 10_000
}

/// `slash`, which anybody may call.
pub(super) fn slash(
    state: &State,
    reporter: Address,
    index: BrokerIndex,
    reports: &[SignedReport; 2],
) -> Result<Vec<Fact>, Refusal> {
    let broker = state.broker(index).ok_or(Refusal::UnknownBroker { index })?;
    let [(a, _), (b, _)] = [0, 1].map(|at| (conflict(index, &reports[at]), at));
    if a != b || reports[0].entry.checksum == reports[1].entry.checksum {
        return Err(Refusal::NoConflict { index });
    }
    for (position, report) in reports.iter().enumerate() {
        let recovered = signer(report, position)?;
        if recovered != broker.address {
            return Err(Refusal::NotTheSigner { index, recovered });
        }
    }
    let (_, partition, epoch, round, previous) = a;
    if state.punished.contains(&a) {
        return Err(Refusal::AlreadySlashed { index, partition, epoch, round });
    }
    if broker.stake == 0 {
        return Err(Refusal::NothingStaked { index });
    }
    let amount = share(broker.stake, state.params.slash_share);
    let reward = share(amount, state.params.reporter_share);
    let slashed = Fact::BrokerSlashed { index, reporter, partition, epoch, round, previous, amount, reward };
    let leaves = broker.left.is_none().then(|| registration::left(state, index));
    Ok([slashed].into_iter().chain(leaves).collect())
}

fn conflict(index: BrokerIndex, report: &SignedReport) -> Conflict {
    let entry = &report.entry;
    (index, entry.partition, entry.epoch, entry.round, entry.previous)
}

fn signer(report: &SignedReport, position: usize) -> Result<Address, Refusal> {
    report.signer.ok_or(Refusal::InvalidSignature { partition: report.entry.partition, position })
}

/// Where a broker sits in the set rated for the last seal, if it was absent then.
pub fn absent_seat(partition: &Partition, index: BrokerIndex) -> Option<usize> {
    partition.rated_set().position(index).filter(|seat| partition.absent & (1 << seat) != 0)
}

/// `reportLate`, which anybody may call.
pub(super) fn report_late(state: &State, report: &SignedReport) -> Result<Fact, Refusal> {
    let entry = &report.entry;
    let (id, epoch) = (entry.partition, entry.epoch);
    let partition = state.known_partition(id)?;
    if entry.round != LATE_ROUND {
        return Err(Refusal::NotLate { partition: id, round: entry.round });
    }
    let (sealed_epoch, checksum) = (partition.sealed_epoch, partition.checksum);
    if epoch != sealed_epoch || entry.checksum != checksum {
        return Err(Refusal::NotAccepted { partition: id, epoch, sealed_epoch, checksum });
    }
    let signer = signer(report, 0)?;
    let absent = state.broker_index(signer).filter(|index| absent_seat(partition, *index).is_some());
    let index = absent.ok_or(Refusal::NotAbsent { partition: id, epoch, signer })?;
    let is_tallied = tallied_seat(partition, index).is_some();
    let share = rewards::share(&state.params, state.partition_count());
    let reward = if is_tallied { 0 } else { share.min(state.reserve()) };
    Ok(Fact::LateReportAccepted { partition: id, epoch, index, reward })
}

/// Where a member sits whose absence at the last seal is still in the tally.
fn tallied_seat(partition: &Partition, index: BrokerIndex) -> Option<usize> {
    let is_theirs = partition.sealed_epoch >= partition.since_epoch;
    absent_seat(partition, index).filter(|seat| is_theirs && partition.tally.misses[*seat] > 0)
}

/// A member that was absent at the last seal turns out to hold what it sealed.
pub(super) fn excuse(state: &mut State, id: PartitionId, index: BrokerIndex, reward: u128) {
    let epoch = state.epoch();
    let partition = state.partition_mut(id);
    let seat = absent_seat(partition, index).expect("only an absent member reports late");
    let tallied = tallied_seat(partition, index);
    partition.absent &= !(1 << seat);
    match tallied {
        Some(seat) => partition.tally.misses[seat] -= 1,
        None => {
            state.broker_mut(index).rate(epoch, reliability::late);
            tallies::pay(state, index, reward);
        }
    }
}

/// The facts with which the members lose a partition, if anybody may declare that they did.
pub(super) fn losing(state: &State, id: PartitionId) -> Result<Vec<Fact>, Refusal> {
    let partition = state.known_partition(id)?;
    if !partition.founded {
        return Err(Refusal::NotFounded { partition: id });
    }
    let (sealed_epoch, current_epoch) = (partition.sealed_epoch, state.epoch());
    let patience = state.params.quorum_lost_windows * state.params.window_epochs;
    if current_epoch - sealed_epoch <= patience {
        return Err(Refusal::QuorumNotLost { partition: id, sealed_epoch, current_epoch, patience });
    }
    let (seats, quorum) = (founding::first_members(state, partition).len(), state.quorum());
    if seats < quorum {
        return Err(Refusal::TooFewSeats { partition: id, seats, quorum });
    }
    let lost = Fact::QuorumLost { partition: id, sealed_epoch, members: partition.members };
    Ok(vec![tallies::last_settlement(state, id, partition), lost])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coordinator::params::DATA;

    #[test]
    fn shares_are_those_of_wide_arithmetic() {
        assert_eq!([0, 1, 9_999, 10_000].map(|points| share(30_001, points)), [0, 3, 29_997, 30_001]);
        assert_eq!(share(u128::MAX, 10_000), u128::MAX);
        assert_eq!(share(1_000 * DATA, 5_000), 500 * DATA);
    }
}
