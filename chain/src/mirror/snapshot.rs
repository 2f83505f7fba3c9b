//! Snapshots of the state, so that opening a chain executes only the blocks since the last one.
//!
//! A snapshot is one file, `state-N.snapshot` for block N: eight bytes of magic, the CRC-32 of the rest (u32,
//! little-endian), and the bincode of the state. It is written beside its name, synced and renamed, so that a
//! file under that name is always whole. A snapshot that cannot be used costs time, never blocks.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use alloy_primitives::{Address, B256, U256};
use bincode::{Decode, Encode};
use revm::bytecode::Bytecode;

use super::block::encode;
use super::state::{AccountRecord, State};
use crate::limits;

const MAGIC: &[u8; 8] = b"weirsnp1";

#[derive(Encode, Decode)]
struct Stored {
    number: u64,
    block_hash: [u8; 32],
    accounts: Vec<StoredAccount>,
    slots: Vec<StoredSlot>,
    codes: Vec<Vec<u8>>,
}

#[derive(Encode, Decode)]
struct StoredAccount {
    address: [u8; 20],
    nonce: u64,
    balance: [u8; 32],
    code_hash: [u8; 32],
}

#[derive(Encode, Decode)]
struct StoredSlot {
    address: [u8; 20],
    slot: [u8; 32],
    value: [u8; 32],
}

/// A state and the block after which it was taken.
pub(crate) struct Snapshot {
    pub number: u64,
    pub block_hash: B256,
    pub state: State,
}

fn path_of(directory: &Path, number: u64) -> PathBuf {
    directory.join(format!("state-{number:020}.snapshot"))
}

/// The numbers of the snapshots in the directory, newest first.
pub(crate) fn list(directory: &Path) -> io::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(directory)? {
        let name = entry?.file_name();
        let digits = name.to_str().and_then(|name| name.strip_prefix("state-")?.strip_suffix(".snapshot"));
        numbers.extend(digits.and_then(|digits| digits.parse::<u64>().ok()));
    }
    numbers.sort_unstable_by(|a, b| b.cmp(a));
    Ok(numbers)
}

/// Writes a snapshot and removes those that are no longer kept.
pub(crate) fn write(directory: &Path, number: u64, block_hash: B256, state: &State) -> io::Result<()> {
    let stored = Stored {
        number,
        block_hash: block_hash.0,
        accounts: state.accounts().map(|(address, record)| store_account(*address, record)).collect(),
        slots: state
            .slots()
            .map(|((address, slot), value)| StoredSlot {
                address: address.into_array(),
                slot: slot.to_be_bytes(),
                value: value.to_be_bytes(),
            })
            .collect(),
        codes: state.codes().map(|code| code.original_byte_slice().to_vec()).collect(),
    };
    let payload = encode(&stored);
    let path = path_of(directory, number);
    let temporary = path.with_extension("tmp");
    let mut file = File::create(&temporary)?;
    file.write_all(MAGIC)?;
    file.write_all(&crc32fast::hash(&payload).to_le_bytes())?;
    file.write_all(&payload)?;
    file.sync_all()?;
    fs::rename(&temporary, &path)?;
    File::open(directory)?.sync_all()?;
    for old in list(directory)?.into_iter().filter(|n| *n <= number).skip(limits::SNAPSHOTS_KEPT) {
        fs::remove_file(path_of(directory, old))?;
    }
    Ok(())
}

fn store_account(address: Address, record: &AccountRecord) -> StoredAccount {
    StoredAccount {
        address: address.into_array(),
        nonce: record.nonce,
        balance: record.balance.to_be_bytes(),
        code_hash: record.code_hash.0,
    }
}

/// Reads the snapshot of a block, or says in words why it is of no use.
pub(crate) fn read(directory: &Path, number: u64) -> Result<Snapshot, String> {
    let path = path_of(directory, number);
    let size = fs::metadata(&path).map_err(|error| error.to_string())?.len();
    if size > limits::MAX_SNAPSHOT_BYTES as u64 {
        return Err(format!("it has {size} bytes, more than {}", limits::MAX_SNAPSHOT_BYTES));
    }
    let bytes = fs::read(&path).map_err(|error| error.to_string())?;
    let rest = bytes.strip_prefix(MAGIC).ok_or("it does not begin with the magic bytes")?;
    let (checksum, payload) = rest.split_first_chunk::<4>().ok_or("it is too short")?;
    if crc32fast::hash(payload) != u32::from_le_bytes(*checksum) {
        return Err("its checksum is wrong".into());
    }
    let config = bincode::config::standard().with_limit::<{ limits::MAX_SNAPSHOT_BYTES }>();
    let (stored, _) =
        bincode::decode_from_slice::<Stored, _>(payload, config).map_err(|error| error.to_string())?;
    let mut state = State::default();
    for code in stored.codes {
        state.add_code(Bytecode::new_raw_checked(code.into()).map_err(|error| format!("{error:?}"))?);
    }
    for account in stored.accounts {
        let balance = U256::from_be_bytes(account.balance);
        let record = AccountRecord { nonce: account.nonce, balance, code_hash: account.code_hash.into() };
        state.set_account(account.address.into(), Some(record));
    }
    for slot in stored.slots {
        let key = (slot.address.into(), U256::from_be_bytes(slot.slot));
        state.set_slot(key, U256::from_be_bytes(slot.value));
    }
    Ok(Snapshot { number: stored.number, block_hash: stored.block_hash.into(), state })
}
