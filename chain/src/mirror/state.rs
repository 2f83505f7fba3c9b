//! The accounts of the chain: balances, nonces, code and storage, and the commitment to all of them.
//!
//! The state root here is no Merkle-Patricia root: it is the sum modulo 2^256 of one Keccak-256 hash for each
//! account and each non-zero storage slot. It costs as much as what a block changed, not as much as the
//! state, and it is the same however the state was reached; nobody proves a single account against a
//! development chain.

use std::collections::BTreeMap;
use std::convert::Infallible;

use alloy_primitives::{Address, B256, Bytes, KECCAK256_EMPTY, U256, keccak256};
use revm::bytecode::Bytecode;
use revm::state::{AccountInfo, EvmState};

use super::archive::Archive;

/// What one account holds, apart from its storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AccountRecord {
    pub nonce: u64,
    pub balance: U256,
    pub code_hash: B256,
}

impl AccountRecord {
    /// Whether the account counts as absent (EIP-161).
    fn is_empty(&self) -> bool {
        self.nonce == 0 && self.balance.is_zero() && self.code_hash == KECCAK256_EMPTY
    }
}

/// What a block changed, as the values before it, in the order of the changes.
#[derive(Debug, Default)]
pub(crate) struct Undo(Vec<UndoEntry>);

#[derive(Debug)]
enum UndoEntry {
    Account(Address, Option<AccountRecord>),
    Slot((Address, U256), U256),
}

/// All accounts. Code is kept by hash and never forgotten: clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct State {
    accounts: BTreeMap<Address, AccountRecord>,
    storage: BTreeMap<(Address, U256), U256>,
    codes: BTreeMap<B256, Bytecode>,
    sum: U256,
}

impl State {
    /// The commitment to this state; see the module's words on what it is.
    pub fn root(&self) -> B256 {
        B256::from(self.sum)
    }

    pub fn account(&self, address: Address) -> Option<&AccountRecord> {
        self.accounts.get(&address)
    }

    pub fn balance(&self, address: Address) -> U256 {
        self.account(address).map_or(U256::ZERO, |account| account.balance)
    }

    pub fn nonce(&self, address: Address) -> u64 {
        self.account(address).map_or(0, |account| account.nonce)
    }

    pub fn code(&self, address: Address) -> Bytes {
        let code = self.account(address).and_then(|account| self.codes.get(&account.code_hash));
        code.map(Bytecode::original_bytes).unwrap_or_default()
    }

    pub fn slot(&self, address: Address, slot: U256) -> U256 {
        self.storage.get(&(address, slot)).copied().unwrap_or_default()
    }

    pub fn accounts(&self) -> impl Iterator<Item = (&Address, &AccountRecord)> {
        self.accounts.iter()
    }

    pub fn slots(&self) -> impl Iterator<Item = (&(Address, U256), &U256)> {
        self.storage.iter()
    }

    pub fn codes(&self) -> impl Iterator<Item = &Bytecode> {
        self.codes.values()
    }

    /// Sets an account, or removes it with `None`, and returns what was there.
    pub fn set_account(&mut self, address: Address, record: Option<AccountRecord>) -> Option<AccountRecord> {
        let record = record.filter(|record| !record.is_empty());
        let before = match record {
            Some(record) => self.accounts.insert(address, record),
            None => self.accounts.remove(&address),
        };
        if let Some(before) = &before {
            self.sum = self.sum.wrapping_sub(account_hash(address, before));
        }
        if let Some(record) = &record {
            self.sum = self.sum.wrapping_add(account_hash(address, record));
        }
        before
    }

    /// Sets a storage slot, zero meaning absent, and returns what was there.
    pub fn set_slot(&mut self, key: (Address, U256), value: U256) -> U256 {
        let before =
            if value.is_zero() { self.storage.remove(&key) } else { self.storage.insert(key, value) };
        let before = before.unwrap_or_default();
        if !before.is_zero() {
            self.sum = self.sum.wrapping_sub(slot_hash(key, before));
        }
        if !value.is_zero() {
            self.sum = self.sum.wrapping_add(slot_hash(key, value));
        }
        before
    }

    /// Keeps code under its hash.
    pub fn add_code(&mut self, code: Bytecode) {
        if !code.is_empty() {
            self.codes.insert(code.hash_slow(), code);
        }
    }

