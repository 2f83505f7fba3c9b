//! Frames: any bytes are refused by name or accepted; what was accepted is the same message when sent on.

use std::sync::Arc;

use weir_kernel::broker::Message;
use weir_kernel::ids::Address;
use weir_kernel::signature::KeyedReportVerifier;
use weir_kernel::wire::{FRAME_VERSION, FrameError, decode, encode};

use crate::verifier::DOMAIN;

/// The peer that a frame comes from: reports in the corpus are signed by it.
pub const SENDER: Address = Address([0xB0; 20]);

/// Any bytes as a frame from [`SENDER`].
pub fn frame(data: &[u8]) {
    let received = match decode(data, SENDER, DOMAIN, &KeyedReportVerifier) {
        Ok(received) => received,
        Err(error) => return check_error(data, &error),
    };
    // The codec tells lengths in more than one way; only what encode writes is canonical.
    let ((message, attached), _): ((Message, Vec<Vec<u8>>), usize) =
        bincode::decode_from_slice(&data[1..], bincode::config::standard()).expect("it was just decoded");
    assert_eq!(received.message(), &message);
    let attached: Vec<Arc<[u8]>> = attached.into_iter().map(Arc::from).collect();
    let again = encode(&message, &attached);
    assert!(again.len() <= data.len(), "what is written is the shortest encoding");
    let twice =
        decode(&again, SENDER, DOMAIN, &KeyedReportVerifier).expect("what was accepted is accepted again");
    assert_eq!(twice.message(), &message, "a message comes back as it went");
    assert_eq!(encode(twice.message(), &attached), again, "encoding is stable");
}

fn check_error(data: &[u8], error: &FrameError) {
    assert!(!error.to_string().is_empty());
    match error {
        FrameError::Version(version) => assert_eq!(data.first(), version.as_ref()),
        _ => assert_eq!(data.first(), Some(&FRAME_VERSION), "only this version is looked into: {error}"),
    }
}
