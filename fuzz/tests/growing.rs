//! Partitions are added while clients publish, read and subscribe.

use weir_fuzz::network::Network;

#[test]
fn nothing_is_lost_or_comes_twice_while_partitions_are_added() {
    let moved = Network::new(false).grow_while_publishing();
    assert!(moved >= 1, "{moved} stream partitions moved");
}
