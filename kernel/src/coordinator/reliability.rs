//! Reliability: how regularly a broker reports (WP 2.4.6: "nodes that deviate become less likely to be
//! assigned").
//!
//! In basis points, 10 000 at the start. Each seal moves it a sixteenth of the way: towards 10 000 for a
//! signer, towards 0 for a seat that stayed silent. Integer division rounds the step down, so that a signer's
//! value rests at most 15 below the top and a silent one's at most 15 above zero.

/// Perfect reliability, in basis points.
pub const FULL: u16 = 10_000;

/// After a seal that the broker signed.
pub fn signed(reliability: u16) -> u16 {
    assert!(reliability <= FULL, "reliability is at most {FULL} basis points");
    reliability + (FULL - reliability) / 16
}

/// After a seal that the broker was silent at.
pub fn silent(reliability: u16) -> u16 {
    assert!(reliability <= FULL, "reliability is at most {FULL} basis points");
    reliability - reliability / 16
}

/// The tickets that are left of a stake's at some reliability, rounded up: at least one of any.
pub fn tickets(of_stake: u8, reliability: u16) -> u8 {
    assert!(reliability <= FULL, "reliability is at most {FULL} basis points");
    let left = (u32::from(of_stake) * u32::from(reliability)).div_ceil(u32::from(FULL));
    u8::try_from(left).expect("no more than there were")
}

/// After a late report: the value before the silence, or one above it where the division was rounded.
pub fn late(reliability: u16) -> u16 {
    assert!(reliability <= FULL, "reliability is at most {FULL} basis points");
    (reliability + reliability / 15).min(FULL)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_costs_a_sixteenth_and_signing_regains_it() {
        assert_eq!(silent(FULL), 9_375);
        assert_eq!(signed(9_375), 9_414);
        assert_eq!(signed(FULL), FULL);
    }

    #[test]
    fn a_late_report_undoes_silence() {
        assert!((0..=FULL).all(|before| matches!(late(silent(before)).abs_diff(before), 0 | 1)));
        assert_eq!(late(silent(FULL)), FULL);
    }

    #[test]
    fn an_unreliable_broker_has_fewer_tickets_but_one() {
        assert_eq!(
            [FULL, FULL - 15, 7_500, 7_501, 15].map(|reliability| tickets(4, reliability)),
            [4, 4, 3, 4, 1]
        );
        assert_eq!(tickets(0, FULL), 0);
    }

    #[test]
    fn both_come_to_rest() {
        let after = |step: fn(u16) -> u16, start| (0..500).fold(start, |reliability, _| step(reliability));
        assert_eq!(after(signed, 0), FULL - 15);
        assert_eq!(after(silent, FULL), 15);
    }
}
