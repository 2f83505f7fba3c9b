//! Putting the contracts on a fresh chain, as `weir up` does.

use alloy_primitives::{Address, Bytes, TxKind, U256};
use alloy_sol_types::{SolCall, SolConstructor};
use weir_kernel::coordinator::{Contracts, Params, fees, karma};

use crate::bindings::{DataCoin, DataLicenseFactory, EventDelivery, NetworkCoordinator, StreamRegistry};
use crate::calldata;
use crate::limits;
use crate::mirror::{HistoryError, Mirror, ProduceError, SubmitError};
use crate::wallet::{Account, Wallet};

/// Where the contracts of a network are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Addresses {
    /// DataCoin, the token.
    pub token: Address,
    /// StreamRegistry.
    pub registry: Address,
    /// NetworkCoordinator.
    pub coordinator: Address,
    /// LaneFees, if the network has it.
    pub fees: Option<Address>,
    /// Karma, if the network has it.
    pub karma: Option<Address>,
    /// DataLicenseFactory, if the network has it.
    pub license_factory: Option<Address>,
    /// EventDelivery, if the network has it.
    pub event_delivery: Option<Address>,
}

impl Addresses {
    /// The same for the kernel; an absent contract is the zero address there.
    pub fn contracts(&self) -> Contracts {
        let address = |address: Address| weir_kernel::ids::Address(address.into_array());
        Contracts {
            coordinator: address(self.coordinator),
            token: address(self.token),
            registry: address(self.registry),
            fees: address(self.fees.unwrap_or_default()),
            karma: address(self.karma.unwrap_or_default()),
            license_factory: address(self.license_factory.unwrap_or_default()),
            event_delivery: address(self.event_delivery.unwrap_or_default()),
        }
    }
}

/// What to deploy. Token amounts are in units of 10^-18 DATA.
#[derive(Clone, Debug)]
pub struct Deployment {
    /// Who holds all tokens but the reserve afterwards: the deployer itself.
    pub supply: u128,
    /// How much of them the coordinator gets, to pay rewards from.
    pub reserve: u128,
    /// The coordinator's parameters.
    pub params: Params,
}

