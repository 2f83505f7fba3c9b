//! The one thing that a store must know of a batch's inside: when its events happened.
//!
//! The canonical order mixes lanes event by event, so a merge needs the time of each event where batches of
//! several lanes overlap. Everywhere else the first and last time in the index are enough and no batch is
//! decoded.

use std::sync::Arc;

use weir_kernel::batch::Batch;

use crate::error::LogError;
use crate::index::LaneEntry;

/// Reads the times of a batch's events, in milliseconds since 1970 UTC, one an event, never going back. The
/// error says what does not fit.
pub type EventTimes = fn(&Arc<[u8]>) -> Result<Vec<u64>, String>;

/// Times of the events of a batch in the kernel's own format.
///
/// # Errors
/// When the bytes are not a valid batch.
pub fn kernel_times(bytes: &Arc<[u8]>) -> Result<Vec<u64>, String> {
    let batch = Batch::decode(bytes.clone()).map_err(|error| error.to_string())?;
    Ok((0..batch.len()).map_while(|event| batch.timestamp_ms(event)).collect())
}

/// Times of one batch's events.
pub(crate) enum Times {
    /// All alike: no decoding needed.
    Constant(u64),
    /// One an event.
    Each(Vec<u64>),
}

impl Times {
    /// Reads and checks the times of a batch against its index entry.
    pub(crate) fn of(entry: &LaneEntry, bytes: &Arc<[u8]>, decode: EventTimes) -> Result<Self, LogError> {
        if entry.first_time_ms == entry.last_time_ms {
            return Ok(Self::Constant(entry.first_time_ms));
        }
        let damaged = |cause: String| LogError::damaged(entry.place(), cause);
        let times = decode(bytes).map_err(damaged)?;
        if times.len() != entry.count as usize {
            return Err(damaged(format!(
                "the index counts {} events and the batch {}",
                entry.count,
                times.len()
            )));
        }
        let ends = (times.first().copied(), times.last().copied());
        if ends != (Some(entry.first_time_ms), Some(entry.last_time_ms)) || !times.is_sorted() {
            return Err(damaged("event times differ from the index or go back".into()));
        }
        Ok(Self::Each(times))
    }

    /// Time of the event at `offset` within the batch.
    pub(crate) fn at(&self, offset: u32) -> u64 {
        match self {
            Self::Constant(time) => *time,
            Self::Each(times) => times[offset as usize],
        }
    }
}
