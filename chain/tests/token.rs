//! The token: each named error, transfers that call their receiver (ERC-677), and permits (EIP-2612).

mod common;

use alloy_primitives::{Address, B256, Bytes, TxKind, U256};
use alloy_sol_types::{SolCall, sol};
use common::permit::permit;
use common::{Met, Network, SUPPLY, params, wallet};
use weir_chain::bindings::DataCoin;
use weir_chain::calldata;

sol!(
    #[derive(Debug, PartialEq, Eq)]
    TokenReceiver,
    "../contracts/artifacts/testing/TokenReceiver.json"
);

fn receiver(network: &mut Network) -> Address {
    let receipt = network.transact(0, TxKind::Create, TokenReceiver::BYTECODE.clone());
    receipt.contract_address.expect("the receiver is created")
}

fn encode(call: impl SolCall) -> Bytes {
    call.abi_encode().into()
}

fn send(to: Address, amount: u64, data: &'static [u8]) -> Bytes {
    DataCoin::transferAndCallCall { to, amount: U256::from(amount), data: Bytes::from_static(data) }
        .abi_encode()
        .into()
}

#[test]
fn a_receiving_contract_learns_what_it_got_after_it_has_it() {
    let mut network = Network::new(params());
    let token = network.addresses.token;
    let receiver = receiver(&mut network);
    let sender = wallet(1).address();
    network.ok(0, token, calldata::transfer(sender, 100));
    network.ok(1, token, send(receiver, 30, b"an order"));
    let last = network.view(receiver, TokenReceiver::lastCall {});
    assert_eq!((last.token, last.from), (token, sender));
    assert_eq!((last.amount, last.balance), (U256::from(30), U256::from(30)));
    assert_eq!(last.data.as_ref(), b"an order");
    assert_eq!((network.tokens(sender), network.tokens(receiver)), (70, 30));
    network.ok(1, token, send(receiver, 0, b""));
    assert_eq!(
        network.view(receiver, TokenReceiver::callsCall {}),
        U256::from(2),
        "dust and nothing count too"
    );
    network.check();
}

#[test]
fn a_receiver_may_pass_tokens_on_while_it_is_called() {
    let mut network = Network::new(params());
    let token = network.addresses.token;
    let receiver = receiver(&mut network);
    let sender = wallet(1).address();
    network.ok(0, token, calldata::transfer(sender, 100));
    let receipt = network.ok(1, token, send(receiver, 30, b"send back"));
    assert_eq!(receipt.logs.len(), 2, "there and back");
    assert_eq!((network.tokens(sender), network.tokens(receiver)), (100, 0));
    network.check();
}

#[test]
fn a_receiver_that_refuses_undoes_the_transfer() {
    let mut network = Network::new(params());
    let token = network.addresses.token;
    let receiver = receiver(&mut network);
    let before = network.tokens(wallet(0).address());
    for data in [b"refuse".as_slice(), b"burn gas"] {
        network.refused(0, token, send(receiver, 30, data));
        assert_eq!((network.tokens(wallet(0).address()), network.tokens(receiver)), (before, 0));
    }
    assert_eq!(network.view(receiver, TokenReceiver::callsCall {}), U256::ZERO);
    let poor = network.refused(1, token, send(receiver, 1, b""));
    assert!(poor.starts_with("ERC20InsufficientBalance("), "{poor}");
    let nobody = network.refused(0, token, send(Address::ZERO, 1, b""));
    assert!(nobody.starts_with("ERC20InvalidReceiver("), "{nobody}");
    assert_eq!(network.view(token, DataCoin::totalSupplyCall {}).to::<u128>(), SUPPLY);
    network.check();
}

#[test]
fn a_permit_counts_once_for_one_owner_and_one_token() {
    let mut network = Network::new(params());
    let token = network.addresses.token;
    let (owner, spender) = (wallet(1).address(), wallet(2).address());
    let deadline = U256::from(network.mirror.head().header.timestamp + 100);
    let allowed = |network: &Network| network.view(token, DataCoin::allowanceCall { owner, spender });
    let first = permit(&network, 1, spender, 60, deadline);
    network.ok(3, token, first.abi_encode().into());
    assert_eq!(allowed(&network), U256::from(60));
    assert_eq!(network.view(token, DataCoin::noncesCall { owner }), U256::from(1));
    let replay = network.refused(3, token, first.abi_encode().into());
    assert!(replay.starts_with("ERC2612InvalidSigner("), "{replay}");
    let mut anothers = permit(&network, 3, spender, 60, deadline);
    anothers.owner = owner;
    let stolen = network.refused(3, token, anothers.abi_encode().into());
    assert!(stolen.starts_with("ERC2612InvalidSigner("), "{stolen}");
    let other = network.transact(0, TxKind::Create, weir_chain::deploy::token_code(owner, 1));
    let other = other.contract_address.expect("another token");
    let mut fresh = permit(&network, 3, spender, 60, deadline);
    let elsewhere = network.refused(3, other, fresh.abi_encode().into());
    assert!(elsewhere.starts_with("ERC2612InvalidSigner("), "{elsewhere}");
    fresh.spender = owner;
    let redirected = network.refused(3, token, fresh.abi_encode().into());
    assert!(redirected.starts_with("ERC2612InvalidSigner("), "{redirected}");
    let withdrawn = permit(&network, 1, spender, 0, deadline);
    network.ok(2, token, withdrawn.abi_encode().into());
    assert_eq!(allowed(&network), U256::ZERO);
    let end = U256::from(network.mirror.head().header.timestamp + 1);
    let last_second = permit(&network, 1, spender, 7, end);
    network.ok(2, token, last_second.abi_encode().into());
    assert_eq!(allowed(&network), U256::from(7), "the deadline is inclusive (EIP-2612)");
    network.check();
}

