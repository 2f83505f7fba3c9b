//! The committed vectors of the batch format: `vectors/batch.json` pins every byte, so that no change of the
//! encoding goes unnoticed and other implementations have something to check against.
//!
//! To write them anew after a deliberate change of the format (a new version):
//! `cargo test -p weir-kernel --test vectors -- --ignored`, then run `vectors/check.mjs` on the result.

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::{Value, json};
use weir_kernel::batch::{Batch, Header, LaneWriter, NewEvent, Session, SignedHeader, content_type};
use weir_kernel::ids::{Address, Hash, LaneId, StreamId, StreamPartition};
use weir_kernel::partition_key::partition_of_key;
use weir_kernel::signature::{
    KEYED_HASH, KeyedHashVerifier, SECP256K1, Secp256k1Verifier, SecretKey, Signature, keyed_hash,
};
use weir_kernel::{merkle::MerkleProof, typed_data, verify};

const CHAIN_ID: u64 = 31337;
/// The first account of the development chains: known to everybody, worth nothing.
const SECRET_KEY: &str = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
/// The second of them.
const SESSION_KEY: &str = "0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d";

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("vectors/batch.json")
}

fn committed() -> Value {
    let text = std::fs::read_to_string(path()).expect("vectors/batch.json is committed");
    serde_json::from_str(&text).expect("vectors/batch.json is JSON")
}

fn key() -> SecretKey {
    key_of(SECRET_KEY)
}

fn session_key() -> SecretKey {
    key_of(SESSION_KEY)
}

fn key_of(text: &str) -> SecretKey {
    let bytes: Hash = text.parse().expect("32 bytes in hexadecimal");
    SecretKey::from_bytes(&bytes.0).expect("a valid key")
}

fn hex(bytes: &[u8]) -> String {
    format!("0x{}", hex::encode(bytes))
}

fn unhex(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().expect("a string").trim_start_matches("0x")).expect("hexadecimal")
}

fn bytes_of<const N: usize>(value: &Value) -> [u8; N] {
    unhex(value).try_into().expect("the field has its length")
}

/// Integers of 64 bits are strings in the file: JSON numbers lose digits in many readers.
fn number(value: &Value) -> u64 {
    value.as_str().expect("a string").parse().expect("a decimal number")
}

fn slot(partition: u32) -> StreamPartition {
    let stream: StreamId = "0x5fbdb2315678afecb367f032d93f642f64180aa3".parse().expect("an address");
    StreamPartition { stream, partition }
}

