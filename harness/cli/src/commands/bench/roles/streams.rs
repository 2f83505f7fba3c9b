//! A broker that knows many streams: facts of a chain that would take hours to run, told to it directly.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use weir_chain::mirror::{Genesis, Mirror};
use weir_chain::port::SharedMirror;
use weir_client::Key;
use weir_kernel::broker::Shards;
use weir_kernel::coordinator::{BlockRef, Contracts, Fact, Params, Permission, State, evolve};
use weir_kernel::hash::keccak256;
use weir_kernel::ids::{Address, StreamId};
use weir_kernel::signature::SecretKey;
use weir_net::TlsIdentity;
use weir_node::network::CHAIN_ID;
use weir_node::node::layout::ShardCount;
use weir_node::node::{Node, NodeConfig};

use crate::failure::Failure;

/// Starts a broker whose chain has so many streams, each with a name, a description, an owner and public readers.
pub fn start(directory: &Path, streams: u32) -> Result<Node, Failure> {
    let contract = |n: u8| Address([n; 20]);
    let contracts = Contracts::of(contract(0xC0), contract(0xC1), contract(0xC2));
    let mut view = State::new(CHAIN_ID, contracts, Params::default());
    (0..streams).for_each(|nth| create(&mut view, nth));
    let key = SecretKey::from_bytes(&keccak256(&[Key::development().address().0.as_slice()]).0);
    let genesis = Genesis { chain_id: CHAIN_ID, timestamp_s: 1_700_000_000, alloc: BTreeMap::new() };
    Node::start(NodeConfig {
        name: "broker".into(),
        key: key.expect("a hash is a key"),
        directory: directory.to_owned(),
        shards: ShardCount::IfNew(Shards::ONE),
        disk_limit_bytes: None,
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        tls: TlsIdentity::generate().map_err(Failure::of)?,
        chain: SharedMirror::new(Mirror::in_memory(&genesis)),
        view: Arc::new(view),
    })
    .map_err(Failure::of)
}

fn account(what: &[u8], nth: u32) -> Address {
    let hash = keccak256(&[what, &nth.to_be_bytes()]);
    Address(*hash.0.last_chunk().expect("a hash has 32 bytes"))
}

fn create(view: &mut State, nth: u32) {
    let stream = StreamId(account(b"stream", nth).0);
    let owner = account(b"owner", nth / 10);
    let always = Permission {
        subscribe_until: u64::MAX,
        publish_until: u64::MAX,
        can_grant: true,
        can_edit: true,
        ..Permission::default()
    };
    let readers = Permission { subscribe_until: u64::MAX, ..Permission::default() };
    let created = Fact::StreamCreated {
        stream,
        owner,
        name: format!("sensors/building-{}/floor-{}", nth / 100, nth % 100),
        description: "Temperature and humidity, every ten seconds".into(),
        partitions: 1,
    };
    let owned = Fact::PermissionSet { stream, user: owner, permission: always };
    let public = Fact::PermissionSet { stream, user: Address::ZERO, permission: readers };
    [created, owned, public].iter().for_each(|fact| evolve(view, BlockRef::default(), fact));
}
