//! Pacing: nothing is sent a second time before the first has had its time to show an effect.
//!
//! A duty that is still wanted [`DUTY_PATIENCE_BLOCKS`] after it was sent is sent again; each further time the wait
//! doubles, up to [`DUTY_DOUBLINGS`] times. So a transaction that got lost costs a few blocks, and one that the
//! contracts refuse again and again costs next to nothing.

use alloc::collections::BTreeMap;

use super::Duty;
use crate::limits::{DUTY_DOUBLINGS, DUTY_PATIENCE_BLOCKS};

/// When each duty was sent last.
#[derive(Clone, Debug, Default)]
pub struct Pacing {
    sent: BTreeMap<Duty, Sent>,
}

#[derive(Clone, Copy, Debug)]
struct Sent {
    height: u64,
    repeats: u32,
}

impl Sent {
    fn due_height(&self) -> u64 {
        self.height.saturating_add(DUTY_PATIENCE_BLOCKS << self.repeats.min(DUTY_DOUBLINGS))
    }
}

impl Pacing {
    /// Whether a duty may be sent at `height`.
    pub fn is_due(&self, height: u64, duty: &Duty) -> bool {
        self.sent.get(duty).is_none_or(|sent| height >= sent.due_height())
    }

    /// The same; if so, it counts as sent.
    pub fn begin(&mut self, height: u64, duty: Duty) -> bool {
        if !self.is_due(height, &duty) {
            return false;
        }
        let repeats = self.sent.get(&duty).map_or(0, |sent| sent.repeats.saturating_add(1));
        self.sent.insert(duty, Sent { height, repeats });
        true
    }

    /// Forgets what would have been sent again long ago if it were still wanted.
    pub fn forget(&mut self, height: u64) {
        let longest = DUTY_PATIENCE_BLOCKS << (DUTY_DOUBLINGS + 1);
        self.sent.retain(|_, sent| height < sent.height.saturating_add(longest));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    #[test]
    fn what_has_no_effect_is_sent_again_ever_more_slowly() {
        let mut pacing = Pacing::default();
        let sent: Vec<u64> = (0..200).filter(|height| pacing.begin(*height, Duty::Claim)).collect();
        let waits: Vec<u64> = sent.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert_eq!(waits, [3, 6, 12, 24, 48, 96]);
        assert!(pacing.is_due(0, &Duty::ClaimBounty), "another duty is not held up");
    }

    #[test]
    fn what_is_done_is_forgotten_and_may_come_again() {
        let mut pacing = Pacing::default();
        assert!(pacing.begin(0, Duty::Claim) && !pacing.begin(2, Duty::Claim));
        pacing.forget(191);
        assert_eq!(pacing.sent.len(), 1);
        pacing.forget(192);
        assert!(pacing.sent.is_empty() && pacing.begin(192, Duty::Claim) && pacing.begin(195, Duty::Claim));
    }
}
