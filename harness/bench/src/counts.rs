//! The committed counts: a line for each profile and piece of work.

use std::collections::BTreeMap;
use std::fmt::Write;

/// How much more than the file says is let through, as a fraction: what layout and small edits elsewhere make.
pub const TOLERANCE: f64 = 0.03;

/// The profile that this was compiled with.
pub const PROFILE: &str = if cfg!(debug_assertions) { "dev" } else { "release" };

const HEADER: &str = "\
# Instructions of fixed pieces of work, by profile: see harness/bench/src/lib.rs.
# Written by: cargo run -p weir-bench [--release] -- --write
";

/// Instructions by profile and name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts(BTreeMap<(String, String), u64>);

/// How a piece of work compares with the file.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Verdict {
    /// The file does not have it.
    New,
    /// About what the file says: by this fraction more.
    Same(f64),
    /// Fewer by more than the tolerance.
    Better(f64),
    /// More by more than the tolerance.
    Worse(f64),
}

impl Counts {
    /// Reads the file's text.
    ///
    /// # Errors
    ///
    /// The line that is none, in words.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut counts = Self::default();
        for line in text.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty()) {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let [profile, name, count] = fields[..] else {
                return Err(format!("{line:?}: a line is a profile, a name and a count"));
            };
            let count = count.parse().map_err(|error| format!("{line:?}: {error}"))?;
            counts.set(profile, name, count);
        }
        Ok(counts)
    }

    /// The file's text.
    pub fn text(&self) -> String {
        let mut text = HEADER.to_owned();
        for ((profile, name), count) in &self.0 {
            writeln!(text, "{profile:<8} {name:<20} {count:>12}").expect("text takes everything");
        }
        text
    }

    /// Takes a count.
    pub fn set(&mut self, profile: &str, name: &str, count: u64) {
        self.0.insert((profile.into(), name.into()), count);
    }

    /// Forgets a profile's counts: pieces of work that are gone leave the file so.
    pub fn forget(&mut self, profile: &str) {
        self.0.retain(|(of, _), _| of != profile);
    }

    /// A count.
    pub fn get(&self, profile: &str, name: &str) -> Option<u64> {
        self.0.get(&(profile.into(), name.into())).copied()
    }

    /// Compares a count with that of the file.
    pub fn compare(&self, profile: &str, name: &str, count: u64) -> Verdict {
        let Some(known) = self.get(profile, name).filter(|known| *known > 0) else { return Verdict::New };
        let more = count as f64 / known as f64 - 1.0;
        match more {
            _ if more > TOLERANCE => Verdict::Worse(more),
            _ if more < -TOLERANCE => Verdict::Better(more),
            _ => Verdict::Same(more),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let mut counts = Counts::default();
        counts.set("dev", "a", 1);
        counts.set("release", "b.c", 2_000_000);
        assert_eq!(Counts::parse(&counts.text()), Ok(counts.clone()));
        counts.forget("dev");
        assert_eq!((counts.get("dev", "a"), counts.get("release", "b.c")), (None, Some(2_000_000)));
        for wrong in ["dev a", "dev a b", "dev a 1 2"] {
            assert!(Counts::parse(wrong).is_err_and(|error| error.contains(wrong)), "{wrong}");
        }
    }

    #[test]
    fn more_than_the_tolerance_is_worse() {
        let mut counts = Counts::default();
        counts.set("dev", "a", 1_000);
        let verdict = |count| counts.compare("dev", "a", count);
        assert!(matches!(verdict(1_031), Verdict::Worse(more) if more > 0.03));
        assert!(matches!(verdict(1_029), Verdict::Same(_)) && matches!(verdict(971), Verdict::Same(_)));
        assert!(matches!(verdict(900), Verdict::Better(_)));
        assert_eq!(counts.compare("release", "a", 1), Verdict::New);
    }
}
