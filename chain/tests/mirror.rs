//! The chain itself: blocks and transfers, the pool's rules, durability.

use std::collections::BTreeMap;
use std::path::Path;

use alloy_consensus::{SignableTransaction, TxEip2930, TxEnvelope, TxLegacy};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Address, B256, Bytes, Signature, TxKind, U256, keccak256};
use weir_chain::limits;
use weir_chain::mirror::{
    BlockLogError, CallError, CallRequest, Genesis, LogFilter, Mirror, OpenError, ReorgError, SubmitError,
};
use weir_chain::wallet::{Account, Wallet};

const CHAIN_ID: u64 = 31337;
const ETHER: u128 = 1_000_000_000_000_000_000;
const NOBODY: Address = Address::repeat_byte(0x99);

fn wallet(n: u8) -> Wallet {
    Wallet::from_bytes(&[n; 32]).unwrap()
}

fn account(n: u8) -> Account {
    Account::new(wallet(n), CHAIN_ID, 0)
}

fn genesis() -> Genesis {
    let alloc: BTreeMap<_, _> = (1..=3).map(|n| (wallet(n).address(), U256::from(ETHER))).collect();
    Genesis { chain_id: CHAIN_ID, timestamp_s: 1_000, alloc }
}

fn transfer(from: &mut Account, to: Address, wei: u64) -> Bytes {
    from.sign(TxKind::Call(to), U256::from(wei), Bytes::new(), 21_000)
}

/// A contract whose code is `runtime`.
fn creation_code(runtime: &[u8]) -> Bytes {
    // PUSH1 length, DUP1, PUSH1 offset, PUSH0, CODECOPY, PUSH0, RETURN
    let mut code = vec![0x60, runtime.len() as u8, 0x80, 0x60, 0x09, 0x5f, 0x39, 0x5f, 0xf3];
    code.extend_from_slice(runtime);
    code.into()
}

fn create(mirror: &mut Mirror, from: &mut Account, runtime: &[u8]) -> Address {
    let raw = from.sign(TxKind::Create, U256::ZERO, creation_code(runtime), 1_000_000);
    let hash = mirror.submit(&raw).unwrap();
    mirror.produce_block(0).unwrap();
    mirror.receipt(hash).unwrap().unwrap().contract_address.unwrap()
}

#[test]
fn a_transfer_moves_ether_and_pays_the_base_fee() {
    let mut mirror = Mirror::in_memory(&genesis());
    let hash = mirror.submit(&transfer(&mut account(1), NOBODY, 5)).unwrap();
    assert_eq!(mirror.balance(NOBODY), U256::ZERO);
    assert_eq!(mirror.receipt(hash).unwrap(), None);
    assert_eq!((mirror.nonce(wallet(1).address()), mirror.pending_nonce(wallet(1).address())), (0, 1));
    let block = mirror.produce_block(1_001).unwrap();
    assert_eq!((block.number(), block.header.timestamp, block.header.gas_used), (1, 1_001, 21_000));
    assert_eq!(block.hash, keccak256(alloy_rlp::encode(&block.header)));
    assert_eq!(block.header.parent_hash, mirror.block(0).unwrap().unwrap().hash);
    assert_eq!(mirror.balance(NOBODY), U256::from(5));
    let paid = 5 + 21_000 * u128::from(limits::BASE_FEE_WEI);
    assert_eq!(mirror.balance(wallet(1).address()), U256::from(ETHER - paid));
    let receipt = mirror.receipt(hash).unwrap().unwrap();
    assert!(receipt.success && receipt.failure().is_none());
    assert_eq!((receipt.to, receipt.sender), (Some(NOBODY), wallet(1).address()));
    assert_eq!(receipt.effective_gas_price, u128::from(limits::BASE_FEE_WEI));
}

#[test]
fn the_same_calls_give_the_same_chain() {
    let run = || {
        let mut mirror = Mirror::in_memory(&genesis());
        let (mut one, mut two) = (account(1), account(2));
        for n in 0..10 {
            mirror.submit(&transfer(&mut one, NOBODY, n)).unwrap();
            mirror.submit(&transfer(&mut two, NOBODY, n)).unwrap();
            mirror.produce_block(1_000 + n).unwrap();
        }
        mirror.head().hash
    };
    assert_eq!(run(), run());
}

