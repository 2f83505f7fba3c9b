//! The map against the one of the standard library, the copies that it shares with, and its shape.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;

use proptest::prelude::*;

use super::node::Node;
use super::{Map, Set, WIDTH};

#[derive(Clone, Debug)]
enum Step {
    Insert(u16, u32),
    Remove(u16),
    RemoveFrom(u16, u16),
    Raise(u16),
    Copy,
}

fn step(keys: u16) -> impl Strategy<Value = Step> {
    let key = 0..keys;
    prop_oneof![
        8 => (key.clone(), any::<u32>()).prop_map(|(key, value)| Step::Insert(key, value)),
        3 => key.clone().prop_map(Step::Remove),
        1 => (key.clone(), 0..200_u16).prop_map(|(key, count)| Step::RemoveFrom(key, count)),
        2 => key.prop_map(Step::Raise),
        1 => Just(Step::Copy),
    ]
}

/// Checks a node's shape; returns how deep its leaves lie.
fn depth(node: &Node<u16, u32>, low: Option<u16>, high: Option<u16>, is_root: bool) -> usize {
    match node {
        Node::Leaf(entries) => {
            assert!(entries.len() <= WIDTH && (is_root || !entries.is_empty()));
            assert!(entries.is_sorted_by(|(a, _), (b, _)| a < b));
            let within = |key: u16| low.is_none_or(|low| low <= key) && high.is_none_or(|high| key < high);
            assert!(entries.iter().all(|(key, _)| within(*key)));
            0
        }
        Node::Branch(branch) => {
            let children = &branch.children;
            assert!(children.len() <= WIDTH && children.len() > usize::from(is_root));
            assert_eq!(branch.len, children.iter().map(|(_, child)| child.len()).sum::<usize>());
            let below = |at: usize| {
                let bound = |at: usize| children.get(at).map(|(bound, _)| *bound);
                let low = if at == 0 { low } else { bound(at) };
                depth(&children[at].1, low, bound(at + 1).or(high), false)
            };
            let first = below(0);
            assert!((1..children.len()).all(|at| below(at) == first), "all leaves lie equally deep");
            first + 1
        }
    }
}

fn check(map: &Map<u16, u32>, model: &BTreeMap<u16, u32>) {
    depth(map.root(), None, None, true);
    assert_eq!(map.len(), model.len());
    assert!(map.iter().eq(model.iter()));
}

proptest! {
    #[test]
    fn it_is_the_map_of_the_standard_library(steps in prop::collection::vec(step(2_000), 1..600), rising in 0..1_500_u16) {
        let mut model: BTreeMap<u16, u32> = (0..rising).map(|key| (key, 0)).collect();
        let mut map: Map<u16, u32> = model.iter().map(|(key, value)| (*key, *value)).collect();
        let mut copies = Vec::new();
        for step in steps {
            match step {
                Step::Insert(key, value) => prop_assert_eq!(map.insert(key, value), model.insert(key, value)),
                Step::Remove(key) => prop_assert_eq!(map.remove(&key), model.remove(&key)),
                Step::RemoveFrom(key, count) => {
                    for key in key..key.saturating_add(count) {
                        prop_assert_eq!(map.remove(&key), model.remove(&key));
                    }
                }
                Step::Raise(key) => {
                    *map.or_default(key) += 1;
                    *model.entry(key).or_default() += 1;
                }
                Step::Copy => copies.push((map.clone(), model.clone())),
            }
        }
        copies.push((map.clone(), model.clone()));
        copies.iter().for_each(|(map, model)| check(map, model));
        for key in (0..2_000).step_by(7) {
            prop_assert_eq!(map.get(&key), model.get(&key));
            prop_assert!(map.iter_from(&key).take(40).eq(model.range(key..).take(40)));
        }
        let rebuilt: Map<u16, u32> = model.iter().rev().map(|(key, value)| (*key, *value)).collect();
        prop_assert_eq!(&rebuilt, &map, "what a map holds decides what it equals");
        prop_assert_eq!(copies[0].0 == map, copies[0].1 == model);
    }

    #[test]
    fn emptied_maps_are_as_new(keys in prop::collection::btree_set(any::<u16>(), 0..400)) {
        let mut set: Set<u16> = keys.iter().copied().collect();
        prop_assert!(set.iter().eq(&keys) && keys.iter().all(|key| set.contains(key)));
        for key in &keys {
            prop_assert!(set.remove(key) && !set.remove(key));
        }
        prop_assert_eq!(&set, &Set::default());
        prop_assert!(set.is_empty() && set.insert(1) && !set.insert(1));
    }
}

#[test]
fn a_branch_goes_with_the_last_entry_of_its_only_child() {
    let full = u16::try_from(WIDTH * WIDTH).expect("it is small");
    let mut map: Map<u16, u32> = (0..full).map(|key| (key, 0)).collect();
    map.insert(full, 0);
    let Node::Branch(root) = map.root() else { panic!("more than a branch holds") };
    assert!(matches!(&root.children[1].1, Node::Branch(last) if last.children.len() == 1));
    map.remove(&full);
    check(&map, &(0..full).map(|key| (key, 0)).collect());
}

/// The leaves of a map, by where they lie in memory.
fn leaves(node: &Node<u32, u32>) -> BTreeSet<*const (u32, u32)> {
    match node {
        Node::Leaf(entries) => BTreeSet::from([Arc::as_ptr(entries).cast()]),
        Node::Branch(branch) => branch.children.iter().flat_map(|(_, child)| leaves(child)).collect(),
    }
}

#[test]
fn a_change_copies_one_leaf() {
    let before: Map<u32, u32> = (0..100_000).map(|key| (key * 2, key)).collect();
    let mut after = before.clone();
    assert!(leaves(before.root()) == leaves(after.root()));
    after.get_mut(&77_778).map(|value| *value = 0).expect("even keys are there");
    let (old, new) = (leaves(before.root()), leaves(after.root()));
    assert_eq!((old.difference(&new).count(), new.difference(&old).count()), (1, 1));
    after.insert(77_779, 1);
    let new = leaves(after.root());
    assert!(new.difference(&old).count() <= 2, "a full leaf is split");
    assert_eq!(before.get(&77_778), Some(&38_889), "copies keep what they had");
}

#[test]
fn rising_keys_fill_their_leaves() {
    let map: Map<u32, u32> = (0..32_000).map(|key| (key, 0)).collect();
    assert_eq!(leaves(map.root()).len(), 32_000_usize.div_ceil(WIDTH));
}
