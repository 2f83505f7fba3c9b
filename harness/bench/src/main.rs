//! Counts the pieces of work of [`weir_bench`]: see there.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use weir_bench::counts::{Counts, PROFILE, Verdict};
use weir_bench::{valgrind, work};

const USAGE: &str = "usage: weir-bench [--write]   counts every piece of work; --write keeps the counts";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match arguments[..] {
        // What this program starts under valgrind.
        ["work", name] => work::run(name).then_some(()).ok_or_else(|| format!("there is no work {name}")),
        [] => count(false),
        ["--write"] => count(true),
        _ => Err(USAGE.into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("weir-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn count(write: bool) -> Result<(), String> {
    let path: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("instructions.txt");
    let known = std::fs::read_to_string(&path).unwrap_or_default();
    let mut counts = Counts::parse(&known)?;
    let before = counts.clone();
    let program = std::env::current_exe().map_err(|error| format!("this program is not found: {error}"))?;
    if write {
        counts.forget(PROFILE);
    }
    for (name, _) in work::ALL {
        let count = valgrind::count(&program, name)?;
        let verdict = match before.compare(PROFILE, name, count) {
            Verdict::New => "new".into(),
            Verdict::Same(more) | Verdict::Better(more) | Verdict::Worse(more) => {
                format!("{:+.1} %", more * 100.0)
            }
        };
        println!("{PROFILE:<8} {name:<20} {count:>12}  {verdict}");
        counts.set(PROFILE, name, count);
    }
    if write {
        std::fs::write(&path, counts.text()).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(())
}