#[test]
fn transactions_run_in_the_order_of_arrival_and_of_nonces() {
    let mut mirror = Mirror::in_memory(&genesis());
    let (mut one, mut two) = (account(1), account(2));
    let first = transfer(&mut one, NOBODY, 1);
    let second = transfer(&mut one, NOBODY, 2);
    let other = transfer(&mut two, NOBODY, 3);
    let expected = [&other, &first, &second].map(keccak256);
    mirror.submit(&second).unwrap();
    assert_eq!(mirror.pending_nonce(one.address()), 0, "a gap waits");
    mirror.submit(&other).unwrap();
    mirror.submit(&first).unwrap();
    assert_eq!(mirror.pending_nonce(one.address()), 2);
    let block = mirror.produce_block(0).unwrap();
    let order: Vec<B256> = block.transactions.iter().map(|tx| tx.hash).collect();
    assert_eq!(order, expected);
    assert_eq!(mirror.pending_transactions(), 0);
}

#[test]
fn a_block_holds_no_more_gas_than_its_limit_and_the_rest_follows() {
    let mut mirror = Mirror::in_memory(&genesis());
    let mut one = account(1);
    // A contract that burns whatever gas it gets: JUMPDEST, PUSH0, JUMP.
    let burner = create(&mut mirror, &mut one, &[0x5b, 0x5f, 0x56]);
    for _ in 0..5 {
        let raw = one.sign(TxKind::Call(burner), U256::ZERO, Bytes::new(), limits::TX_GAS_LIMIT);
        mirror.submit(&raw).unwrap();
    }
    let block = mirror.produce_block(0).unwrap();
    assert_eq!(block.transactions.len(), 3);
    assert_eq!(block.header.gas_used, 3 * limits::TX_GAS_LIMIT);
    assert!(block.receipts.iter().all(|receipt| !receipt.success && receipt.halt.is_some()));
    assert_eq!(mirror.produce_block(0).unwrap().transactions.len(), 2);
}

#[test]
fn every_refusal_of_the_pool_has_its_name() {
    let mut mirror = Mirror::in_memory(&genesis());
    let sender = wallet(1).address();
    let mut one = account(1);
    let raw = transfer(&mut one, NOBODY, 1);
    mirror.submit(&raw).unwrap();
    assert_eq!(mirror.submit(&raw), Err(SubmitError::AlreadyKnown(keccak256(&raw))));
    one.resync(0);
    assert!(matches!(
        mirror.submit(&transfer(&mut one, NOBODY, 2)),
        Err(SubmitError::ReplacementUnderpriced(_))
    ));
    mirror.produce_block(0).unwrap();
    assert_eq!(mirror.submit(&raw), Err(SubmitError::AlreadyKnown(keccak256(&raw))));
    one.resync(0);
    let low = mirror.submit(&transfer(&mut one, NOBODY, 3));
    assert_eq!(low, Err(SubmitError::NonceTooLow { sender, expected: 1, found: 0 }));
    one.resync(2 + limits::MAX_NONCE_AHEAD);
    let high = mirror.submit(&transfer(&mut one, NOBODY, 1));
    let found = 2 + limits::MAX_NONCE_AHEAD;
    assert_eq!(high, Err(SubmitError::NonceTooHigh { sender, expected: 1, found }));
    let mut poor = account(9);
    assert!(matches!(
        mirror.submit(&transfer(&mut poor, NOBODY, 1)),
        Err(SubmitError::InsufficientFunds { .. })
    ));
    let mut elsewhere = Account::new(wallet(1), 1, 1);
    let wrong = mirror.submit(&transfer(&mut elsewhere, NOBODY, 1));
    assert_eq!(wrong, Err(SubmitError::WrongChainId { expected: CHAIN_ID, found: Some(1) }));
    one.resync(1);
    let short = one.sign(TxKind::Call(NOBODY), U256::ZERO, Bytes::new(), 20_999);
    assert_eq!(mirror.submit(&short), Err(SubmitError::IntrinsicGas { needed: 21_000, found: 20_999 }));
    let much = one.sign(TxKind::Call(NOBODY), U256::ZERO, Bytes::new(), limits::TX_GAS_LIMIT + 1);
    assert_eq!(mirror.submit(&much), Err(SubmitError::GasLimit(limits::TX_GAS_LIMIT + 1)));
    assert!(matches!(mirror.submit(b"nonsense"), Err(SubmitError::Decode(_))));
    assert!(matches!(mirror.submit(&vec![0; limits::MAX_TX_BYTES + 1]), Err(SubmitError::Decode(_))));
}

#[test]
fn waiting_transactions_are_paid_for_together() {
    let mut mirror = Mirror::in_memory(&genesis());
    let mut one = account(1);
    let most = u64::try_from(ETHER * 6 / 10).unwrap();
    mirror.submit(&transfer(&mut one, NOBODY, most)).unwrap();
    let second = mirror.submit(&transfer(&mut one, NOBODY, most));
    assert!(matches!(second, Err(SubmitError::InsufficientFunds { .. })), "{second:?}");
}