fn generate() -> Value {
    let mut lane = LaneWriter::new(slot(0), key().address(), 12, *b"weir test vector", Hash::ZERO, SECP256K1);
    let single = vec![NewEvent::new(1_500_000_000_000, content_type::JSON, br#"{"celsius":21.5}"#)];
    let several = vec![
        NewEvent::new(1_500_000_000_000, content_type::TEXT, "größer".as_bytes()),
        NewEvent::new(1_500_000_000_001, content_type::BINARY, []),
        NewEvent {
            encryption_type: 1,
            key_id: (0..32).collect(),
            ..NewEvent::new(1_500_000_000_001, content_type::JSON, [0xff; 20])
        },
        NewEvent { key_id: vec![7], ..NewEvent::new(1_500_000_009_999, content_type::BINARY, [0; 300]) },
        NewEvent::new(1_500_000_010_000, content_type::TEXT, b"last"),
    ];
    let batches = [
        ("the first batch of a lane, one event", sign(&mut lane, single)),
        ("the next batch of that lane, five events", sign(&mut lane, several)),
        ("the first batch of a lane that continues that lane", {
            let mut next =
                LaneWriter::new(slot(7), key().address(), u64::MAX, [0xab; 16], lane.head(), SECP256K1);
            sign(&mut next, vec![NewEvent::new(u64::MAX, content_type::BINARY, b"the end of time"); 2])
        }),
        ("keyed hash, for simulation", {
            let mut simulated =
                LaneWriter::new(slot(u32::MAX), Address([0x51; 20]), 0, [0; 16], Hash::ZERO, KEYED_HASH);
            sign(&mut simulated, vec![NewEvent::new(0, content_type::BINARY, []); 3])
        }),
        ("signed by a session key", {
            let mut lane = session_lane();
            sign(&mut lane, vec![NewEvent::new(1_500_000_000_000, content_type::JSON, b"{}"); 2])
        }),
    ];
    let partition_keys: Vec<Value> = ["", "sensor-17", "größer"]
        .iter()
        .flat_map(|key| {
            [1, 10, 1024].map(|count| {
                let partition = partition_of_key(key.as_bytes(), count);
                json!({ "key": hex(key.as_bytes()), "count": count, "partition": partition })
            })
        })
        .collect();
    json!({
        "about": "See README.md beside this file.",
        "chain_id": CHAIN_ID.to_string(),
        "secret_key": SECRET_KEY,
        "session_key": SESSION_KEY,
        "batches": batches.iter().map(|(name, batch)| describe(name, batch)).collect::<Vec<_>>(),
        "partition_keys": partition_keys,
    })
}

/// A lane in which the session key signs for the other.
fn session_lane() -> LaneWriter {
    let session = Session {
        stream: slot(0).stream,
        origin: key().address(),
        key: session_key().address(),
        expiry_block: 3_600,
        signature_type: SECP256K1,
    };
    let signature = Signature::Secp256k1(key().sign_hash(&session.signing_hash(CHAIN_ID)));
    LaneWriter::new(slot(0), key().address(), 12, *b"weir in session!", Hash::ZERO, SECP256K1)
        .in_session(&session, session.certified(signature))
        .expect("the session is the lane's")
}

fn sign(lane: &mut LaneWriter, events: Vec<NewEvent>) -> Batch {
    let unsigned = lane.next_batch(events).expect("the events are within bounds");
    let hash = unsigned.signing_hash(CHAIN_ID);
    let signature = match unsigned.header().signature_type {
        SECP256K1 if unsigned.header().signer == session_key().address() => {
            Signature::Secp256k1(session_key().sign_hash(&hash))
        }
        SECP256K1 => Signature::Secp256k1(key().sign_hash(&hash)),
        _ => keyed_hash(&unsigned.header().signer, &hash),
    };
    unsigned.sign(signature).expect("the signature has the lane's type")
}

fn describe(name: &str, batch: &Batch) -> Value {
    let header = batch.header();
    let index = header.count - 1;
    let proof = batch.proof(index).expect("the last event exists");
    let domain = typed_data::domain_separator(CHAIN_ID, &Address(header.stream.0));
    let session = batch.certificate().map(|certificate| {
        let session = certificate.session(header);
        json!({
            "expiryBlock": session.expiry_block.to_string(),
            "signatureType": session.signature_type,
            "digest": session.digest().to_string(),
            "signingHash": session.signing_hash(CHAIN_ID).to_string(),
            "signature": hex(certificate.signature.as_bytes()),
        })
    });
    let mut vector = json!({
        "name": name,
        "header": {
            "version": header.version,
            "stream": header.stream.to_string(),
            "streamPartition": header.stream_partition,
            "originType": header.origin_type,
            "origin": header.origin.to_string(),
            "openingBlock": header.opening_block.to_string(),
            "nonce": hex(&header.nonce),
            "sequence": header.sequence.to_string(),
            "count": header.count,
            "volume": header.volume.to_string(),
            "firstTime": header.first_time_ms.to_string(),
            "lastTime": header.last_time_ms.to_string(),
            "previous": header.previous.to_string(),
            "root": header.root.to_string(),
            "signer": header.signer.to_string(),
            "certificate": header.certificate.to_string(),
            "signatureType": header.signature_type,
        },
        "events": batch.events().map(|event| json!({
            "sequence": event.sequence.to_string(),
            "timestamp": event.timestamp_ms.to_string(),
            "contentType": event.content_type,
            "encryptionType": event.encryption_type,
            "keyId": hex(event.key_id),
            "content": hex(event.content),
        })).collect::<Vec<_>>(),
        "lane": batch.lane().to_string(),
        "digest": batch.digest().to_string(),
        "domainSeparator": domain.to_string(),
        "signingHash": batch.signing_hash(CHAIN_ID).to_string(),
        "signature": hex(batch.signature().as_bytes()),
        "proof": {
            "index": proof.index,
            "count": proof.count,
            "event": hex(batch.event_bytes(index).expect("the last event exists")),
            "path": proof.path.iter().map(Hash::to_string).collect::<Vec<_>>(),
        },
        "bytes": hex(batch.bytes()),
    });
    if let Some(session) = session {
        vector["session"] = session;
    }
    vector
}

fn text_of(vectors: &Value) -> String {
    let mut text = serde_json::to_string_pretty(vectors).expect("a value is JSON");
    text.push('\n');
    text
}

#[test]
#[ignore = "writes vectors/batch.json: only for a deliberate change of the format"]
fn write_the_vectors() {
    std::fs::write(path(), text_of(&generate())).expect("the folder can be written");
}

#[test]
fn what_is_written_is_what_is_committed() {
    let committed = std::fs::read_to_string(path()).expect("vectors/batch.json is committed");
    assert_eq!(text_of(&generate()), committed);
}

#[test]
fn what_is_committed_reads_back_as_described() {
    let vectors = committed();
    let chain_id = number(&vectors["chain_id"]);
    let batches = vectors["batches"].as_array().expect("a list");
    assert_eq!(batches.len(), 5);
    for vector in batches {
        let name = vector["name"].as_str().expect("a name");
        let bytes: Arc<[u8]> = unhex(&vector["bytes"]).into();
        let expected = header_of(&vector["header"]);
        let batch = match expected.signature_type {
            SECP256K1 => verify::verify(bytes, chain_id, &Secp256k1Verifier),
            _ => verify::verify(bytes, chain_id, &KeyedHashVerifier),
        }
        .unwrap_or_else(|error| panic!("{name}: {error}"));

        assert_eq!(*batch.header(), expected, "{name}");
        assert_eq!(Header::decode(&batch.bytes()[..223]), Ok(expected), "{name}");
        assert_eq!(batch.lane(), LaneId(bytes_of(&vector["lane"])), "{name}");
        assert_eq!(batch.digest(), Hash(bytes_of(&vector["digest"])), "{name}");
        assert_eq!(expected.signing_hash(chain_id), Hash(bytes_of(&vector["signingHash"])), "{name}");
        assert_eq!(batch.signature().as_bytes(), unhex(&vector["signature"]), "{name}");
        let session = batch.certificate().map(|certificate| certificate.session(&expected));
        assert_eq!(session.is_some(), vector.get("session").is_some(), "{name}");
        if let Some(session) = session {
            let described = &vector["session"];
            assert_eq!(session.expiry_block, number(&described["expiryBlock"]), "{name}");
            assert_eq!(session.digest(), Hash(bytes_of(&described["digest"])), "{name}");
            assert_eq!(session.signing_hash(chain_id), Hash(bytes_of(&described["signingHash"])), "{name}");
        }
        assert_eq!(
            SignedHeader::decode(&batch.signed_header().encode()),
            Ok(*batch.signed_header()),
            "{name}"
        );

        let events = vector["events"].as_array().expect("a list");
        assert_eq!(batch.events().len(), events.len(), "{name}");
        for (event, described) in batch.events().zip(events) {
            assert_eq!(event.sequence, number(&described["sequence"]), "{name}");
            assert_eq!(event.timestamp_ms, number(&described["timestamp"]), "{name}");
            assert_eq!(Some(u64::from(event.content_type)), described["contentType"].as_u64(), "{name}");
            assert_eq!(
                Some(u64::from(event.encryption_type)),
                described["encryptionType"].as_u64(),
                "{name}"
            );
            assert_eq!(event.key_id, unhex(&described["keyId"]), "{name}");
            assert_eq!(event.content, unhex(&described["content"]), "{name}");
        }

        let proof = proof_of(&vector["proof"]);
        let encoded = unhex(&vector["proof"]["event"]);
        let event = verify::verify_event(&expected, &encoded, &proof).expect("the proof holds");
        assert_eq!(Some(event), batch.event(proof.index), "{name}");
        let wrong_place = MerkleProof { index: proof.index ^ 1, ..proof };
        assert!(verify::verify_event(&expected, &encoded, &wrong_place).is_err(), "{name}");
    }
}

#[test]
fn partition_keys_go_where_committed() {
    for vector in committed()["partition_keys"].as_array().expect("a list") {
        let count = vector["count"].as_u64().expect("a number") as u32;
        let partition = partition_of_key(&unhex(&vector["key"]), count);
        assert_eq!(vector["partition"].as_u64(), Some(u64::from(partition)), "{vector}");
    }
}

fn header_of(fields: &Value) -> Header {
    let small = |name: &str| fields[name].as_u64().expect("a number");
    Header {
        version: small("version") as u8,
        stream: StreamId(bytes_of(&fields["stream"])),
        stream_partition: small("streamPartition") as u32,
        origin_type: small("originType") as u8,
        origin: Address(bytes_of(&fields["origin"])),
        opening_block: number(&fields["openingBlock"]),
        nonce: bytes_of(&fields["nonce"]),
        sequence: number(&fields["sequence"]),
        count: small("count") as u32,
        volume: number(&fields["volume"]),
        first_time_ms: number(&fields["firstTime"]),
        last_time_ms: number(&fields["lastTime"]),
        previous: Hash(bytes_of(&fields["previous"])),
        root: Hash(bytes_of(&fields["root"])),
        signer: Address(bytes_of(&fields["signer"])),
        certificate: Hash(bytes_of(&fields["certificate"])),
        signature_type: small("signatureType") as u8,
    }
}

fn proof_of(fields: &Value) -> MerkleProof {
    MerkleProof {
        index: fields["index"].as_u64().expect("a number") as u32,
        count: fields["count"].as_u64().expect("a number") as u32,
        path: fields["path"].as_array().expect("a list").iter().map(|hash| Hash(bytes_of(hash))).collect(),
    }
}