#[test]
fn tokens_are_sent_permitted_and_sent_with_a_call() {
    let mut network = Network::new(params());
    let token = network.addresses.token;
    let (one, two) = (wallet(1).address(), wallet(2).address());
    assert_eq!(network.view(token, DataCoin::totalSupplyCall {}).to::<u128>(), SUPPLY);
    assert_eq!(network.view(token, DataCoin::decimalsCall {}), 18);
    network.ok(0, token, calldata::transfer(one, 100));
    let deadline = U256::from(network.mirror.head().header.timestamp + 100);
    let permit = permit(&network, 1, two, 60, deadline);
    network.ok(3, token, encode(permit));
    let take =
        |value: u64| encode(DataCoin::transferFromCall { from: one, to: two, value: U256::from(value) });
    network.ok(2, token, take(60));
    assert_eq!((network.tokens(one), network.tokens(two)), (40, 60));
    let call = DataCoin::transferAndCallCall { to: two, amount: U256::from(1), data: Bytes::new() };
    network.ok(1, token, encode(call));
    assert_eq!((network.tokens(one), network.tokens(two)), (39, 61));
    network.check();
}

#[test]
fn every_error_of_the_token_has_its_case() {
    let mut met = Met::default();
    let mut network = Network::new(params());
    let token = network.addresses.token;
    let (one, two) = (wallet(1).address(), wallet(2).address());
    met.expect("ERC20InsufficientBalance", network.refused(1, token, calldata::transfer(two, 1)));
    met.expect("ERC20InvalidReceiver", network.refused(0, token, calldata::transfer(Address::ZERO, 1)));
    met.expect("ERC20InvalidSpender", network.refused(0, token, calldata::approve(Address::ZERO, 1)));
    let take = DataCoin::transferFromCall { from: wallet(0).address(), to: one, value: U256::from(1) };
    met.expect("ERC20InsufficientAllowance", network.refused(1, token, encode(take)));
    let deadline = U256::from(network.mirror.head().header.timestamp + 100);
    let good = permit(&network, 1, two, 5, deadline);
    let expired = permit(&network, 1, two, 5, U256::from(1));
    met.expect("ERC2612ExpiredSignature", network.refused(2, token, encode(expired)));
    let mut forged = good.clone();
    forged.value = U256::from(6);
    met.expect("ERC2612InvalidSigner", network.refused(2, token, encode(forged)));
    let mut garbage = good.clone();
    garbage.v = 9;
    met.expect("ECDSAInvalidSignature", network.refused(2, token, encode(garbage)));
    let mut malleable = good;
    malleable.s = B256::repeat_byte(0xf0);
    met.expect("ECDSAInvalidSignatureS", network.refused(2, token, encode(malleable)));
    let nobody = [DataCoin::BYTECODE.as_ref(), &[0; 64]].concat();
    met.expect("ERC20InvalidReceiver", network.transact(0, TxKind::Create, nobody.into()).failure().unwrap());
    // A receiver that is a contract and takes no tokens by call undoes the transfer.
    let registry = network.addresses.registry;
    let call = DataCoin::transferAndCallCall { to: registry, amount: U256::from(1), data: Bytes::new() };
    let before = network.tokens(wallet(0).address());
    network.refused(0, token, encode(call));
    assert_eq!(network.tokens(wallet(0).address()), before);
    let library = "the name and version of the EIP-712 domain are short";
    let zero = "nobody signs for the zero address";
    let unreachable = [
        ("InvalidShortString", library),
        ("StringTooLong", library),
        ("ERC20InvalidApprover", zero),
        ("ERC20InvalidSender", zero),
        ("ECDSAInvalidSignatureLength", "v, r and s are given apart"),
        ("InvalidAccountNonce", "a permit takes the nonce from the chain"),
    ];
    met.complete("DataCoin", &unreachable);
}