#[test]
fn legacy_and_access_list_transactions_are_taken() {
    let mut mirror = Mirror::in_memory(&genesis());
    let wallet = wallet(1);
    let sign = |digest| Signature::from_raw_array(&wallet.sign_digest(digest)).unwrap();
    let legacy = TxLegacy {
        chain_id: Some(CHAIN_ID),
        gas_price: 10,
        gas_limit: 21_000,
        to: TxKind::Call(NOBODY),
        ..Default::default()
    };
    let signature = sign(legacy.signature_hash());
    mirror.submit(&TxEnvelope::from(legacy.clone().into_signed(signature)).encoded_2718()).unwrap();
    let listed = TxEip2930 {
        chain_id: CHAIN_ID,
        nonce: 1,
        gas_price: 10,
        gas_limit: 21_000,
        to: TxKind::Call(NOBODY),
        ..Default::default()
    };
    let signature = sign(listed.signature_hash());
    mirror.submit(&TxEnvelope::from(listed.into_signed(signature)).encoded_2718()).unwrap();
    let block = mirror.produce_block(0).unwrap();
    assert!(block.receipts.iter().all(|receipt| receipt.success));
    assert_eq!(block.receipts.iter().map(|receipt| receipt.transaction_type).collect::<Vec<_>>(), [0, 1]);
    let unprotected = TxLegacy { chain_id: None, nonce: 2, ..legacy };
    let signature = sign(unprotected.signature_hash());
    let refused = mirror.submit(&TxEnvelope::from(unprotected.into_signed(signature)).encoded_2718());
    assert_eq!(refused, Err(SubmitError::WrongChainId { expected: CHAIN_ID, found: None }));
}

#[test]
fn block_hashes_are_known_for_256_blocks() {
    let mut mirror = Mirror::in_memory(&genesis());
    let mut one = account(1);
    // Returns BLOCKHASH of the number in its calldata: PUSH0 CALLDATALOAD BLOCKHASH PUSH0 MSTORE PUSH1 32
    // PUSH0 RETURN
    let reader = create(&mut mirror, &mut one, &[0x5f, 0x35, 0x40, 0x5f, 0x52, 0x60, 0x20, 0x5f, 0xf3]);
    let ask = |mirror: &Mirror, number: u64| {
        let data = Bytes::copy_from_slice(&U256::from(number).to_be_bytes::<32>());
        B256::from_slice(&mirror.call(NOBODY, reader, data, U256::ZERO).unwrap())
    };
    for _ in 0..300 {
        mirror.produce_block(0).unwrap();
    }
    let height = mirror.height();
    let hash = |number| mirror.block(number).unwrap().unwrap().hash;
    assert_eq!(ask(&mirror, height - 1), hash(height - 1));
    assert_eq!(ask(&mirror, height - 256), hash(height - 256));
    assert_eq!(ask(&mirror, height - 257), B256::ZERO);
    assert_eq!(ask(&mirror, height), B256::ZERO);
}

#[test]
fn calls_change_nothing_and_estimates_suffice() {
    let mut mirror = Mirror::in_memory(&genesis());
    let mut one = account(1);
    // Stores 1 in slot 0: PUSH1 1 PUSH0 SSTORE
    let writer = create(&mut mirror, &mut one, &[0x60, 0x01, 0x5f, 0x55]);
    let request = CallRequest { from: one.address(), to: Some(writer), ..CallRequest::default() };
    mirror.simulate(&request).unwrap();
    assert_eq!(mirror.storage_at(writer, U256::ZERO), B256::ZERO);
    let gas = mirror.estimate_gas(&request).unwrap();
    let too_little = mirror.simulate(&CallRequest { gas: Some(gas - 1), ..request });
    assert!(matches!(too_little, Err(CallError::Halt(_))), "{too_little:?}");
    let hash = mirror.submit(&one.sign(TxKind::Call(writer), U256::ZERO, Bytes::new(), gas)).unwrap();
    mirror.produce_block(0).unwrap();
    assert!(mirror.receipt(hash).unwrap().unwrap().success);
    assert_eq!(mirror.storage_at(writer, U256::ZERO), B256::from(U256::from(1)));
    // Reverts with no data: PUSH0 PUSH0 REVERT
    let refuser = create(&mut mirror, &mut one, &[0x5f, 0x5f, 0xfd]);
    let refused = mirror.call(NOBODY, refuser, Bytes::new(), U256::ZERO);
    assert!(matches!(refused, Err(CallError::Revert { .. })), "{refused:?}");
    let value = mirror.call(NOBODY, writer, Bytes::new(), U256::from(1));
    assert!(matches!(value, Err(CallError::Invalid(_))), "{value:?}");
}

