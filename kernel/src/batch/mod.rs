//! Lanes and batches (WP 2.4.1, 2.4.9): the signed unit that publishers make, brokers keep and readers verify.
//!
//! This page is the specification of their bytes. Every integer is big-endian. A value has one encoding: nothing
//! is optional, nothing is padded, nothing may follow the end.
//!
//! ```text
//!   lane ──► header ◄─previous── header ◄─previous── header          a hash chain with a meter
//!              │ root               │ root              │ root
//!            events 0..4          events 4..5         events 5..900
//! ```
//!
//! # Header: 223 bytes
//!
//! | offset | bytes | field | what it is |
//! | --- | --- | --- | --- |
//! | 0 | 1 | version | 1 |
//! | 1 | 20 | stream | address of the stream contract |
//! | 21 | 4 | stream partition | which of the stream's own partitions, from 0 |
//! | 25 | 1 | origin type | 0: an Ethereum address |
//! | 26 | 20 | origin | who published |
//! | 46 | 8 | opening block | height of the chain block at which the origin's permission is judged |
//! | 54 | 16 | nonce | random, new for each lane |
//! | 70 | 8 | sequence | number of the first event, consecutive within the lane from 0 |
//! | 78 | 4 | count | number of events, 1 to [`MAX_BATCH_EVENTS`] |
//! | 82 | 8 | volume | content bytes in the lane so far, this batch included |
//! | 90 | 8 | first time | of the first event, milliseconds since 1970 UTC |
//! | 98 | 8 | last time | of the last event |
//! | 106 | 32 | previous | digest of the lane's preceding header; in a first header, of the head of the lane that this one continues and closes, or zero |
//! | 138 | 32 | root | Merkle root over the events |
//! | 170 | 20 | signer | who signs: the origin, or a session key |
//! | 190 | 32 | certificate | digest of the session that the signer acts under; zero if and only if the origin signs |
//! | 222 | 1 | signature type | 1: secp256k1 over EIP-712; 0xF0: keyed hash, accepted only in simulation |
//!
//! The opening is a block and not an epoch so that whether a batch is valid is a pure function of the batch and
//! of the chain at one block that its publisher has seen: nobody waits for an epoch to begin, and a stream that
//! was created a moment ago can be published to at once.
//!
//! # Names derived from a header
//!
//! - *lane id*: `keccak256(abi.encode(address stream, uint32 streamPartition, uint8 originType, address origin,
//!   uint64 openingBlock, bytes16 nonce))`; `bytes16` stands left in its word.
//! - *digest*: the EIP-712 struct hash of all fields, the type being [`BATCH_TYPE`].
//! - *signing hash*: `keccak256(0x1901 | domain separator | digest)`, the domain having name `weir`, version `1`,
//!   the chain's id and the stream contract as verifying contract ([`crate::typed_data`]).
//!
//! # Batch
//!
//! | bytes | field |
//! | --- | --- |
//! | 223 | header |
//! | 1 | signature length, fixed by the signature type |
//! | 65 or 32 | signature: r \[32\], s \[32\] (the lower of the two), v (27 or 28); or the keyed hash |
//! | 0 or 75 | session certificate, there if and only if the header names one |
//! | the rest | `count` events |
//!
//! A header with its signature, its certificate if there is one, and no events is a [`SignedHeader`]: what proves a
//! fork or settles a meter.
//!
//! # Session certificate
//!
//! A wallet that should not be asked for every batch signs one certificate, and a *session key* signs the batches
//! (WP 2.4.9). What the wallet signs is a [`Session`], of the type [`SESSION_TYPE`] under the same domain as batches:
//!
//! | field | what it is |
//! | --- | --- |
//! | stream | the stream; the domain's verifying contract too |
//! | origin | the wallet |
//! | key | account of the session key: the header's signer |
//! | expiry block | height of the first block in which the session is over |
//! | signature type | how the wallet signs |
//!
//! Its EIP-712 struct hash is the header's `certificate`, so the session key signs under which right it acts. The
//! header says stream, origin and key; the rest follows the batch's signature:
//!
//! | bytes | field |
//! | --- | --- |
//! | 8 | expiry block |
//! | 1 | signature type of the wallet |
//! | 1 | signature length, fixed by the type |
//! | 65 or 32 | the wallet's signature over the session's signing hash |
//!
//! A certificate is good for one stream of one chain, because both are in the domain. Everything that is the
//! origin's by its own signature is so by the session key's: forks, meters, deliveries.
//!
//! The certificate is in every batch and not only in a lane's first: a batch, a header in a fork proof and a page of
//! history each prove themselves, whoever shows them and whatever the reader has seen. It costs 75 bytes; a verifier
//! remembers certificates that it has checked, so a batch still costs one signature.
//!
//! Validity is a function of the batch and the chain at the lane's opening block, so expiry is a height: a session is
//! good for lanes that open before it. Times would not do, since the chain's past times are in nobody's state and a
//! publisher's own clock binds nobody. A key that leaks afterwards can still name an old opening block; so brokers,
//! before they first take a batch, ask also that the session is not over *now*, as they ask of the origin's
//! permission. What was admitted stays valid. A wallet ends a session early by losing its permission to publish,
//! which whoever grants on the stream takes away; sessions are short so that this is seldom needed. A session key
//! that may have leaked should be treated as the wallet's for the lanes it could have opened: it can fork them.
//!
//! # Event
//!
//! | bytes | field | what it is |
//! | --- | --- | --- |
//! | 8 | timestamp | milliseconds since 1970 UTC |
//! | 1 | content type | 0 binary, 1 JSON, 2 UTF-8 text; others are carried, and read as binary |
//! | 1 | encryption type | 0 none; others are carried |
//! | 1 | key id length | at most [`MAX_KEY_ID_BYTES`] |
//! | .. | key id | names the content key for readers |
//! | 4 | content length | at most [`MAX_CONTENT_BYTES`] |
//! | .. | content | |
//!
//! Leaf of an event: SHA-256 of `0x00`, sequence of the event u64, the encoded event. The tree is that of
//! [`crate::merkle`].
//!
//! # Rules
//!
//! [`Batch::decode`] accepts exactly what obeys these; each has its own [`BatchError`].
//!
//! 1. Version, origin type, signer, certificate and signature type as above. A certificate's digest is the one that
//!    the header names, and the lane's opening block is before the session's expiry block.
//! 2. `count` in bounds; `sequence + count` fits 64 bits.
//! 3. Event times never go back; the header names the first and the last.
//! 4. `root` is that of the events.
//! 5. `volume` is at least the content bytes of this batch, and exactly those if `sequence` is 0.
//! 6. At most [`MAX_BATCH_BYTES`] in all.
//!
//! Signatures, the wallet's too, are checked by [`crate::verify`]. Against the lane's earlier batches a replica checks
//! what one batch cannot show: `previous`, `sequence`, `volume`, and that time does not go back.
//!
//! # Example
//!
//! ```
//! use weir_kernel::batch::{Batch, LaneWriter, NewEvent, content_type};
//! use weir_kernel::ids::{Hash, StreamId, StreamPartition};
//! use weir_kernel::signature::{SECP256K1, Secp256k1Verifier, SecretKey, Signature};
//! use weir_kernel::verify;
//!
//! let key = SecretKey::from_bytes(&[7; 32]).expect("a valid key");
//! let slot = StreamPartition { stream: StreamId([1; 20]), partition: 0 };
//! let mut lane = LaneWriter::new(slot, key.address(), 12_000_000, [9; 16], Hash::ZERO, SECP256K1);
//!
//! let events = vec![NewEvent::new(1_700_000_000_000, content_type::JSON, br#"{"celsius":21.5}"#)];
//! let unsigned = lane.next_batch(events).expect("one small event fits");
//! let signature = Signature::Secp256k1(key.sign_hash(&unsigned.signing_hash(1)));
//! let batch = unsigned.sign(signature).expect("the lane is signed with this type");
//!
//! let received = verify::verify(batch.bytes().clone(), 1, &Secp256k1Verifier).expect("valid and signed");
//! assert_eq!(received.header().sequence, 0);
//! assert_eq!(received.event(0).expect("the first event").content, br#"{"celsius":21.5}"#);
//! assert_eq!(Batch::decode(batch.bytes().clone()).expect("valid").lane(), lane.lane());
//! ```
//!
//! [`MAX_BATCH_EVENTS`]: crate::limits::MAX_BATCH_EVENTS
//! [`MAX_BATCH_BYTES`]: crate::limits::MAX_BATCH_BYTES
//! [`MAX_KEY_ID_BYTES`]: crate::limits::MAX_KEY_ID_BYTES
//! [`MAX_CONTENT_BYTES`]: crate::limits::MAX_CONTENT_BYTES

mod body;
mod error;
mod event;
#[cfg(test)]
pub(crate) mod fixture;
mod header;
mod lane;
mod session;
mod signed_header;
mod writer;

pub use body::Batch;
pub use error::BatchError;
pub use event::{Event, EventError, NewEvent, content_type, event_leaf};
pub use header::{BATCH_TYPE, Header, ORIGIN_ADDRESS, VERSION};
pub use lane::LaneParts;
pub use session::{Certificate, SESSION_TYPE, Session};
pub use signed_header::SignedHeader;
pub use writer::{LaneError, LaneWriter, UnsignedBatch};

pub use crate::signature::Signature;
