//! Frames between brokers, pinned byte by byte: `vectors/frames.txt` has one line a message, name and bytes.
//!
//! After a deliberate change of the format, which is a new frame version, write the file anew with
//! `WEIR_WRITE_VECTORS=1 cargo test -p weir-kernel --test frames`.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use weir_kernel::agreement::cut::kept;
use weir_kernel::agreement::{Cut, Fork, LaneHead};
use weir_kernel::batch::{Batch, LaneWriter, NewEvent, Session, content_type};
use weir_kernel::broker::{Message, MovedLane, RefusalCode, SignedEntry};
use weir_kernel::coordinator::{Entry, report_signing_hash};
use weir_kernel::ids::{Address, Hash, LaneId, PartitionId, StreamId, StreamPartition, hex};
use weir_kernel::log::{Position, Query, Slice};
use weir_kernel::signature::{SECP256K1, Secp256k1Verifier, SecretKey, Signature};
use weir_kernel::wire::{self, Domain, FRAME_VERSION, FrameError};

const DOMAIN: Domain = Domain { chain_id: 31337, coordinator: Address([0xc0; 20]) };
const PARTITION: PartitionId = PartitionId(7);

fn key() -> SecretKey {
    SecretKey::from_bytes(&[7; 32]).expect("a valid key")
}

fn slot() -> StreamPartition {
    StreamPartition { stream: StreamId([1; 20]), partition: 2 }
}

fn batch(content: &str) -> Batch {
    let mut lane = LaneWriter::new(slot(), key().address(), 12, [9; 16], Hash::ZERO, SECP256K1);
    let event = NewEvent::new(1_700_000_000_000, content_type::JSON, content.as_bytes());
    let unsigned = lane.next_batch(vec![event]).expect("one small event fits");
    let signature = Signature::Secp256k1(key().sign_hash(&unsigned.signing_hash(DOMAIN.chain_id)));
    unsigned.sign(signature).expect("the lane is signed with this type")
}

/// A batch that a session key signed.
fn session_batch(content: &str) -> Batch {
    let session_key = SecretKey::from_bytes(&[8; 32]).expect("a valid key");
    let session = Session {
        stream: slot().stream,
        origin: key().address(),
        key: session_key.address(),
        expiry_block: 3_600,
        signature_type: SECP256K1,
    };
    let signature = Signature::Secp256k1(key().sign_hash(&session.signing_hash(DOMAIN.chain_id)));
    let mut lane = LaneWriter::new(slot(), key().address(), 12, [9; 16], Hash::ZERO, SECP256K1)
        .in_session(&session, session.certified(signature))
        .expect("the session is the lane's");
    let event = NewEvent::new(1_700_000_000_000, content_type::JSON, content.as_bytes());
    let unsigned = lane.next_batch(vec![event]).expect("one small event fits");
    let signature = Signature::Secp256k1(session_key.sign_hash(&unsigned.signing_hash(DOMAIN.chain_id)));
    unsigned.sign(signature).expect("the lane is signed with this type")
}

fn head() -> LaneHead {
    LaneHead { lane: LaneId([0x11; 32]), next_sequence: 300, volume: 70_000, digest: Hash([0x22; 32]) }
}

fn fork() -> Fork {
    Fork::new(batch("1").signed_header(), batch("2").signed_header()).expect("two branches of one lane")
}

fn previous() -> Hash {
    kept(Hash([3; 32]))
}

fn cut() -> Cut {
    Cut { partition: PARTITION, epoch: 1000, previous: previous(), heads: vec![head()], forks: vec![fork()] }
}

fn report() -> SignedEntry {
    let entry = Entry {
        partition: PARTITION,
        epoch: 1000,
        round: 1,
        previous: previous(),
        checksum: cut().checksum(),
        events: 300,
        volume: 70_000,
    };
    SignedEntry { entry, signature: sign(&entry).to_vec() }
}

