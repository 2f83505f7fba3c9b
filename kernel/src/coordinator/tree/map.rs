//! The map.

use alloc::sync::Arc;
use alloc::vec;
use core::fmt;
use core::ops::Index;

use super::iter::{Iter, Keys, Values};
use super::node::{Branch, Inserted, Node};

/// A sorted map. A copy is a pointer; after it, a change copies no more than the way to where it is made.
pub struct Map<K, V> {
    root: Node<K, V>,
}

impl<K, V> Clone for Map<K, V> {
    fn clone(&self) -> Self {
        Self { root: self.root.clone() }
    }
}

impl<K, V> Default for Map<K, V> {
    fn default() -> Self {
        Self { root: Node::Leaf(Arc::default()) }
    }
}

impl<K, V> Map<K, V> {
    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.root.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The entries by rising key.
    pub fn iter(&self) -> Iter<'_, K, V> {
        Iter::new(&self.root)
    }

    /// The keys, rising.
    pub fn keys(&self) -> Keys<'_, K, V> {
        Keys(self.iter())
    }

    /// The values by rising key.
    pub fn values(&self) -> Values<'_, K, V> {
        Values(self.iter())
    }

    #[cfg(test)]
    pub(super) fn root(&self) -> &Node<K, V> {
        &self.root
    }
}

impl<K: Ord, V> Map<K, V> {
    /// What a key has.
    pub fn get(&self, key: &K) -> Option<&V> {
        self.root.get(key)
    }

    /// Whether a key has something.
    pub fn contains_key(&self, key: &K) -> bool {
        self.get(key).is_some()
    }

    /// The entries by rising key, from `key` on.
    pub fn iter_from(&self, key: &K) -> Iter<'_, K, V> {
        Iter::from(&self.root, key)
    }
}

impl<K: Ord + Clone, V: Clone> Map<K, V> {
    /// What a key has, to be changed.
    pub fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.root.get_mut(key)
    }

    /// What a key has, to be changed; its default if it had nothing.
    pub fn or_default(&mut self, key: K) -> &mut V
    where
        V: Default,
    {
        if !self.contains_key(&key) {
            self.insert(key.clone(), V::default());
        }
        self.get_mut(&key).expect("it was inserted above")
    }

    /// A key has this from now on; returns what it had.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        let Inserted { replaced, split } = self.root.insert(key, value);
        if let Some((bound, right)) = split {
            let len = self.root.len() + right.len();
            let children = vec![(bound.clone(), self.root.clone()), (bound, right)];
            self.root = Node::Branch(Arc::new(Branch { len, children }));
        }
        replaced
    }

    /// A key has nothing from now on; returns what it had.
    pub fn remove(&mut self, key: &K) -> Option<V> {
        if !self.contains_key(key) {
            return None;
        }
        let removed = self.root.remove(key);
        self.root.lower();
        Some(removed)
    }
}

impl<K: Ord, V> Index<&K> for Map<K, V> {
    type Output = V;

    /// What a key has; panics if that is nothing.
    fn index(&self, key: &K) -> &V {
        self.get(key).expect("the key is in the map")
    }
}

impl<K: PartialEq, V: PartialEq> PartialEq for Map<K, V> {
    fn eq(&self, other: &Self) -> bool {
        self.root.is_same(&other.root) || self.len() == other.len() && self.iter().eq(other.iter())
    }
}

impl<K: Eq, V: Eq> Eq for Map<K, V> {}

impl<K: fmt::Debug, V: fmt::Debug> fmt::Debug for Map<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl<K: Ord + Clone, V: Clone> Extend<(K, V)> for Map<K, V> {
    fn extend<I: IntoIterator<Item = (K, V)>>(&mut self, entries: I) {
        entries.into_iter().for_each(|(key, value)| {
            self.insert(key, value);
        });
    }
}

impl<K: Ord + Clone, V: Clone> FromIterator<(K, V)> for Map<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let mut map = Self::default();
        map.extend(entries);
        map
    }
}

impl<'a, K, V> IntoIterator for &'a Map<K, V> {
    type Item = (&'a K, &'a V);
    type IntoIter = Iter<'a, K, V>;

    fn into_iter(self) -> Iter<'a, K, V> {
        self.iter()
    }
}
