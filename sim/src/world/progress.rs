//! What a run has done so far, for whoever measures it.

use super::World;
use crate::report::Progress;

impl World<'_> {
    pub(super) fn tell_progress(&mut self) {
        let Some(progress) = &mut self.progress else { return };
        progress(Progress {
            at_us: self.now_us,
            steps: self.report.steps,
            frames: self.report.frames,
            frame_bytes: self.report.frame_bytes,
            published_events: self.publications.events,
            violations: self.report.violations.len(),
        });
    }
}