fn sign(entry: &Entry) -> [u8; 65] {
    key().sign_hash(&report_signing_hash(DOMAIN.chain_id, &DOMAIN.coordinator, &entry.hash()))
}

/// One of each message, with what travels beside it.
fn samples() -> Vec<(&'static str, Message, Vec<Batch>)> {
    let lane = head().lane;
    let (partition, epoch, heads, forks) = (PARTITION, 1000, vec![head()], vec![fork()]);
    let range = Query::Range {
        partition,
        slot: slot(),
        from: Position::at(5),
        to: Position::at(9),
        up_to_index: 77,
        origin: Some(Address([4; 20])),
    };
    let one = || vec![batch("1")];
    let refuse = Message::Refuse {
        partition,
        lane,
        sequence: 5,
        code: RefusalCode::OutOfOrder,
        reason: "the clock is off".into(),
    };
    let closing = Message::Closing {
        partition,
        epoch,
        round: 1,
        previous: previous(),
        heads: heads.clone(),
        forks: forks.clone(),
    };
    let branches = ["1", "2"].map(|content| session_batch(content).signed_header());
    let session_fork = Fork::new(branches[0], branches[1]).expect("two branches of one lane");
    let decline_session =
        Message::Decline { partition, epoch, round: 1, heads: heads.clone(), forks: vec![session_fork] };
    vec![
        ("append", Message::Append { partition }, one()),
        ("acknowledge", Message::Acknowledge { partition, epoch, heads: heads.clone() }, vec![]),
        ("refuse", refuse, vec![]),
        ("fetch", Message::Fetch { partition, lane, from: 300 }, vec![]),
        ("repair", Message::Repair { partition, lane }, one()),
        ("closing", closing, vec![]),
        ("propose", Message::Propose { round: 1, cut: cut() }, vec![]),
        ("report", Message::Report(report()), vec![]),
        ("decline", Message::Decline { partition, epoch, round: 1, heads: heads.clone(), forks }, vec![]),
        ("sealed", Message::Sealed { partition, epoch, heads: heads.clone() }, vec![]),
        ("heads wanted", Message::HeadsWanted { partition }, vec![]),
        ("heads", Message::Heads { partition, heads }, vec![]),
        ("cuts wanted", Message::CutsWanted { partition, after_epoch: 999 }, vec![]),
        ("cuts", Message::Cuts { partition, after_epoch: 999, cuts: vec![cut()] }, vec![]),
        ("read", Message::Read { token: 8, query: range, budget_bytes: 262_144 }, vec![]),
        (
            "answer",
            Message::Answer {
                token: 8,
                order: vec![Slice { batch: 0, first: 0, count: 1 }],
                last_index: 77,
                total: 5,
                next: Some(Query::Append { partition, slot: slot(), after_index: 77 }),
            },
            one(),
        ),
        ("read failed", Message::ReadFailed { token: 8, reason: "catching up".into() }, vec![]),
        ("follow", Message::Follow { partition, slot: slot() }, vec![]),
        ("following", Message::Following { partition, slot: slot(), index: 77 }, vec![]),
        ("unfollow", Message::Unfollow { partition, slot: slot() }, vec![]),
        ("live", Message::Live { partition, slot: slot(), previous_index: 76, index: 77 }, one()),
        ("withdrawn", Message::Withdrawn { partition, slot: slot(), lane, from: 300 }, vec![]),
        (
            "gone",
            Message::Gone { partition, lane, epoch, before: 300, header: Some(Box::new(fork().first)) },
            vec![],
        ),
        ("survey", Message::Survey { partition, slot: slot(), since: epoch, after: lane }, vec![]),
        (
            "surveyed",
            Message::Surveyed {
                partition,
                slot: slot(),
                since: epoch,
                after: LaneId::ZERO,
                up_to: epoch + 1,
                lanes: vec![MovedLane { lane, next_sequence: 300, opening_block: 4, last_time_ms: 1_000 }],
                more: true,
            },
            vec![],
        ),
        ("read lane", Message::ReadLane { token: 8, partition, lane, from: 300 }, vec![]),
        ("decline, a fork in a session", decline_session, vec![]),
        ("append, in a session", Message::Append { partition }, vec![session_batch("1")]),
    ]
}

