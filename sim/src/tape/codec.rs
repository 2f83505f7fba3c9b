//! The binary form of tapes, and what can be wrong with a file.

use xxhash_rust::xxh3::xxh3_64;

use super::key::{Actor, MAX_NUMBER, Purpose, Role};
use super::{Decision, MADE_BY, Tape, text};
use crate::scenario::{Scenario, ScenarioError};

/// The format's version.
pub const FORMAT: u16 = 1;

const MAGIC: &[u8; 8] = b"WEIRTAPE";

/// Bytes of a tape at most; a longer one is a mistake, or a run that should be shorter.
pub const MAX_TAPE_BYTES: usize = 1 << 28;

/// Decisions of a tape at most.
pub const MAX_DECISIONS: usize = 1 << 24;

/// Bytes of a scenario or a name in a tape at most.
const MAX_TEXT_BYTES: usize = 1 << 24;

/// What is wrong with a tape's file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TapeError {
    /// It is no tape at all.
    #[error("this is not a tape: it begins neither with WEIRTAPE nor with \"weir tape\"")]
    Foreign,
    /// It is a tape of another format.
    #[error(
        "this tape has format {found} and this program reads format {FORMAT}: replay it with the weir that wrote it"
    )]
    OtherFormat {
        /// The format's version.
        found: u64,
    },
    /// It ends too soon.
    #[error("the tape ends at byte {at} in the middle of a record: the file was cut off, copy it again")]
    Truncated {
        /// Where it ends.
        at: usize,
    },
    /// Its bytes are not those that were written.
    #[error("the tape's checksum does not fit its bytes: the file is damaged, copy it again")]
    Damaged,
    /// It holds something that no tape holds.
    #[error("the tape is invalid at {place}: {what}")]
    Invalid {
        /// A byte of a binary tape, a line of a text.
        place: String,
        /// What is wrong.
        what: String,
    },
    /// It is longer than any tape.
    #[error("{what} is more than a tape may hold, which is {limit}")]
    TooLarge {
        /// What there is too much of.
        what: String,
        /// How much there may be.
        limit: usize,
    },
    /// Its scenario is none.
    #[error("the tape's scenario: {0}")]
    Scenario(#[from] ScenarioError),
}

impl Tape {
    /// The binary form.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        out.extend_from_slice(&FORMAT.to_be_bytes());
        put_bytes(&mut out, MADE_BY.as_bytes());
        put_bytes(&mut out, self.violates.as_deref().unwrap_or_default().as_bytes());
        out.extend_from_slice(&self.seed.to_be_bytes());
        put_bytes(&mut out, self.scenario.to_toml().as_bytes());
        let groups: Vec<&[Decision]> =
            self.decisions.chunk_by(|a, b| (a.actor, a.purpose) == (b.actor, b.purpose)).collect();
        put(&mut out, groups.len() as u64);
        for group in groups {
            put_group(&mut out, group);
        }
        let checksum = xxh3_64(&out);
        out.extend_from_slice(&checksum.to_be_bytes());
        out
    }

    /// Reads either form.
    ///
    /// # Errors
    ///
    /// [`TapeError`]: the file is foreign, of another format, cut off, damaged, too large, or says what no tape says.
    pub fn decode(bytes: &[u8]) -> Result<Self, TapeError> {
        if bytes.len() > MAX_TAPE_BYTES {
            let what = format!("a file of {} bytes", bytes.len());
            return Err(TapeError::TooLarge { what, limit: MAX_TAPE_BYTES });
        }
        if bytes.starts_with(text::FIRST_WORDS.as_bytes()) {
            return text::read(bytes);
        }
        if !bytes.starts_with(MAGIC) {
            return Err(TapeError::Foreign);
        }
        let mut reader = Reader { bytes, at: MAGIC.len() };
        let found = u16::from_be_bytes(reader.array()?);
        if found != FORMAT {
            return Err(TapeError::OtherFormat { found: u64::from(found) });
        }
        let tape = reader.tape();
        // What is cut off has no checksum; say so rather than that it is damaged.
        let body = bytes.len().saturating_sub(8);
        let is_whole = bytes[body..] == xxh3_64(&bytes[..body]).to_be_bytes();
        match tape {
            Err(error @ TapeError::Truncated { .. }) => Err(error),
            _ if !is_whole => Err(TapeError::Damaged),
            Ok(_) if reader.at != body => Err(reader.invalid("there is more after its end")),
            tape => tape,
        }
    }

    /// What a tape must hold beyond its form: an explicit scenario, and decisions in order.
    pub(super) fn checked(self) -> Result<Self, TapeError> {
        self.scenario.check()?;
        if self.scenario.explicit(self.seed) != self.scenario {
            let what = "its scenario has rates of faults, a tape's has the faults themselves".to_string();
            return Err(TapeError::Invalid { place: "scenario".into(), what });
        }
        Ok(self)
    }
}

