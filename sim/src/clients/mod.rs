//! Clients: what stands outside of the network and is promised something by it.
//!
//! | client | what it does |
//! | --- | --- |
//! | [`publisher`] | publishes, and resends until it is told that it is stored |
//! | [`subscriber`], [`reader`], [`guest`] | follow, read, and follow for as long as they may |
//! | [`equivocator`] | signs two branches of a lane |
//! | [`gap`] | leaves a gap in its lane |
//! | [`misdater`] | dates events back, or a day ahead |
//! | [`debtor`] | floods a lane without a deposit |
//!
//! The last four cheat. Oracles hold the network to what it owes each of them, see [`cheat`] and
//! [`published::Standing`]: what breaks a rule is refused by name and stored nowhere.

pub mod cheat;
pub mod debtor;
pub mod equivocator;
pub mod gap;
pub mod guest;
pub mod misdater;
pub mod published;
pub mod publisher;
pub mod reader;
pub mod subscriber;

use std::io::Write as _;

use weir_kernel::batch::{Batch, NewEvent, Signature, UnsignedBatch, content_type};
use weir_kernel::broker::Reply;
use weir_kernel::ids::{Address, Hash};
use weir_kernel::signature::{KEYED_HASH, SECP256K1, SecretKey, keyed_hash};
use weir_kernel::verify::{Verified, Verifier, verify_batch};

use self::cheat::Cheat;
use self::equivocator::Equivocator;
use self::guest::Guest;
use self::publisher::Publisher;
use self::reader::Reader;
use self::subscriber::Subscriber;
use crate::chain::CHAIN_ID;
use crate::random::Random;
use crate::surroundings::Surroundings;
use crate::verifier::SimulationVerifier;

/// Somebody's program.
#[derive(Debug)]
pub enum Client {
    /// Publishes and wants acknowledgements.
    Publisher(Publisher),
    /// Signs two branches of a lane; this is one of them.
    Equivocator(Equivocator),
    /// Breaks another rule of publishing.
    Cheat(Cheat),
    /// Follows streams.
    Subscriber(Subscriber),
    /// Asks for what is kept.
    Reader(Reader),
    /// Follows a stream for as long as it may.
    Guest(Guest),
}

impl Client {
    /// A new session with an edge has begun.
    pub fn on_connected(&mut self, s: &mut Surroundings<'_>) {
        match self {
            Self::Publisher(publisher) => publisher.on_connected(s),
            Self::Equivocator(equivocator) => equivocator.on_connected(s),
            Self::Cheat(cheat) => cheat.on_connected(s),
            Self::Subscriber(subscriber) => subscriber.on_connected(s),
            Self::Reader(reader) => reader.on_connected(s),
            Self::Guest(guest) => guest.on_connected(s),
        }
    }

    /// The client wanted to be woken.
    pub fn on_wake(&mut self, s: &mut Surroundings<'_>) {
        match self {
            Self::Publisher(publisher) => publisher.on_wake(s),
            Self::Equivocator(equivocator) => equivocator.on_wake(s),
            Self::Cheat(cheat) => cheat.on_wake(s),
            Self::Subscriber(subscriber) => subscriber.on_wake(s),
            Self::Reader(reader) => reader.on_wake(s),
            Self::Guest(guest) => guest.on_wake(s),
        }
    }

    /// The edge says something.
    pub fn on_reply(&mut self, s: &mut Surroundings<'_>, reply: Reply) {
        match self {
            Self::Publisher(publisher) => publisher.on_reply(s, reply),
            Self::Equivocator(equivocator) => equivocator.on_reply(s, reply),
            Self::Cheat(cheat) => cheat.on_reply(s, reply),
            Self::Subscriber(subscriber) => subscriber.on_reply(s, reply),
            Self::Reader(reader) => reader.on_reply(s, reply),
            Self::Guest(guest) => guest.on_reply(s, reply),
        }
    }
}

/// Signs batches for a publisher.
#[derive(Debug)]
pub struct Signer {
    key: SecretKey,
    real: bool,
}

impl Signer {
    /// Signs with the key, or as if with it where signatures need not be real.
    pub fn new(key: SecretKey, real: bool) -> Self {
        Self { key, real }
    }

    /// The publisher.
    pub fn address(&self) -> Address {
        self.key.address()
    }

    /// The type of its signatures.
    pub fn signature_type(&self) -> u8 {
        if self.real { SECP256K1 } else { KEYED_HASH }
    }

    /// Signs a batch.
    pub fn sign(&self, batch: UnsignedBatch, verifier: &SimulationVerifier) -> Verified<Batch> {
        let hash: Hash = batch.signing_hash(CHAIN_ID);
        let signature = if self.real {
            let bytes = self.key.sign_hash(&hash);
            verifier.signed(self.address(), hash, bytes);
            Signature::Secp256k1(bytes)
        } else {
            keyed_hash(&self.address(), &hash)
        };
        let signed = batch.sign(signature).expect("the lane was opened with this type");
        let batch = verify_batch(signed, CHAIN_ID, verifier).expect("what was just made is valid");
        verifier.passed(&batch);
        batch
    }
}

/// Bytes of an event without its padding, at most.
const EVENT_BYTES: usize = 96;

/// Events as devices send them: small JSON objects, now and then a large one. They grow from a number; from 0 the
/// smallest.
fn events(payload: u64, count: u64, wall_ms: u64, last_ms: u64) -> Vec<NewEvent> {
    let (wall_ms, mut random) = (wall_ms.max(last_ms), Random::from_number(payload));
    (0..count)
        .map(|number| {
            let text = if payload == 0 {
                format!("{{\"n\":{number}}}").into_bytes()
            } else {
                event(&mut random, number)
            };
            NewEvent::new(wall_ms, content_type::JSON, text)
        })
        .collect()
}

fn event(random: &mut Random, number: u64) -> Vec<u8> {
    let padding = if random.chance(20_000) { random.below(20_000) } else { random.below(120) } as usize;
    let (device, degrees, tenths) = (random.below(1_000), random.below(60), random.below(10));
    let mut text = Vec::with_capacity(EVENT_BYTES + padding);
    write!(
        text,
        "{{\"device\":\"sensor-{device}\",\"celsius\":{degrees}.{tenths},\"number\":{number},\"note\":\""
    )
    .expect("memory takes what is written to it");
    text.resize(text.len() + padding, b'x');
    text.extend_from_slice(b"\"}");
    text
}
