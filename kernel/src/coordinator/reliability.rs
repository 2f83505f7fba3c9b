//! Reliability: how regularly a broker reports (WP 2.4.6: "nodes that deviate become less likely to be
//! assigned").
//!
//! In basis points, 10 000 at the start. A settlement of a tally takes [`MISSED`] for each seal that the broker missed,
//! not below zero, and then adds [`SIGNED`] for each that it signed, not above the top. Away from both ends this is a
//! sum, so it does not matter in which batches seals are settled, nor in which order they came; at the ends batches
//! differ by no more than what they cut off. Who signs less than 15 of 16 seals falls.
//!
//! Tickets follow reliability. Below [`MINIMUM`] a broker has none: it is *suspended*, until it signed enough where it
//! still sits, or pays the join fee again to *rejoin* with [`REJOINED`].

/// Perfect reliability, in basis points.
pub const FULL: u16 = 10_000;

/// What a seal that was missed costs.
pub const MISSED: u16 = 625;

/// What a seal that was signed gives.
pub const SIGNED: u16 = 40;

/// A broker with less has no tickets.
pub const MINIMUM: u16 = 2_500;

/// The reliability of who rejoins.
pub const REJOINED: u16 = 5_000;

const _: () = assert!(MINIMUM < REJOINED && REJOINED < FULL);

/// After a settlement of so many seals signed and missed.
pub fn settled(reliability: u16, signed: u8, missed: u8) -> u16 {
    let lowered = reliability.saturating_sub(MISSED.saturating_mul(missed.into()));
    lowered.saturating_add(SIGNED.saturating_mul(signed.into())).min(FULL)
}

/// After a late report for a seal whose miss is settled.
pub fn late(reliability: u16) -> u16 {
    reliability.saturating_add(MISSED).min(FULL)
}

/// The tickets that are left of a stake's at some reliability: none below [`MINIMUM`], else rounded up.
pub fn tickets(of_stake: u8, reliability: u16) -> u8 {
    assert!(reliability <= FULL, "reliability is at most {FULL} basis points");
    if reliability < MINIMUM {
        return 0;
    }
    let left = (u32::from(of_stake) * u32::from(reliability)).div_ceil(u32::from(FULL));
    u8::try_from(left).expect("no more than there were")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn missing_costs_what_many_signatures_regain() {
        assert_eq!(settled(FULL, 0, 1), 9_375);
        assert_eq!(settled(9_375, 15, 0), 9_975);
        assert_eq!([settled(FULL, 255, 0), settled(FULL, 255, 3), settled(600, 0, 3)], [FULL, FULL, 0]);
        assert_eq!(settled(600, 1, 3), SIGNED, "what was missed goes first");
    }

    #[test]
    fn a_late_report_undoes_a_miss_that_is_settled() {
        assert!((MISSED..=FULL).all(|before| late(settled(before, 0, 1)) == before));
        assert_eq!(late(settled(100, 0, 1)), MISSED, "it was cut off at zero");
    }

    #[test]
    fn an_unreliable_broker_has_fewer_tickets_and_a_suspended_one_none() {
        let tickets_of_four = [FULL, FULL - 15, 7_500, 7_501, MINIMUM, MINIMUM - 1, 0];
        assert_eq!(tickets_of_four.map(|reliability| tickets(4, reliability)), [4, 4, 3, 4, 1, 0, 0]);
        assert_eq!((tickets(1, MINIMUM), tickets(0, FULL), tickets(255, FULL)), (1, 0, 255));
    }

    proptest! {
        /// Away from the ends batches do not matter at all; at an end they differ by what was cut off there.
        #[test]
        fn any_batching_of_the_same_seals_comes_out_close(
            start in 0u16..=FULL, seals in prop::collection::vec(any::<bool>(), 0..40), cuts: u64,
        ) {
            let count = |seals: &[bool]| {
                let signed = seals.iter().filter(|signed| **signed).count() as u8;
                (signed, seals.len() as u8 - signed)
            };
            let (signed, missed) = count(&seals);
            let at_once = settled(start, signed, missed);
            let mut batch = Vec::new();
            let mut batched = start;
            for (at, seal) in seals.iter().enumerate() {
                batch.push(*seal);
                if cuts >> at & 1 == 1 || at + 1 == seals.len() {
                    let (signed, missed) = count(&batch);
                    batched = settled(batched, signed, missed);
                    batch.clear();
                }
            }
            let (gain, loss) = (SIGNED * u16::from(signed), MISSED * u16::from(missed));
            prop_assert!(at_once.abs_diff(batched) <= gain.min(loss), "{} and {}", at_once, batched);
            let inside = start >= loss && start + gain <= FULL;
            prop_assert!(!inside || at_once == batched);
        }
    }
    use alloc::vec::Vec;
}