    /// Takes over what an execution changed. The changes come in no order; they are sorted, so that the undo
    /// is the same everywhere.
    pub fn apply(&mut self, changes: EvmState, undo: &mut Undo) {
        let mut changes: Vec<_> = changes.into_iter().filter(|(_, account)| account.is_touched()).collect();
        changes.sort_by_key(|(address, _)| *address);
        for (address, account) in changes {
            if account.is_selfdestructed() || account.is_created() {
                self.clear_storage(address, undo);
            }
            if account.is_selfdestructed() {
                undo.0.push(UndoEntry::Account(address, self.set_account(address, None)));
                continue;
            }
            let AccountInfo { nonce, balance, code_hash, code, .. } = account.info;
            if let Some(code) = code {
                self.add_code(code);
            }
            let record = AccountRecord { nonce, balance, code_hash };
            if self.account(address) != Some(&record) {
                undo.0.push(UndoEntry::Account(address, self.set_account(address, Some(record))));
            }
            let mut slots: Vec<_> = account.storage.into_iter().collect();
            slots.sort_by_key(|(slot, _)| *slot);
            for (slot, value) in slots {
                let key = (address, slot);
                if self.slot(address, slot) != value.present_value() {
                    let before = self.set_slot(key, value.present_value());
                    undo.0.push(UndoEntry::Slot(key, before));
                }
            }
        }
    }

    fn clear_storage(&mut self, address: Address, undo: &mut Undo) {
        let range = (address, U256::ZERO)..=(address, U256::MAX);
        let keys: Vec<_> = self.storage.range(range).map(|(key, _)| *key).collect();
        for key in keys {
            let before = self.set_slot(key, U256::ZERO);
            undo.0.push(UndoEntry::Slot(key, before));
        }
    }

    /// Puts back what a block changed.
    pub fn revert(&mut self, undo: Undo) {
        for entry in undo.0.into_iter().rev() {
            match entry {
                UndoEntry::Account(address, record) => {
                    self.set_account(address, record);
                }
                UndoEntry::Slot(key, value) => {
                    self.set_slot(key, value);
                }
            }
        }
    }
}

fn account_hash(address: Address, record: &AccountRecord) -> U256 {
    let mut bytes = Vec::with_capacity(20 + 8 + 32 + 32);
    bytes.extend_from_slice(address.as_slice());
    bytes.extend_from_slice(&record.nonce.to_be_bytes());
    bytes.extend_from_slice(&record.balance.to_be_bytes::<32>());
    bytes.extend_from_slice(record.code_hash.as_slice());
    keccak256(bytes).into()
}

fn slot_hash((address, slot): (Address, U256), value: U256) -> U256 {
    let mut bytes = Vec::with_capacity(20 + 32 + 32);
    bytes.extend_from_slice(address.as_slice());
    bytes.extend_from_slice(&slot.to_be_bytes::<32>());
    bytes.extend_from_slice(&value.to_be_bytes::<32>());
    keccak256(bytes).into()
}

/// What the EVM reads: the state, and the hashes of earlier blocks for the `BLOCKHASH` opcode.
#[derive(Clone, Copy)]
pub(crate) struct StateView<'a> {
    pub state: &'a State,
    pub archive: &'a Archive,
}

impl revm::Database for StateView<'_> {
    type Error = Infallible;

    fn basic(&mut self, address: Address) -> Result<Option<AccountInfo>, Infallible> {
        Ok(self.state.account(address).map(|account| AccountInfo {
            balance: account.balance,
            nonce: account.nonce,
            code_hash: account.code_hash,
            code: Some(self.state.codes.get(&account.code_hash).cloned().unwrap_or_default()),
            ..AccountInfo::default()
        }))
    }

    fn code_by_hash(&mut self, code_hash: B256) -> Result<Bytecode, Infallible> {
        Ok(self.state.codes.get(&code_hash).cloned().unwrap_or_default())
    }

    fn storage(&mut self, address: Address, index: U256) -> Result<U256, Infallible> {
        Ok(self.state.slot(address, index))
    }

    fn block_hash(&mut self, number: u64) -> Result<B256, Infallible> {
        Ok(self.archive.hash(number).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(nonce: u64) -> Option<AccountRecord> {
        Some(AccountRecord { nonce, balance: U256::from(7), code_hash: KECCAK256_EMPTY })
    }

    #[test]
    fn root_depends_on_content_and_not_on_the_way_there() {
        let (a, b) = (Address::repeat_byte(1), Address::repeat_byte(2));
        let mut one = State::default();
        one.set_account(a, record(1));
        one.set_account(b, record(2));
        one.set_slot((a, U256::from(3)), U256::from(4));
        let mut other = State::default();
        other.set_slot((a, U256::from(3)), U256::from(9));
        other.set_account(b, record(5));
        other.set_account(b, record(2));
        other.set_account(a, record(1));
        assert_ne!(one.root(), other.root());
        other.set_slot((a, U256::from(3)), U256::from(4));
        assert_eq!(one.root(), other.root());
        other.set_account(a, None);
        other.set_account(b, None);
        other.set_slot((a, U256::from(3)), U256::ZERO);
        assert_eq!(other.root(), State::default().root());
    }

    #[test]
    fn empty_accounts_do_not_exist() {
        let mut state = State::default();
        let empty = AccountRecord { nonce: 0, balance: U256::ZERO, code_hash: KECCAK256_EMPTY };
        state.set_account(Address::ZERO, Some(empty));
        assert!(state.account(Address::ZERO).is_none());
    }
}