fn put(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn put_group(out: &mut Vec<u8>, group: &[Decision]) {
    let first = group[0];
    let (kind, high, low) = match first.actor {
        Actor::Network => (0, 0, 0),
        Actor::Chain => (1, 0, 0),
        Actor::Node(number) => (2, 0, number),
        Actor::Link(from, to) => (3, from, to),
        Actor::Client(role, number) => (4, role as u32, number),
    };
    out.push(kind);
    put(out, u64::from(high));
    put(out, u64::from(low));
    out.push(first.purpose as u8);
    put(out, group.len() as u64);
    let mut before = 0;
    for decision in group {
        put(out, decision.ordinal - before);
        put(out, decision.value);
        before = decision.ordinal;
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn tape(&mut self) -> Result<Tape, TapeError> {
        self.text()?;
        let violates = self.text()?;
        let seed = u64::from_be_bytes(self.array()?);
        let scenario = Scenario::from_toml(self.text()?)?;
        let decisions = self.decisions()?;
        let violates = (!violates.is_empty()).then(|| violates.to_string());
        Tape { seed, scenario, violates, decisions }.checked()
    }

    fn decisions(&mut self) -> Result<Vec<Decision>, TapeError> {
        let groups = self.number()?;
        let mut decisions: Vec<Decision> = Vec::new();
        for _ in 0..groups {
            let actor = self.actor()?;
            let [purpose] = self.array()?;
            let purpose = Purpose::from_number(purpose)
                .ok_or_else(|| self.invalid(&format!("no purpose has number {purpose}")))?;
            let last = decisions.last().map(|decision| (decision.actor, decision.purpose));
            let count = self.number()? as usize;
            if last.is_some_and(|last| last >= (actor, purpose)) || count == 0 {
                return Err(self.invalid("groups are not in order, or empty"));
            }
            if decisions.len().saturating_add(count) > MAX_DECISIONS {
                return Err(TapeError::TooLarge { what: format!("{count} decisions"), limit: MAX_DECISIONS });
            }
            let mut ordinal = 0_u64;
            for number in 0..count {
                let more = self.number()?;
                let next = ordinal.checked_add(more).filter(|_| number == 0 || more > 0);
                ordinal = next.ok_or_else(|| self.invalid("ordinals do not rise"))?;
                decisions.push(Decision { actor, purpose, ordinal, value: self.number()? });
            }
        }
        Ok(decisions)
    }

    fn actor(&mut self) -> Result<Actor, TapeError> {
        let [kind] = self.array()?;
        let (high, low) = (self.number()?, self.number()?);
        let small = |number: u64| u32::try_from(number).ok().filter(|number| *number < MAX_NUMBER);
        let actor = match (kind, small(high), small(low)) {
            (0, Some(0), Some(0)) => Some(Actor::Network),
            (1, Some(0), Some(0)) => Some(Actor::Chain),
            (2, Some(0), Some(number)) => Some(Actor::Node(number)),
            (3, Some(from), Some(to)) => Some(Actor::Link(from, to)),
            (4, Some(role), Some(number)) => {
                Role::ALL.get(role as usize).map(|role| Actor::Client(*role, number))
            }
            _ => None,
        };
        actor.ok_or_else(|| self.invalid(&format!("{kind}, {high}, {low} is nobody")))
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], TapeError> {
        let end = self.at.checked_add(count).filter(|end| *end <= self.bytes.len());
        let end = end.ok_or(TapeError::Truncated { at: self.bytes.len() })?;
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], TapeError> {
        Ok(self.take(N)?.try_into().expect("as many as were asked for"))
    }

    fn number(&mut self) -> Result<u64, TapeError> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let [byte] = self.array()?;
            if shift == 63 && byte > 1 {
                break;
            }
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(self.invalid("a number has more than 64 bits"))
    }

    fn text(&mut self) -> Result<&'a str, TapeError> {
        let count = self.number()?;
        if count > MAX_TEXT_BYTES as u64 {
            return Err(TapeError::TooLarge {
                what: format!("a text of {count} bytes"),
                limit: MAX_TEXT_BYTES,
            });
        }
        let bytes = self.take(count as usize)?;
        std::str::from_utf8(bytes).map_err(|_| self.invalid("a text is not UTF-8"))
    }

    fn invalid(&self, what: &str) -> TapeError {
        TapeError::Invalid { place: format!("byte {}", self.at), what: what.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tape() -> Tape {
        let decision = |actor, purpose, ordinal, value| Decision { actor, purpose, ordinal, value };
        let publisher = Actor::Client(Role::Publisher, 1);
        Tape {
            seed: 7,
            scenario: Scenario { crash_interval_ms: 9_000, ..Scenario::rough(5) }.explicit(7),
            violates: Some("lane order".into()),
            decisions: vec![
                decision(Actor::Node(3), Purpose::Sync, 0, 5_000),
                decision(Actor::Node(3), Purpose::Sync, 700, 0),
                decision(Actor::Link(0, 3), Purpose::Loss, 12, 1),
                decision(publisher, Purpose::Publish, 4, 1 << 32 | 3 << 8),
                decision(publisher, Purpose::Payload, 4, u64::MAX),
            ],
        }
    }

    #[test]
    fn both_forms_go_there_and_back() {
        let tape = tape();
        assert_eq!(Tape::decode(&tape.encode()), Ok(tape.clone()));
        assert_eq!(Tape::decode(tape.to_text().as_bytes()), Ok(tape));
    }

    #[test]
    fn truncated_foreign_damaged_and_other_tapes_are_told_apart() {
        let bytes = tape().encode();
        for end in 10..bytes.len() - 8 {
            let error = Tape::decode(&bytes[..end]).unwrap_err();
            assert!(matches!(error, TapeError::Truncated { .. } | TapeError::Damaged), "{end}: {error}");
        }
        for at in 10..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x20;
            assert!(Tape::decode(&damaged).is_err(), "byte {at}");
        }
        let mut later = bytes.clone();
        later[9] = 2;
        assert_eq!(Tape::decode(&later), Err(TapeError::OtherFormat { found: 2 }));
        assert_eq!(Tape::decode(b"PNG"), Err(TapeError::Foreign));
        assert_eq!(Tape::decode(b""), Err(TapeError::Foreign));
    }

    #[test]
    fn rates_in_a_tape_are_refused() {
        let rates = Tape { scenario: Scenario { cut_interval_ms: 900, ..Scenario::calm(4) }, ..tape() };
        assert!(matches!(Tape::decode(&rates.encode()), Err(TapeError::Invalid { .. })));
    }
}
