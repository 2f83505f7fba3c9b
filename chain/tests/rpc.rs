//! JSON-RPC: the shapes that Ethereum tools expect, and errors with the right codes.

mod common;

use alloy_primitives::{Bytes, TxKind, U256, hex};
use common::{Network, params, wallet};
use serde_json::{Value, json};
use weir_chain::calldata;
use weir_chain::mirror::Mirror;
use weir_chain::rpc::handle;
use weir_chain::wallet::Account;

fn ask(mirror: &mut Mirror, method: &str, params: Value) -> Value {
    let answer =
        handle(mirror, &json!({ "jsonrpc": "2.0", "id": 7, "method": method, "params": params })).unwrap();
    assert_eq!((&answer["jsonrpc"], &answer["id"]), (&json!("2.0"), &json!(7)));
    assert!(answer.get("error").is_none(), "{method}: {answer}");
    answer["result"].clone()
}

fn fail(mirror: &mut Mirror, method: &str, params: Value) -> Value {
    let answer =
        handle(mirror, &json!({ "jsonrpc": "2.0", "id": 7, "method": method, "params": params })).unwrap();
    assert!(answer.get("result").is_none(), "{method}: {answer}");
    answer["error"].clone()
}

#[test]
fn the_chain_introduces_itself() {
    let mut network = Network::new(params());
    let mirror = &mut network.mirror;
    let height = mirror.height();
    assert!(ask(mirror, "web3_clientVersion", json!([])).as_str().unwrap().starts_with("weir/"));
    assert_eq!(ask(mirror, "net_version", json!([])), "31337");
    assert_eq!(ask(mirror, "eth_chainId", json!([])), "0x7a69");
    assert_eq!(ask(mirror, "eth_blockNumber", Value::Null), format!("{height:#x}"));
    assert_eq!(ask(mirror, "eth_syncing", json!([])), false);
    assert_eq!(ask(mirror, "eth_accounts", json!([])), json!([]));
    assert_eq!(ask(mirror, "eth_gasPrice", json!([])), "0x3b9aca00");
    assert_eq!(ask(mirror, "eth_maxPriorityFeePerGas", json!([])), "0x0");
    let history = ask(mirror, "eth_feeHistory", json!(["0x2", "latest", [25, 75]]));
    assert_eq!(history["oldestBlock"], format!("{:#x}", height - 1));
    assert_eq!(history["baseFeePerGas"], json!(["0x7", "0x7", "0x7"]));
    assert_eq!(history["reward"], json!([["0x0", "0x0"], ["0x0", "0x0"]]));
    assert_eq!(history["gasUsedRatio"].as_array().unwrap().len(), 2);
}

#[test]
fn a_transaction_goes_from_the_pool_into_a_block() {
    let mut network = Network::new(params());
    let registry = network.addresses.registry;
    let sender = wallet(1).address();
    let data = calldata::create_stream("temperature", "", 1, true, false);
    let call = json!({ "from": sender.to_string(), "to": registry.to_string(), "data": data.to_string() });
    let mirror = &mut network.mirror;
    let gas = ask(mirror, "eth_estimateGas", json!([call]));
    let gas = u64::from_str_radix(&gas.as_str().unwrap()[2..], 16).unwrap();
    let raw =
        Account::new(wallet(1), common::CHAIN_ID, 0).sign(TxKind::Call(registry), U256::ZERO, data, gas);
    let hash = ask(mirror, "eth_sendRawTransaction", json!([raw.to_string()]));
    assert_eq!(ask(mirror, "eth_getTransactionReceipt", json!([hash])), Value::Null);
    let waiting = ask(mirror, "eth_getTransactionByHash", json!([hash]));
    assert_eq!((&waiting["blockHash"], &waiting["nonce"]), (&Value::Null, &json!("0x0")));
    assert_eq!(ask(mirror, "eth_getTransactionCount", json!([sender.to_string(), "latest"])), "0x0");
    assert_eq!(ask(mirror, "eth_getTransactionCount", json!([sender.to_string(), "pending"])), "0x1");
    network.blocks(1);
    let mirror = &mut network.mirror;
    let receipt = ask(mirror, "eth_getTransactionReceipt", json!([hash]));
    assert_eq!((&receipt["status"], &receipt["type"]), (&json!("0x1"), &json!("0x2")));
    assert_eq!(receipt["from"], sender.to_string());
    assert_eq!(receipt["contractAddress"], Value::Null);
    let block = ask(mirror, "eth_getBlockByNumber", json!(["latest", false]));
    assert_eq!((&block["transactions"][0], &block["hash"]), (&hash, &receipt["blockHash"]));
    let full = ask(mirror, "eth_getBlockByHash", json!([block["hash"], true]));
    assert_eq!(full["transactions"][0], ask(mirror, "eth_getTransactionByHash", json!([hash])));
    assert_eq!(full["transactions"][0]["blockNumber"], block["number"]);
    assert_eq!(ask(mirror, "eth_getBlockByNumber", json!(["0xffff", false])), Value::Null);
    let logs =
        ask(mirror, "eth_getLogs", json!([{ "address": registry.to_string(), "fromBlock": "earliest" }]));
    // Receipts carry no block time, query answers do.
    let mut expected = receipt["logs"][0].clone();
    expected["blockTimestamp"] = block["timestamp"].clone();
    assert_eq!(sorted(&logs[0]), sorted(&expected));
    let by_hash = ask(mirror, "eth_getLogs", json!([{ "blockHash": block["hash"] }]));
    assert_eq!(by_hash.as_array().unwrap().len(), receipt["logs"].as_array().unwrap().len());
    let topic = &receipt["logs"][0]["topics"][0];
    let by_topic = ask(mirror, "eth_getLogs", json!([{ "fromBlock": "0x0", "topics": [[topic], null] }]));
    assert_eq!(by_topic.as_array().unwrap().len(), 1);
}

