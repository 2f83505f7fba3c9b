//! Signed headers: canonical bytes, and the same header through the frame codec.

use weir_kernel::batch::SignedHeader;
use weir_kernel::wire::{decode_row, encode_row};

/// Any bytes as a signed header.
pub fn signed_header(data: &[u8]) {
    if let Ok(signed) = SignedHeader::decode(data) {
        assert_eq!(signed.encode(), data, "a signed header has one encoding");
        assert_eq!(signed.check(), Ok(()), "a decoded header obeys the rules");
        assert_eq!(signed.header.lane(), signed.header.lane());
        assert!(signed.header.next_sequence() > signed.header.sequence, "a batch has events, and they fit");
        assert_eq!(decode_row::<SignedHeader>(&encode_row(&signed)), Some(signed));
    }
    if let Some(signed) = decode_row::<SignedHeader>(data) {
        assert_eq!(SignedHeader::decode(&signed.encode()), Ok(signed), "the canonical bytes hold it too");
    }
}