/// Why the contracts are not there.
#[derive(Debug, thiserror::Error)]
pub enum DeployError {
    /// A transaction was not taken.
    #[error("deploying {what}: {source}")]
    Submit {
        /// Which step.
        what: &'static str,
        /// Why.
        source: SubmitError,
    },
    /// A transaction failed.
    #[error("deploying {what}: {reason}")]
    Failed {
        /// Which step.
        what: &'static str,
        /// The contract's reason.
        reason: String,
    },
    /// No block could be made.
    #[error(transparent)]
    Produce(#[from] ProduceError),
    /// A block cannot be read.
    #[error(transparent)]
    History(#[from] HistoryError),
    /// The reserve is more than there is.
    #[error("the reserve {reserve} is more than the supply {supply}")]
    Reserve {
        /// What was asked for.
        reserve: u128,
        /// All tokens.
        supply: u128,
    },
}

/// What the contracts around the coordinator are deployed with.
#[derive(Clone, Debug, Default)]
pub struct Economy {
    /// LaneFees.
    pub fees: fees::Params,
    /// Karma.
    pub karma: karma::Params,
}

/// Deploys all contracts with the deployer's key, the economy's with their default parameters; see [`deploy_with`].
pub fn deploy(
    mirror: &mut Mirror,
    deployer: &Wallet,
    deployment: &Deployment,
    timestamp_s: u64,
) -> Result<Addresses, DeployError> {
    deploy_with(mirror, deployer, deployment, &Economy::default(), timestamp_s)
}

/// Deploys token, registry and coordinator with the deployer's key and sends the reserve; then as [`deploy_fees`].
/// Makes the blocks for it. The deployer needs some ether for gas.
pub fn deploy_with(
    mirror: &mut Mirror,
    deployer: &Wallet,
    deployment: &Deployment,
    economy: &Economy,
    timestamp_s: u64,
) -> Result<Addresses, DeployError> {
    let Deployment { supply, reserve, params } = deployment;
    if reserve > supply {
        return Err(DeployError::Reserve { reserve: *reserve, supply: *supply });
    }
    let nonce = mirror.pending_nonce(deployer.address());
    let mut account = Account::new(deployer.clone(), mirror.chain_id(), nonce);
    let code = token_code(deployer.address(), *supply);
    let token = create(mirror, &mut account, "the token", code, timestamp_s)?;
    let registry =
        create(mirror, &mut account, "the stream registry", StreamRegistry::BYTECODE.clone(), timestamp_s)?;
    let code = coordinator_code(token, params);
    let coordinator = create(mirror, &mut account, "the network coordinator", code, timestamp_s)?;
    let transfer = calldata::transfer(coordinator, *reserve);
    send(mirror, &mut account, "the reserve", TxKind::Call(token), transfer, timestamp_s)?;
    let mut addresses = Addresses { token, registry, coordinator, ..Addresses::default() };
    deploy_fees(mirror, deployer, &mut addresses, economy, timestamp_s)?;
    Ok(addresses)
}

/// Deploys Karma, of which the deployer is the founder, and LaneFees, its first creditor, upon contracts that are
/// there. The addresses then name them too.
pub fn deploy_fees(
    mirror: &mut Mirror,
    deployer: &Wallet,
    addresses: &mut Addresses,
    economy: &Economy,
    timestamp_s: u64,
) -> Result<(), DeployError> {
    let nonce = mirror.pending_nonce(deployer.address());
    let mut account = Account::new(deployer.clone(), mirror.chain_id(), nonce);
    let code = crate::fees::karma_code(&economy.karma);
    let karma = create(mirror, &mut account, "Karma", code, timestamp_s)?;
    let code = crate::fees::fees_code(addresses.token, addresses.coordinator, karma, &economy.fees);
    let fees = create(mirror, &mut account, "LaneFees", code, timestamp_s)?;
    let authorise = crate::fees::authorise(fees);
    send(mirror, &mut account, "LaneFees as a creditor", TxKind::Call(karma), authorise, timestamp_s)?;
    (addresses.fees, addresses.karma) = (Some(fees), Some(karma));
    Ok(())
}

/// Deploys the market upon contracts that are there: DataLicenseFactory and EventDelivery. The addresses then name
/// them too.
pub fn deploy_market(
    mirror: &mut Mirror,
    deployer: &Wallet,
    addresses: &mut Addresses,
    timestamp_s: u64,
) -> Result<(), DeployError> {
    let nonce = mirror.pending_nonce(deployer.address());
    let mut account = Account::new(deployer.clone(), mirror.chain_id(), nonce);
    let Addresses { token, registry, coordinator, .. } = *addresses;
    let code = license_factory_code(token, registry, coordinator);
    addresses.license_factory = Some(create(mirror, &mut account, "the licences", code, timestamp_s)?);
    let code = event_delivery_code(token, registry);
    addresses.event_delivery = Some(create(mirror, &mut account, "the delivery", code, timestamp_s)?);
    Ok(())
}

/// The creation code of a factory of products.
pub fn license_factory_code(token: Address, registry: Address, coordinator: Address) -> Bytes {
    let arguments = DataLicenseFactory::constructorCall { token, registry, coordinator }.abi_encode();
    [DataLicenseFactory::BYTECODE.as_ref(), &arguments].concat().into()
}

/// The creation code of the delivery contract.
pub fn event_delivery_code(token: Address, registry: Address) -> Bytes {
    let arguments = EventDelivery::constructorCall { token, registry }.abi_encode();
    [EventDelivery::BYTECODE.as_ref(), &arguments].concat().into()
}

/// The creation code of a token that mints everything for `holder`.
pub fn token_code(holder: Address, supply: u128) -> Bytes {
    let arguments = DataCoin::constructorCall { holder, supply: U256::from(supply) }.abi_encode();
    [DataCoin::BYTECODE.as_ref(), &arguments].concat().into()
}

/// The creation code of a coordinator.
pub fn coordinator_code(token: Address, params: &Params) -> Bytes {
    let arguments =
        NetworkCoordinator::constructorCall { token_: token, p: calldata::params(params) }.abi_encode();
    [NetworkCoordinator::BYTECODE.as_ref(), &arguments].concat().into()
}

fn create(
    mirror: &mut Mirror,
    account: &mut Account,
    what: &'static str,
    code: Bytes,
    timestamp_s: u64,
) -> Result<Address, DeployError> {
    let created = send(mirror, account, what, TxKind::Create, code, timestamp_s)?;
    created.ok_or(DeployError::Failed { what, reason: "no contract was created".into() })
}

fn send(
    mirror: &mut Mirror,
    account: &mut Account,
    what: &'static str,
    to: TxKind,
    input: Bytes,
    timestamp_s: u64,
) -> Result<Option<Address>, DeployError> {
    let raw = account.sign(to, U256::ZERO, input, limits::TX_GAS_LIMIT);
    let hash = mirror.submit(&raw).map_err(|source| DeployError::Submit { what, source })?;
    mirror.produce_block(timestamp_s)?;
    let receipt = mirror.receipt(hash)?;
    let receipt = receipt.ok_or_else(|| DeployError::Failed { what, reason: "it was in no block".into() })?;
    match receipt.failure() {
        Some(reason) => Err(DeployError::Failed { what, reason }),
        None => Ok(receipt.contract_address),
    }
}

/// The balance of an account in the token, after the newest block; `None` if `token` is no token.
pub fn token_balance(mirror: &Mirror, token: Address, account: Address) -> Option<U256> {
    let call = DataCoin::balanceOfCall { account };
    let answer = mirror.call(Address::ZERO, token, call.abi_encode().into(), U256::ZERO).ok()?;
    DataCoin::balanceOfCall::abi_decode_returns(&answer).ok()
}
