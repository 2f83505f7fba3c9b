//! Reading history as the signed batches that hold it, for programs that read much or trust no node.
//!
//! The node hands batches on as they are kept; here each is decoded, which checks its hash tree, and its signature is
//! the reader's to check ([`weir_kernel::verify`] with [`Part::batch`]'s bytes). Memory stays bounded by the largest
//! batch however long the answer is.

use std::ops::Range;

use bytes::{Buf, Bytes, BytesMut};
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use weir_kernel::batch::Batch;
use weir_kernel::ids::StreamId;
use weir_kernel::limits::MAX_BATCH_BYTES;

use crate::client::Client;
use crate::http::RequestError;
use crate::query::{Format, Query};

/// Bytes before a batch: its record's length, the first event that is meant, how many.
const PREFIX_BYTES: usize = 12;

/// Events of one signed batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// The batch, whose hash tree was checked and whose signature was not.
    pub batch: Batch,
    /// Which of its events are meant, counted from 0 within the batch; at least one.
    pub events: Range<u32>,
}

/// The parts of an answer.
pub struct Batches {
    url: String,
    body: BoxStream<'static, Result<Bytes, reqwest::Error>>,
    buffer: BytesMut,
}

impl Client {
    /// Asks for history as signed batches: of one partition, or of all of them, one after the other. In a partition
    /// they come in the order of the first event that is meant; a batch may come again with later events. The last
    /// events can be asked of one partition only.
    ///
    /// # Errors
    ///
    /// The node's refusal, or that it is gone.
    pub async fn query_batches(
        &self,
        stream: StreamId,
        query: Query,
        partition: Option<u32>,
    ) -> Result<Batches, RequestError> {
        let response = self.ask(&query.path(stream, partition, Format::Binary)).await?;
        let url = response.url().to_string();
        Ok(Batches { url, body: response.bytes_stream().boxed(), buffer: BytesMut::new() })
    }
}

impl Batches {
    /// The next part; `None` after the last.
    ///
    /// # Errors
    ///
    /// The answer breaks off or is damaged: what came before is right, and more would follow.
    pub async fn next(&mut self) -> Result<Option<Part>, RequestError> {
        loop {
            if let Some(part) = self.part()? {
                return Ok(Some(part));
            }
            match self.body.next().await {
                Some(Ok(bytes)) => self.buffer.extend_from_slice(&bytes),
                Some(Err(error)) => {
                    let reason = format!("the answer broke off: {}", crate::http::root_cause(&error));
                    return Err(RequestError::Unreachable { url: self.url.clone(), reason });
                }
                None if self.buffer.is_empty() => return Ok(None),
                None => return Err(self.garbled("it ends within a batch".into())),
            }
        }
    }

    /// The part at the front of the buffer, if all of it is there.
    fn part(&mut self) -> Result<Option<Part>, RequestError> {
        let Some(prefix) = self.buffer.first_chunk::<PREFIX_BYTES>() else { return Ok(None) };
        let [length, first, count] = [0, 4, 8]
            .map(|at| u32::from_be_bytes(*prefix[at..].first_chunk().expect("it lies in the prefix")));
        // The length counts the two numbers after it.
        let bytes = (length as usize).saturating_sub(PREFIX_BYTES - 4);
        if bytes == 0 || bytes > MAX_BATCH_BYTES {
            return Err(self.garbled(format!("a batch of {bytes} bytes")));
        }
        if self.buffer.len() < PREFIX_BYTES + bytes {
            return Ok(None);
        }
        self.buffer.advance(PREFIX_BYTES);
        let batch = Batch::decode(self.buffer.split_to(bytes)[..].into());
        let batch = batch.map_err(|error| self.garbled(format!("no batch: {error}")))?;
        match first.checked_add(count).filter(|end| count > 0 && *end <= batch.len()) {
            Some(end) => Ok(Some(Part { batch, events: first..end })),
            None => {
                Err(self.garbled(format!("{count} events from {first} on of a batch of {}", batch.len())))
            }
        }
    }

    fn garbled(&self, reason: String) -> RequestError {
        RequestError::Garbled { url: self.url.clone(), reason }
    }
}

#[cfg(test)]
mod tests {
    use weir_kernel::batch::{LaneWriter, NewEvent, Signature, content_type};
    use weir_kernel::ids::{Hash, StreamPartition};
    use weir_kernel::signature::{SECP256K1, SecretKey};

    use super::*;

    /// A record of a batch of three events of which some are meant.
    fn record(first: u32, count: u32) -> Vec<u8> {
        let key = SecretKey::from_bytes(&[7; 32]).expect("a key");
        let slot = StreamPartition { stream: StreamId([1; 20]), partition: 0 };
        let mut lane = LaneWriter::new(slot, key.address(), 1, [9; 16], Hash::ZERO, SECP256K1);
        let events = (0..3).map(|n| NewEvent::new(n, content_type::JSON, n.to_string())).collect();
        let unsigned = lane.next_batch(events).expect("small events fit");
        let signature = Signature::Secp256k1(key.sign_hash(&unsigned.signing_hash(1)));
        let batch = unsigned.sign(signature).expect("the lane's type");
        let length = u32::try_from(batch.bytes().len() + 8).expect("a short batch");
        let prefix = [length, first, count].map(u32::to_be_bytes).concat();
        [&prefix, &batch.bytes()[..]].concat()
    }

    async fn read(bytes: Vec<u8>, piece: usize) -> Result<Vec<Range<u32>>, RequestError> {
        let pieces: Vec<_> = bytes.chunks(piece).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
        let body = futures_util::stream::iter(pieces).boxed();
        let mut batches = Batches { url: "x".into(), body, buffer: BytesMut::new() };
        let mut found = Vec::new();
        while let Some(part) = batches.next().await? {
            assert_eq!(part.batch.len(), 3);
            found.push(part.events);
        }
        Ok(found)
    }

    #[tokio::test]
    async fn parts_are_put_together_from_pieces_of_any_size() {
        let answer = [record(0, 3), record(1, 1)].concat();
        for piece in [1, 7, 300, 10_000] {
            assert_eq!(read(answer.clone(), piece).await.expect("whole"), [0..3, 1..2]);
        }
        assert_eq!(read(Vec::new(), 1).await.expect("no parts"), []);
    }

    #[tokio::test]
    async fn what_is_damaged_is_no_part() {
        let whole = record(0, 3);
        assert!(read(whole[..whole.len() - 1].to_vec(), 64).await.is_err(), "cut short");
        let mut flipped = whole.clone();
        *flipped.last_mut().expect("bytes") ^= 1;
        assert!(read(flipped, 64).await.is_err(), "another event than was signed");
        assert!(read(record(2, 2), 64).await.is_err() && read(record(1, 0), 64).await.is_err());
        assert!(read(vec![0xff; 64], 64).await.is_err() && read(vec![0; 64], 64).await.is_err());
    }
}