#[test]
fn dropped_blocks_give_their_transactions_back() {
    let mut mirror = Mirror::in_memory(&genesis());
    let mut one = account(1);
    mirror.produce_block(1_001).unwrap();
    let before = (mirror.head().hash, mirror.balance(NOBODY));
    let root = mirror.head().header.state_root;
    for n in 1..=3 {
        mirror.submit(&transfer(&mut one, NOBODY, n)).unwrap();
        mirror.produce_block(1_001 + n).unwrap();
    }
    assert_eq!(mirror.reorg(5), Err(ReorgError::TooDeep { asked: 5, possible: 4 }));
    mirror.reorg(3).unwrap();
    assert_eq!((mirror.head().hash, mirror.balance(NOBODY)), before);
    assert_eq!((mirror.pending_transactions(), mirror.height()), (3, 1));
    let block = mirror.produce_block(2_000).unwrap();
    assert_eq!((block.transactions.len(), mirror.balance(NOBODY)), (3, U256::from(6)));
    assert_ne!(block.header.state_root, root);
}

fn grow(mirror: &mut Mirror, one: &mut Account, blocks: u64) {
    for _ in 0..blocks {
        let n = mirror.height() + 1;
        mirror.submit(&transfer(one, NOBODY, n)).unwrap();
        mirror.produce_block(1_000 + n).unwrap();
    }
}

#[test]
fn a_chain_in_memory_forgets_the_blocks_that_it_need_not_keep() {
    let (mut whole, mut short) = (Mirror::in_memory(&genesis()), Mirror::in_memory(&genesis()));
    grow(&mut whole, &mut account(1), 4);
    let mut one = account(1);
    grow(&mut short, &mut one, 4);
    short.keep_blocks(2);
    grow(&mut whole, &mut account(2), 3);
    grow(&mut short, &mut account(2), 3);
    for number in 0..=7 {
        let known = whole.block(number).unwrap().filter(|block| block.number() == 0 || block.number() >= 5);
        assert_eq!(short.block(number).unwrap(), known, "{number}");
    }
    let [old, new] = [4, 7].map(|number| whole.block(number).unwrap().unwrap().transactions[0].hash);
    assert_eq!(short.receipt(old).unwrap(), None);
    assert_eq!(short.receipt(new).unwrap(), whole.receipt(new).unwrap());
    assert_eq!(short.reorg(3), Err(ReorgError::TooDeep { asked: 3, possible: 2 }));
    short.reorg(2).unwrap();
    assert_eq!(short.head().hash, whole.block(5).unwrap().unwrap().hash);
}

#[test]
fn a_chain_continues_where_it_stopped() {
    let directory = tempfile::tempdir().unwrap();
    let mut one = account(1);
    let mut memory = Mirror::in_memory(&genesis());
    grow(&mut memory, &mut account(1), 12);
    for round in 0..4u64 {
        let mut mirror = Mirror::open(directory.path(), &genesis()).unwrap();
        assert_eq!(mirror.height(), round * 3);
        grow(&mut mirror, &mut one, 3);
    }
    let mirror = Mirror::open(directory.path(), &genesis()).unwrap();
    assert_eq!(mirror.head().hash, memory.head().hash);
    for number in 0..=12 {
        assert_eq!(mirror.block(number).unwrap(), memory.block(number).unwrap());
    }
    let hash = memory.block(5).unwrap().unwrap().transactions[0].hash;
    assert_eq!(mirror.receipt(hash).unwrap(), memory.receipt(hash).unwrap());
    assert_eq!(mirror.block(13).unwrap(), None);
    let in_use = Mirror::open(directory.path(), &genesis());
    assert!(matches!(in_use, Err(OpenError::InUse(_))));
    drop(mirror);
    let other = Genesis { timestamp_s: 7, ..genesis() };
    assert!(matches!(Mirror::open(directory.path(), &other), Err(OpenError::GenesisMismatch(_))));
}

