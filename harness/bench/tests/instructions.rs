//! Fails if a piece of work takes more instructions than the committed file says, beyond the tolerance.

use std::path::Path;

use weir_bench::counts::{Counts, PROFILE, TOLERANCE, Verdict};
use weir_bench::{valgrind, work};

#[test]
#[cfg_attr(not(valgrind), ignore = "valgrind is not installed: instructions cannot be counted")]
fn no_work_takes_more_instructions_than_before() {
    let text = include_str!("../instructions.txt");
    let known = Counts::parse(text).expect("the committed counts");
    let program = Path::new(env!("CARGO_BIN_EXE_weir-bench"));
    let mut findings = Vec::new();
    for (name, _) in work::ALL {
        let count = valgrind::count(program, name).expect("it is counted");
        match known.compare(PROFILE, name, count) {
            Verdict::New => findings.push(format!("{name} is not in the file")),
            Verdict::Worse(more) => findings.push(format!("{name}: {count}, {:.1} % more", more * 100.0)),
            Verdict::Better(more) => eprintln!("{name}: {count}, {:.1} % fewer", more * -100.0),
            Verdict::Same(_) => {}
        }
    }
    assert!(
        findings.is_empty(),
        "more instructions than instructions.txt says, beyond {} %, or new:\n{}\nIf that is as it should be: cargo run \
         -p weir-bench -- --write (with --release for the other profile), and commit the file",
        TOLERANCE * 100.0,
        findings.join("\n")
    );
}