fn sorted(value: &Value) -> std::collections::BTreeMap<&String, &Value> {
    value.as_object().unwrap().iter().collect()
}

#[test]
fn accounts_answer_for_the_newest_block_only() {
    let mut network = Network::new(params());
    network.blocks(3);
    let (registry, rich) = (network.addresses.registry.to_string(), wallet(5).address().to_string());
    let mirror = &mut network.mirror;
    assert_eq!(ask(mirror, "eth_getBalance", json!([rich, "latest"])), "0xde0b6b3a7640000");
    assert_eq!(ask(mirror, "eth_getBalance", json!([rich])), "0xde0b6b3a7640000");
    let newest = format!("{:#x}", mirror.height());
    assert_eq!(ask(mirror, "eth_getBalance", json!([rich, { "blockNumber": newest }])), "0xde0b6b3a7640000");
    assert!(ask(mirror, "eth_getCode", json!([registry, "latest"])).as_str().unwrap().len() > 100);
    assert_eq!(ask(mirror, "eth_getCode", json!([rich, "latest"])), "0x");
    let slot = ask(mirror, "eth_getStorageAt", json!([registry, "0x0", "latest"]));
    assert_eq!(slot.as_str().unwrap().len(), 66);
    let old = fail(mirror, "eth_getBalance", json!([rich, "0x1"]));
    assert_eq!(old["code"], -32000);
    assert!(old["message"].as_str().unwrap().contains("not kept"), "{old}");
}

#[test]
fn a_refused_call_says_why() {
    let mut network = Network::new(params());
    let coordinator = network.addresses.coordinator;
    let data = calldata::found(weir_kernel::ids::PartitionId(9));
    let call = json!({ "to": coordinator.to_string(), "input": data.to_string() });
    for method in ["eth_call", "eth_estimateGas"] {
        let error = fail(&mut network.mirror, method, json!([call, "latest"]));
        assert_eq!(error["code"], 3);
        let reason = "execution reverted: UnknownPartition(partition: 9, partitions: 3)";
        assert_eq!(error["message"], reason);
        assert_eq!(error["data"].as_str().unwrap().len(), 2 + 8 + 128);
    }
    let receipt = network.send(1, coordinator, data);
    let answer =
        ask(&mut network.mirror, "eth_getTransactionReceipt", json!([receipt.transaction_hash.to_string()]));
    assert_eq!(answer["status"], "0x0");
    assert_eq!(answer["revertReason"], "UnknownPartition(partition: 9, partitions: 3)");
}

#[test]
fn what_is_wrong_with_a_request_has_its_code() {
    let mut network = Network::new(params());
    let mirror = &mut network.mirror;
    assert_eq!(fail(mirror, "evm_mine", json!([]))["code"], -32601);
    assert_eq!(fail(mirror, "eth_getBalance", json!([]))["code"], -32602);
    assert_eq!(fail(mirror, "eth_getBalance", json!(["0x12"]))["code"], -32602);
    assert_eq!(fail(mirror, "eth_getBalance", json!({ "a": 1 }))["code"], -32602);
    assert_eq!(fail(mirror, "eth_getBlockByNumber", json!(["newest", false]))["code"], -32602);
    assert_eq!(fail(mirror, "eth_sendRawTransaction", json!(["0x1234"]))["code"], -32000);
    assert_eq!(fail(mirror, "eth_call", json!(["nothing"]))["code"], -32602);
    let none = handle(mirror, &json!({ "id": 1 })).unwrap();
    assert_eq!(none["error"]["code"], -32600);
    assert_eq!(handle(mirror, &json!([])).unwrap()["error"]["code"], -32600);
    let poor = Account::new(wallet(99), common::CHAIN_ID, 0).sign(
        TxKind::Call(wallet(0).address()),
        U256::ZERO,
        Bytes::new(),
        21_000,
    );
    let error = fail(mirror, "eth_sendRawTransaction", json!([hex::encode_prefixed(poor)]));
    assert!(error["message"].as_str().unwrap().starts_with("insufficient funds"), "{error}");
}

#[test]
fn batches_are_answered_in_order_and_notifications_not_at_all() {
    let mut network = Network::new(params());
    let request = |id: u64, method: &str| json!({ "jsonrpc": "2.0", "id": id, "method": method });
    let note = json!({ "jsonrpc": "2.0", "method": "eth_chainId" });
    let batch = json!([request(1, "eth_chainId"), note, request(2, "nothing"), 5]);
    let answers = handle(&mut network.mirror, &batch).unwrap();
    assert_eq!(answers.as_array().unwrap().len(), 3);
    assert_eq!((&answers[0]["id"], &answers[0]["result"]), (&json!(1), &json!("0x7a69")));
    assert_eq!((&answers[1]["id"], &answers[1]["error"]["code"]), (&json!(2), &json!(-32601)));
    assert_eq!(answers[2]["error"]["code"], -32600);
    assert_eq!(handle(&mut network.mirror, &note), None);
    assert_eq!(handle(&mut network.mirror, &json!([note])), None);
    let many = Value::Array(vec![note; weir_chain::limits::MAX_RPC_BATCH + 1]);
    assert_eq!(handle(&mut network.mirror, &many).unwrap()["error"]["code"], -32005);
}
