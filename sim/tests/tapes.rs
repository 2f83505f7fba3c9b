//! A run's tape repeats it, a tape with records taken out is still a run, and where two runs part is named.

use weir_kernel::rules::{Bug, Rules};
use weir_sim::audit::{Audit, AuditLevel};
use weir_sim::tape::{Actor, Purpose, Role};
use weir_sim::{Options, Outcome, Scenario, Source, Tape, replay, run, simulate};

fn short(scenario: Scenario) -> Scenario {
    Scenario { duration_ms: 60_000, heal_ms: 20_000, ..scenario }
}

fn eventful() -> Scenario {
    short(Scenario { crash_interval_ms: 5_000, cut_interval_ms: 9_000, forks: 1, ..Scenario::rough(5) })
}

fn recorded(seed: u64, scenario: &Scenario) -> Outcome {
    simulate(Source::Seed(seed, scenario), Options { record: true, ..Options::default() })
}

#[test]
fn a_tape_repeats_its_run_in_both_forms() {
    for (seed, scenario) in [(1, eventful()), (2, short(Scenario::swarm(2))), (3, short(Scenario::harsh(3)))]
    {
        let Outcome { report, tape, .. } = recorded(seed, &scenario);
        let tape = tape.unwrap();
        assert_eq!(report, run(seed, &scenario), "recording changes nothing");
        let binary = tape.encode();
        println!("{} decisions, {} bytes, {} frames", tape.decisions.len(), binary.len(), report.frames);
        for form in [binary, tape.to_text().into_bytes()] {
            let again = Tape::decode(&form).unwrap();
            assert_eq!(again, tape);
            assert_eq!(replay(&again, Rules::sound()).report, report);
        }
    }
}

/// Whatever is taken out, the rest decides as it did, and the network keeps its promises.
#[test]
fn a_tape_with_records_taken_out_is_still_a_run() {
    let whole = recorded(4, &eventful()).tape.unwrap();
    let without = |keep: &dyn Fn(Actor, Purpose) -> bool| {
        let decisions = whole.decisions.iter().copied().filter(|d| keep(d.actor, d.purpose)).collect();
        let tape = Tape { decisions, ..whole.clone() };
        let report = replay(&tape, Rules::sound()).report;
        assert_eq!(report.violations, [], "{report}");
        report
    };
    let all = without(&|_, _| true);
    assert!(all.published_events > 0 && all.faults["crash"] > 0 && all.faults["cut"] > 0);
    let timeless = without(&|_, purpose| purpose != Purpose::Delay);
    assert!(timeless.published_events > 0 && timeless.digest != all.digest);
    let one = Actor::Client(Role::Publisher, 0);
    let fewer = without(&|actor, _| actor != one);
    assert!(fewer.published_events > 0 && fewer.published_events < all.published_events);
    assert_eq!(without(&|_, _| false).published_events, 0, "without a record nothing is published");
}

/// Streams are split: what one client publishes does not depend on whether another is there.
#[test]
fn a_client_or_a_broker_that_is_gone_leaves_the_decisions_of_others() {
    let scenario = eventful();
    let all = recorded(5, &scenario).tape.unwrap();
    let gone = [Actor::Client(Role::Publisher, 1), Actor::Client(Role::Subscriber, 0), Actor::Node(4)];
    let without = Scenario { without: gone.to_vec(), ..scenario };
    let fewer = recorded(5, &without).tape.unwrap();
    assert_eq!(fewer.scenario.faults, all.scenario.faults);
    let value = |tape: &Tape, of: (Actor, Purpose, u64)| {
        tape.decisions.iter().find(|d| (d.actor, d.purpose, d.ordinal) == of).map(|d| d.value)
    };
    let mut compared = 0;
    for decision in &fewer.decisions {
        assert!(!gone.contains(&decision.actor), "{decision:?}");
        if let Some(before) = value(&all, (decision.actor, decision.purpose, decision.ordinal)) {
            assert_eq!(before, decision.value, "{decision:?}");
            compared += 1;
        }
    }
    assert!(compared * 2 > fewer.decisions.len(), "{compared} of {} are the same", fewer.decisions.len());
}

/// Two runs of one tape under different rules stand for two programs that should be the same and are not.
#[test]
fn the_first_step_that_differs_is_named() {
    let tape = recorded(6, &eventful()).tape.unwrap();
    let audit = |rules: Rules| {
        let tape = &tape;
        move |audit: AuditLevel| -> Audit {
            simulate(Source::Tape(tape), Options { audit, rules, ..Options::default() }).audit
        }
    };
    assert_eq!(Audit::bisect(audit(Rules::sound()), audit(Rules::sound())), None);
    let wrong = Rules::with(Bug::AcknowledgesBeforeWrite);
    let found = Audit::bisect(audit(Rules::sound()), audit(wrong)).expect("acknowledgements come sooner");
    println!("{found}");
    // Every step of every node before that is the same, and that one is not.
    let every = [Rules::sound(), wrong].map(|rules| audit(rules)(AuditLevel::Every(1)));
    let first = every[0].first_difference(&every[1]).unwrap();
    assert_eq!(found, first);
}
