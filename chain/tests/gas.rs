//! What each public function costs, against a committed table: a change shows in review; and against its budgets.
//!
//! Run with `WEIR_UPDATE_GAS=1` to write the table again.

use weir_chain::gas;

#[test]
fn every_function_costs_what_the_table_says() {
    let measured = gas::text(&gas::rows());
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/gas.txt");
    if std::env::var_os("WEIR_UPDATE_GAS").is_some() {
        std::fs::write(path, &measured).unwrap();
    }
    let committed = std::fs::read_to_string(path).expect("tests/gas.txt: write it with WEIR_UPDATE_GAS=1");
    assert_eq!(committed, measured, "gas changed: see whether it should, then run with WEIR_UPDATE_GAS=1");
}

#[test]
fn budgets_hold() {
    let rows = gas::budgets();
    let gas_of =
        |name| rows.iter().find(|row| row.name == name).map(|row| row.gas).expect("a row of its own");
    for (name, budget) in [
        ("gas.seal.single", gas::SEAL_SINGLE),
        ("gas.seal.shared30", gas::SEAL_SHARED),
        ("gas.seat", gas::SEAT),
    ] {
        assert!(gas_of(name) <= budget, "{name} costs {}, more than {budget}", gas_of(name));
    }
}
