//! The economy as a user meets it: publishing is paid for, brokers earn and claim, no token is lost.

mod support;

use serde_json::Value;
use support::Network;

const EARTHQUAKES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../node/data/earthquakes.jsonl");

/// An amount of the status.
fn amount(value: &Value) -> u128 {
    value.as_str().and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("an amount: {value}"))
}

/// Publishes the earthquakes and gives the report.
fn publish(network: &Network, stream: &str, more: &[&str]) -> Value {
    let arguments =
        ["publish", stream, "--file", EARTHQUAKES, "--timestamp-field", "properties.time", "--json"];
    let output = network.weir(&[&arguments[..], more].concat());
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let last = text.lines().last().unwrap_or_else(|| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    serde_json::from_str(last).expect("the last line is JSON")
}

/// Every token is somewhere, and nobody's books say more than there is.
fn check_books(status: &Value) {
    let funds = &status["economy"]["coordinator"];
    let held: u128 = ["stakes", "pool", "unpaid", "reserve"].iter().map(|name| amount(&funds[name])).sum();
    assert_eq!(held, amount(&funds["balance"]), "{funds}");
    let fees = &status["economy"]["fees"];
    let allotments = fees["allotments"].as_array().expect("allotments");
    let allotted: u128 = allotments.iter().map(|allotment| amount(&allotment["amount"])).sum();
    assert_eq!(allotted, amount(&fees["deposits"]), "{fees}");
    for broker in status["brokers"].as_array().expect("brokers") {
        let settled = amount(&broker["accrued"]) + amount(&broker["claimed"]);
        assert!(amount(&broker["earned"]) >= settled, "{broker}");
    }
}

#[test]
fn publishers_pay_brokers_claim_and_no_token_is_lost() {
    let network = Network::start(&["--block-ms", "100", "--epoch-blocks", "8", "--no-samples"]);
    let before = network.status();
    let stream = network.create_stream("paid", 1);
    let report = publish(&network, &stream, &[]);
    assert_eq!((&report["stored"], &report["refused"]), (&200.into(), &0.into()), "{report}");

    let settled = network.wait_for("settlement", |status| status["economy"]["fees"]["settled"] != "0");
    let claimed = network.wait_for("claim by every broker", |status| {
        status["brokers"].as_array().is_some_and(|all| all.iter().all(|broker| broker["claimed"] != "0"))
    });
    for status in [&before, &settled, &claimed] {
        assert_eq!(status["supply"], before["supply"], "tokens are conserved");
        check_books(status);
    }
    let fees = &claimed["economy"]["fees"];
    let (paid, burned) = (amount(&fees["settled"]), amount(&fees["burned"]));
    assert!(burned > 0 && burned < paid / 10, "{fees}");
    let allotment = &fees["allotments"][0];
    assert_eq!(allotment["stream"], stream.as_str());
    assert_eq!(amount(&allotment["amount"]) + paid, 100 * 10u128.pow(18), "{allotment}");
    assert!(amount(&allotment["karma"]) > 0 && amount(&allotment["karma"]) <= paid, "{allotment}");

    let text = network.lines(&["status"]).join("\n");
    for part in ["TICKETS", "CLAIMED", "DATA settled over", "coordinator holds stakes", &stream] {
        assert!(text.contains(part), "{part} in\n{text}");
    }
}

#[test]
fn who_allotted_nothing_is_told_what_to_do_and_then_gets_it_back() {
    let network = Network::start(&["--block-ms", "100", "--epoch-blocks", "8", "--no-samples"]);
    let key = network.scratch("alice.key");
    let key = key.to_str().expect("UTF-8");
    let alice = network.lines(&["key", "new", key]).concat();
    network.lines(&["key", "fund", "--key", key]);
    let stream = network.create_stream("granted", 1);
    network.lines(&["stream", "grant", &stream, &alice, "--publish", "--subscribe"]);

    let output = network.weir(&[
        "publish",
        &stream,
        "--file",
        EARTHQUAKES,
        "--timestamp-field",
        "properties.time",
        "--key",
        key,
    ]);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success(), "200 events are more than what is free");
    for part in ["payment-required", "weir fees allot", &stream] {
        assert!(told.contains(part), "{part} in\n{told}");
    }

    network.lines(&["fees", "allot", &stream, "2.5", "--key", key]);
    let report = publish(&network, &stream, &["--key", key]);
    assert_eq!((&report["stored"], &report["refused"]), (&200.into(), &0.into()), "{report}");
    let shown = network.lines(&["fees", "show", &stream, "--key", key]).join("\n");
    assert!(shown.contains(&alice) && shown.contains("20 events"), "{shown}");

    let asked = network.lines(&["fees", "withdraw", &stream, "--key", key]).concat();
    assert!(asked.contains("asked back"), "{asked}");
    let of_alice = |status: &Value| {
        let allotments = status["economy"]["fees"]["allotments"].as_array().expect("allotments").clone();
        allotments.into_iter().find(|allotment| allotment["publisher"] == alice.as_str()).expect("hers")
    };
    let status = network.wait_for("notice", |status| {
        status["chain"]["epoch"].as_u64() > of_alice(status)["withdrawableEpoch"].as_u64()
    });
    assert!(amount(&of_alice(&status)["amount"]) < 25 * 10u128.pow(17), "settled before it leaves: {status}");
    let taken = network.lines(&["fees", "withdraw", &stream, "--key", key]).concat();
    assert!(taken.contains("taken back"), "{taken}");
    let status = network.wait_for("empty allotment", |status| of_alice(status)["amount"] == "0");
    check_books(&status);
    let none = network.weir(&["fees", "withdraw", &stream, "--key", key]);
    assert!(!none.status.success() && String::from_utf8_lossy(&none.stderr).contains("weir fees show"));
}
