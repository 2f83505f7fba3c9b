//! What a run has come to so far: for whoever measures it, and for the promises at its end.

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
            stored_events: self.publications.stored,
            violations: self.report.violations.len(),
        });
    }

    pub(super) fn note_serving(&mut self) {
        for node in &self.nodes {
            let summaries = node.broker().into_iter().flat_map(|broker| broker.summaries());
            let ready = summaries.filter(|summary| summary.serves);
            self.serving.extend(ready.map(|summary| (node.address, summary.partition)));
        }
    }
}
