//! EIP-2612 permits of the token, signed.

use alloy_primitives::{Address, B256, U256, keccak256};
use weir_chain::bindings::DataCoin;

use super::{Network, wallet};

/// A permit of key `n` as the token asks for it now.
pub fn permit(
    network: &Network,
    n: u8,
    spender: Address,
    value: u64,
    deadline: U256,
) -> DataCoin::permitCall {
    let owner = wallet(n).address();
    let token = network.addresses.token;
    let nonce = network.view(token, DataCoin::noncesCall { owner });
    let domain = network.view(token, DataCoin::DOMAIN_SEPARATORCall {});
    let kind =
        keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)");
    let value = U256::from(value);
    let word = |address: Address| address.into_word();
    let fields = [kind, word(owner), word(spender), value.into(), nonce.into(), deadline.into()].concat();
    let digest =
        keccak256([[0x19, 0x01].as_slice(), domain.as_slice(), keccak256(fields).as_slice()].concat());
    let signature = wallet(n).sign_digest(digest);
    DataCoin::permitCall {
        owner,
        spender,
        value,
        deadline,
        v: signature[64],
        r: B256::from_slice(&signature[..32]),
        s: B256::from_slice(&signature[32..64]),
    }
}