fn frame(message: &Message, batches: &[Batch]) -> Vec<u8> {
    let attached: Vec<Arc<[u8]>> = batches.iter().map(|batch| batch.bytes().clone()).collect();
    wire::encode(message, &attached)
}

#[test]
fn frames_are_the_committed_bytes() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors/frames.txt");
    let mut text = String::new();
    for (name, message, batches) in samples() {
        writeln!(text, "{name}: {}", hex(&frame(&message, &batches))).expect("writing to a string");
    }
    writeln!(text, "checksum of the cut: {}", cut().checksum()).expect("writing to a string");
    if std::env::var_os("WEIR_WRITE_VECTORS").is_some() {
        std::fs::write(&path, &text).expect("the vectors can be written");
    }
    let committed = std::fs::read_to_string(&path).expect("the committed vectors");
    for (line, (ours, theirs)) in text.lines().zip(committed.lines()).enumerate() {
        assert_eq!(ours, theirs, "line {} of {}", line + 1, path.display());
    }
    assert_eq!(text.lines().count(), committed.lines().count());
}

#[test]
fn frames_come_back_as_they_went() {
    for (name, message, batches) in samples() {
        let frame = frame(&message, &batches);
        let received = wire::decode(&frame, key().address(), DOMAIN, &Secp256k1Verifier)
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(*received.message(), message, "{name}");
    }
}

#[test]
fn a_frame_cut_short_or_with_more_behind_it_is_refused() {
    for (name, message, batches) in samples() {
        let whole = frame(&message, &batches);
        for length in 0..whole.len() {
            let cut_short = wire::decode(&whole[..length], key().address(), DOMAIN, &Secp256k1Verifier);
            assert!(cut_short.is_err(), "{name} cut to {length} bytes");
        }
        let longer = [&whole[..], &[0]].concat();
        let error = wire::decode(&longer, key().address(), DOMAIN, &Secp256k1Verifier).unwrap_err();
        assert!(matches!(error, FrameError::Malformed(_)), "{name}: {error}");
    }
}

#[test]
fn each_frame_error_is_named() {
    let verifier = Secp256k1Verifier;
    let me = key().address();
    let stranger = Address([9; 20]);
    let decode = |bytes: &[u8], from| wire::decode(bytes, from, DOMAIN, &verifier).unwrap_err();
    assert_eq!(decode(&[], me), FrameError::Version(None));
    assert_eq!(decode(&[FRAME_VERSION + 1, 0], me), FrameError::Version(Some(FRAME_VERSION + 1)));
    let huge = vec![FRAME_VERSION; weir_kernel::limits::MAX_FRAME_BYTES + 1];
    assert_eq!(decode(&huge, me), FrameError::TooLarge(huge.len()));
    let stolen = frame(&Message::Report(report()), &[]);
    assert_eq!(decode(&stolen, stranger), FrameError::Report(stranger));
    let mut unfit = report();
    unfit.entry.epoch = 1 << 32;
    unfit.signature = sign(&unfit.entry).to_vec();
    assert_eq!(decode(&frame(&Message::Report(unfit), &[]), me), FrameError::Report(me));
    let smuggled = frame(&Message::Follow { partition: PARTITION, slot: slot() }, &[batch("1")]);
    assert_eq!(decode(&smuggled, me), FrameError::Batches(1));
    let mut same = cut();
    same.forks[0].second = same.forks[0].first;
    assert_eq!(decode(&frame(&Message::Propose { round: 0, cut: same }, &[]), me), FrameError::Fork);
    let mut forged = frame(&Message::Append { partition: PARTITION }, &[batch("1")]);
    let last = forged.len() - 1;
    forged[last] ^= 1;
    assert!(matches!(decode(&forged, me), FrameError::Batch(_)));
}