fn copy(from: &Path, to: &Path, keep: impl Fn(&str) -> bool) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        if keep(entry.file_name().to_str().unwrap()) {
            std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

#[test]
fn a_snapshot_and_the_blocks_after_it_give_what_all_blocks_give() {
    let directory = tempfile::tempdir().unwrap();
    let whole = directory.path().join("whole");
    let blocks = 2 * limits::SNAPSHOT_INTERVAL_BLOCKS + 5;
    let mut mirror = Mirror::open(&whole, &genesis()).unwrap();
    let mut one = account(1);
    create(&mut mirror, &mut one, &[0x60, 0x01, 0x5f, 0x55]);
    grow(&mut mirror, &mut one, blocks);
    let expected = (mirror.head().hash, mirror.balance(NOBODY), mirror.nonce(one.address()));
    drop(mirror);
    let snapshots = |directory: &Path| {
        let names = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name());
        names.filter(|name| name.to_str().unwrap().ends_with(".snapshot")).count()
    };
    assert_eq!(snapshots(&whole), 2);
    let replayed = directory.path().join("replayed");
    copy(&whole, &replayed, |name| !name.ends_with(".snapshot"));
    let damaged = directory.path().join("damaged");
    copy(&whole, &damaged, |_| true);
    let newest = damaged.join(format!("state-{:020}.snapshot", 2 * limits::SNAPSHOT_INTERVAL_BLOCKS));
    let mut bytes = std::fs::read(&newest).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&newest, bytes).unwrap();
    for place in [&whole, &replayed, &damaged] {
        let mut mirror = Mirror::open(place, &genesis()).unwrap();
        let found = (mirror.head().hash, mirror.balance(NOBODY), mirror.nonce(one.address()));
        assert_eq!(found, expected, "{}", place.display());
        let mut continued = one.clone();
        grow(&mut mirror, &mut continued, 1);
        assert_eq!(mirror.balance(NOBODY), expected.1 + U256::from(mirror.height()));
        // Old blocks are no longer in memory and still answered.
        assert_eq!(mirror.block(3).unwrap().unwrap().transactions.len(), 1);
    }
}

#[test]
fn a_torn_last_block_is_lost_and_damage_before_it_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let mut lengths = Vec::new();
    let mut one = account(1);
    let path = directory.path().join("blocks.log");
    let mut mirror = Mirror::open(directory.path(), &genesis()).unwrap();
    for _ in 0..3 {
        grow(&mut mirror, &mut one, 1);
        lengths.push(std::fs::metadata(&path).unwrap().len());
    }
    drop(mirror);
    let whole = std::fs::read(&path).unwrap();
    for length in lengths[1]..lengths[2] {
        std::fs::write(&path, &whole[..length as usize]).unwrap();
        let mirror = Mirror::open(directory.path(), &genesis()).unwrap();
        assert_eq!((mirror.height(), mirror.balance(NOBODY)), (2, U256::from(3)), "torn at byte {length}");
    }
    let mut damaged = whole.clone();
    damaged[lengths[0] as usize + 40] ^= 1;
    std::fs::write(&path, damaged).unwrap();
    match Mirror::open(directory.path(), &genesis()) {
        Err(OpenError::Log(BlockLogError::Damaged { path: found, offset })) => {
            assert_eq!((found, offset), (path, lengths[0]));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn log_filters_choose_by_address_topic_and_block() {
    let mut mirror = Mirror::in_memory(&genesis());
    let mut one = account(1);
    // LOG1 with topic 7 and no data: PUSH1 7 PUSH0 PUSH0 LOG1
    let logger = create(&mut mirror, &mut one, &[0x60, 0x07, 0x5f, 0x5f, 0xa1]);
    for _ in 0..3 {
        for _ in 0..2 {
            let raw = one.sign(TxKind::Call(logger), U256::ZERO, Bytes::new(), 100_000);
            mirror.submit(&raw).unwrap();
        }
        mirror.produce_block(0).unwrap();
    }
    let seven = B256::from(U256::from(7));
    let count = |filter: LogFilter| mirror.logs(&filter).unwrap().len();
    let all = LogFilter { to_block: u64::MAX, ..LogFilter::default() };
    assert_eq!(count(all.clone()), 6);
    assert_eq!(count(LogFilter { from_block: 3, to_block: 3, ..LogFilter::default() }), 2);
    assert_eq!(count(LogFilter { addresses: vec![NOBODY], ..all.clone() }), 0);
    assert_eq!(count(LogFilter { addresses: vec![NOBODY, logger], ..all.clone() }), 6);
    assert_eq!(count(LogFilter { topics: vec![vec![], vec![seven]], ..all.clone() }), 0);
    assert_eq!(count(LogFilter { topics: vec![vec![B256::ZERO, seven]], ..all.clone() }), 6);
    let placed = mirror.logs(&LogFilter { from_block: 3, to_block: 3, ..LogFilter::default() }).unwrap();
    let places = placed.iter().map(|log| (log.transaction_index, log.log_index)).collect::<Vec<_>>();
    assert_eq!(places, [(0, 0), (1, 1)]);
}
