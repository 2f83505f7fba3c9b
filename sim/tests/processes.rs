//! One tape has one digest, in whatever process and environment it is run.

use std::process::Command;

use weir_kernel::rules::Rules;
use weir_sim::{Options, Scenario, Source, Tape, replay, simulate};

/// Says to a copy of this program which tape to run.
const TAPE: &str = "WEIR_SIM_TEST_TAPE";

fn scenario() -> Scenario {
    let swarm = Scenario { crash_interval_ms: 6_000, forks: 1, ..Scenario::swarm(8) };
    Scenario { duration_ms: 60_000, heal_ms: 20_000, ..swarm }
}

#[test]
fn processes_with_other_environments_agree() {
    if let Some(path) = std::env::var_os(TAPE) {
        let tape = Tape::decode(&std::fs::read(path).unwrap()).unwrap();
        println!("digest {:032x}", replay(&tape, Rules::sound()).report.digest);
        return;
    }
    let scenario = scenario();
    let recording = Options { record: true, ..Options::default() };
    let outcome = simulate(Source::Seed(8, &scenario), recording);
    let path = std::env::temp_dir().join(format!("weir-sim-{}.tape", std::process::id()));
    std::fs::write(&path, outcome.tape.unwrap().encode()).unwrap();
    let expected = format!("digest {:032x}", outcome.report.digest);
    let environments: [&[(&str, &str)]; 3] = [
        &[],
        &[("TZ", "Asia/Kathmandu"), ("LANG", "tr_TR.UTF-8")],
        &[("RUST_TEST_THREADS", "1"), ("HOME", "/")],
    ];
    for environment in environments {
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", "processes_with_other_environments_agree", "--nocapture"]);
        // A longer environment moves the stack, so addresses differ too.
        let padding = "x".repeat(10_000 * environment.len());
        child.env(TAPE, &path).env("PADDING", padding).envs(environment.iter().copied());
        let output = String::from_utf8(child.output().unwrap().stdout).unwrap();
        assert!(output.contains(&expected), "{expected} was expected of {environment:?}:\n{output}");
    }
    std::fs::remove_file(path).unwrap();
}
