//! What a node answers to a batch: an acknowledgement or a refusal, as one JSON text each.

use serde::Deserialize;
use weir_kernel::broker::Level;
use weir_kernel::ids::LaneId;

/// An answer to a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The batch has reached a level.
    Acknowledged { lane: LaneId, sequence: u64, level: Level },
    /// The batch is refused; without lane and sequence the refusal is about the connection or an unreadable
    /// message.
    Refused { batch: Option<(LaneId, u64)>, code: String, reason: String },
}

#[derive(Deserialize)]
struct Text {
    #[serde(rename = "type")]
    kind: String,
    level: Option<String>,
    lane: Option<String>,
    sequence: Option<u64>,
    #[serde(default)]
    code: String,
    #[serde(default)]
    reason: String,
}

/// Reads an answer; `None` for texts of another kind, which later nodes may send.
pub(crate) fn read(text: &str) -> Option<Answer> {
    let text: Text = serde_json::from_str(text).ok()?;
    let batch = match (text.lane.as_deref().and_then(|lane| lane.parse().ok()), text.sequence) {
        (Some(lane), Some(sequence)) => Some((lane, sequence)),
        _ => None,
    };
    match text.kind.as_str() {
        "ack" => {
            let (lane, sequence) = batch?;
            let level = Level::of_name(text.level.as_deref()?)?;
            Some(Answer::Acknowledged { lane, sequence, level })
        }
        "refused" => Some(Answer::Refused { batch, code: text.code, reason: text.reason }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_and_other_texts_passed_over() {
        let lane = LaneId([0xab; 32]);
        let ack = format!(
            r#"{{"type":"ack","level":"stored","lane":"{lane}","sequence":7,"count":2,"partition":0,"publisherId":"0x"}}"#
        );
        assert_eq!(read(&ack), Some(Answer::Acknowledged { lane, sequence: 7, level: Level::Stored }));
        let refused = format!(
            r#"{{"type":"refused","code":"invalid","reason":"too big","lane":"{lane}","sequence":9}}"#
        );
        assert_eq!(
            read(&refused),
            Some(Answer::Refused {
                batch: Some((lane, 9)),
                code: "invalid".into(),
                reason: "too big".into()
            })
        );
        let unnamed = read(r#"{"type":"refused","code":"invalid","reason":"not a batch"}"#);
        assert!(matches!(unnamed, Some(Answer::Refused { batch: None, .. })));
        for text in ["pong", "{}", r#"{"type":"news"}"#, r#"{"type":"ack","level":"engraved"}"#] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn levels_have_names() {
        for level in [Level::Accepted, Level::Stored, Level::Sealed] {
            assert_eq!(Level::of_name(level.as_str()), Some(level));
        }
        assert_eq!(Level::of_name("written"), None);
    }
}
