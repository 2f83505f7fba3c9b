//! Going through a map, by rising key.

use alloc::vec::Vec;
use core::slice;

use super::node::{Node, position};

/// The entries of a map by rising key.
#[derive(Clone)]
pub struct Iter<'a, K, V> {
    /// What is left of the branches on the way to the leaf, the root's first.
    branches: Vec<slice::Iter<'a, (K, Node<K, V>)>>,
    leaf: slice::Iter<'a, (K, V)>,
}

impl<'a, K, V> Iter<'a, K, V> {
    pub(super) fn new(root: &'a Node<K, V>) -> Self {
        let mut iter = Self { branches: Vec::new(), leaf: [].iter() };
        iter.descend(root);
        iter
    }

    pub(super) fn from(root: &'a Node<K, V>, key: &K) -> Self
    where
        K: Ord,
    {
        let (mut branches, mut node) = (Vec::new(), root);
        loop {
            match node {
                Node::Leaf(entries) => {
                    let at = position(entries, key).unwrap_or_else(|at| at);
                    return Self { branches, leaf: entries[at..].iter() };
                }
                Node::Branch(branch) => {
                    let at = branch.child_of(key);
                    branches.push(branch.children[at + 1..].iter());
                    node = &branch.children[at].1;
                }
            }
        }
    }

    /// Goes to the first leaf below a node.
    fn descend(&mut self, mut node: &'a Node<K, V>) {
        loop {
            match node {
                Node::Leaf(entries) => {
                    self.leaf = entries.iter();
                    return;
                }
                Node::Branch(branch) => {
                    let mut children = branch.children.iter();
                    node = &children.next().expect("a branch has children").1;
                    self.branches.push(children);
                }
            }
        }
    }
}

impl<'a, K, V> Iterator for Iter<'a, K, V> {
    type Item = (&'a K, &'a V);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some((key, value)) = self.leaf.next() {
                return Some((key, value));
            }
            match self.branches.last_mut()?.next() {
                Some((_, child)) => self.descend(child),
                None => {
                    self.branches.pop();
                }
            }
        }
    }
}

/// The keys of a map, rising.
#[derive(Clone)]
pub struct Keys<'a, K, V>(pub(super) Iter<'a, K, V>);

impl<'a, K, V> Iterator for Keys<'a, K, V> {
    type Item = &'a K;

    fn next(&mut self) -> Option<&'a K> {
        self.0.next().map(|(key, _)| key)
    }
}

/// The values of a map by rising key.
#[derive(Clone)]
pub struct Values<'a, K, V>(pub(super) Iter<'a, K, V>);

impl<'a, K, V> Iterator for Values<'a, K, V> {
    type Item = &'a V;

    fn next(&mut self) -> Option<&'a V> {
        self.0.next().map(|(_, value)| value)
    }
}
