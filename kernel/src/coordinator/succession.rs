//! Succession: a network is upgraded "simply by switching to a new network coordinator" (WP 2.5.3).
//!
//! The governor proposes, the proposed coordinator accepts, and after a notice the network is the successor's:
//! from that epoch on nobody registers here and no epoch is sealed. Stakes, rewards and bounties are paid here
//! as ever, and offences punished; a seat then keeps nobody's stake, because there is nothing left to sign. With
//! no governor there is no successor, and nobody has a privilege.

use super::fact::Fact;
use super::refusal::Refusal;
use super::state::State;
use crate::ids::{Address, Epoch};

/// Who follows this coordinator.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Succession {
    /// Whom the governor proposed; zero is nobody.
    pub proposed: Address,
    /// Who accepted, and the first epoch that is the successor's.
    pub accepted: Option<(Address, Epoch)>,
}

/// Refuses what belongs to the successor in `epoch`.
pub fn check(state: &State, epoch: Epoch) -> Result<(), Refusal> {
    match state.succession.accepted {
        Some((successor, from_epoch)) if epoch >= from_epoch => {
            Err(Refusal::Succeeded { successor, from_epoch })
        }
        _ => Ok(()),
    }
}

/// `proposeSuccessor`.
pub(super) fn propose(state: &State, caller: Address, successor: Address) -> Result<Fact, Refusal> {
    if caller != state.params.governor {
        return Err(Refusal::NotGovernor { caller });
    }
    match state.succession.accepted {
        Some((successor, from_epoch)) => Err(Refusal::SuccessorFixed { successor, from_epoch }),
        None => Ok(Fact::SuccessorProposed { successor }),
    }
}

/// `acceptSuccession`.
pub(super) fn accept(state: &State, caller: Address) -> Result<Fact, Refusal> {
    if caller != state.succession.proposed {
        return Err(Refusal::NotProposed { caller });
    }
    let from_epoch = state.epoch() + state.params.successor_notice;
    Ok(Fact::SuccessorAccepted { successor: caller, from_epoch })
}
