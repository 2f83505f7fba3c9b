//! Counting one function's instructions with callgrind.

use std::path::Path;
use std::process::Command;

/// Runs `program work NAME` under callgrind and gives the instructions of the function that counts, which
/// [`crate::work`] names.
///
/// # Errors
///
/// Valgrind is missing or failed, or nothing was counted: in words.
pub fn count(program: &Path, name: &str) -> Result<u64, String> {
    let directory = tempfile::tempdir().map_err(|error| format!("no directory for valgrind: {error}"))?;
    let out = directory.path().join("callgrind.out");
    let output = Command::new("valgrind")
        .arg("--tool=callgrind")
        .arg("--collect-atstart=no")
        .arg("--toggle-collect=*counted*")
        .arg(format!("--callgrind-out-file={}", out.display()))
        .arg(program)
        .args(["work", name])
        .output()
        .map_err(|error| format!("valgrind cannot be started: {error}; install it"))?;
    if !output.status.success() {
        return Err(format!("{name} under valgrind: {}", String::from_utf8_lossy(&output.stderr)));
    }
    let text = std::fs::read_to_string(&out).map_err(|error| format!("{}: {error}", out.display()))?;
    total(&text).ok_or_else(|| format!("valgrind counted nothing of {name}: was its function inlined?"))
}

/// The total that a file of callgrind ends with.
fn total(text: &str) -> Option<u64> {
    let total = text.lines().rev().find_map(|line| line.strip_prefix("totals: "))?;
    total.trim().parse().ok().filter(|count| *count > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_is_the_last_one() {
        assert_eq!(total("events: Ir\nsummary: 7\ntotals: 12\n\ntotals: 34\n"), Some(34));
        assert_eq!((total("totals: 0\n"), total("summary: 7\n")), (None, None));
    }
}
