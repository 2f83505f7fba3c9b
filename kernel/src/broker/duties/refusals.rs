//! What a refused transaction means, by the name of the contracts' error.
//!
//! Everything that brokers send anybody may send, and the chain moves on while a transaction is under way. So most
//! refusals say that the thing is done, or that its time has passed; the next view of the chain shows which, and the
//! duty is wanted again or not. Any other refusal is a fault that an operator should hear of.

/// Refusals that somebody who was faster, or the chain that moved on, explains.
const OVERTAKEN: [&str; 25] = [
    // Done already.
    "AlreadyFounded",
    "AlreadySealed",
    "AlreadySettled",
    "AlreadySlashed",
    "DrawAlreadyRecorded",
    "NoBounty",
    "NotAbsent",
    "NothingStaked",
    "NothingToClaim",
    "NothingToGrow",
    "NothingToSlash",
    "NotSuspended",
    "QuorumNotLost",
    "SeatIsVacant",
    "SeatIsValid",
    // Too late.
    "CutNotSealed",
    "MeterFalls",
    "NotAccepted",
    "PreviousMismatch",
    "Succeeded",
    "WindowClosed",
    // Too early, for the chain that the transaction meets is behind the one that asked.
    "DrawNotReady",
    "EpochNotOver",
    "TargetStillMoving",
    "TooFewSeats",
];

/// Whether a refusal of this name is part of the ordinary course of things.
pub fn is_overtaken(name: &str) -> bool {
    OVERTAKEN.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coordinator::Refusal;
    use crate::ids::BrokerIndex;

    #[test]
    fn what_another_has_done_is_no_fault() {
        assert!(is_overtaken(Refusal::NothingToClaim { index: BrokerIndex(1) }.name()));
        assert!(!is_overtaken(Refusal::NoConflict { index: BrokerIndex(1) }.name()));
        assert!(!is_overtaken("InvalidSignature") && !is_overtaken(""));
    }
}
