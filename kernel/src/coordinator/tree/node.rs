//! Leaves and branches, and how they are split and joined.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::mem;

use super::WIDTH;

/// A part of a map.
pub(super) enum Node<K, V> {
    /// Entries by rising key.
    Leaf(Arc<[(K, V)]>),
    /// Children by rising key.
    Branch(Arc<Branch<K, V>>),
}

/// Children, each with a key that is not above its own and above those of the children before it. The first one's
/// bounds nothing.
pub(super) struct Branch<K, V> {
    /// Entries below.
    pub(super) len: usize,
    /// Never empty.
    pub(super) children: Vec<(K, Node<K, V>)>,
}

/// What an insertion comes to.
pub(super) struct Inserted<K, V> {
    /// What the key had before.
    pub(super) replaced: Option<V>,
    /// The node was full: what is above this key is in another one now.
    pub(super) split: Option<(K, Node<K, V>)>,
}

impl<K, V> Clone for Node<K, V> {
    fn clone(&self) -> Self {
        match self {
            Self::Leaf(entries) => Self::Leaf(Arc::clone(entries)),
            Self::Branch(branch) => Self::Branch(Arc::clone(branch)),
        }
    }
}

impl<K: Clone, V> Clone for Branch<K, V> {
    fn clone(&self) -> Self {
        Self { len: self.len, children: self.children.clone() }
    }
}

impl<K, V> Node<K, V> {
    /// Entries below.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Leaf(entries) => entries.len(),
            Self::Branch(branch) => branch.len,
        }
    }

    /// Whether both are the same memory.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Leaf(a), Self::Leaf(b)) => Arc::ptr_eq(a, b),
            (Self::Branch(a), Self::Branch(b)) => Arc::ptr_eq(a, b),
            _ => false,
        }
    }

    /// Entries of a leaf, children of a branch.
    fn width(&self) -> usize {
        match self {
            Self::Leaf(entries) => entries.len(),
            Self::Branch(branch) => branch.children.len(),
        }
    }
}

impl<K: Ord, V> Node<K, V> {
    pub(super) fn get(&self, key: &K) -> Option<&V> {
        let mut node = self;
        loop {
            match node {
                Self::Leaf(entries) => {
                    let at = position(entries, key).ok()?;
                    return Some(&entries[at].1);
                }
                Self::Branch(branch) => node = &branch.children[branch.child_of(key)].1,
            }
        }
    }
}

impl<K: Ord, V> Branch<K, V> {
    /// The child in which a key is, if it is anywhere.
    pub(super) fn child_of(&self, key: &K) -> usize {
        self.children.partition_point(|(bound, _)| bound <= key).saturating_sub(1)
    }
}

impl<K: Ord + Clone, V: Clone> Node<K, V> {
    pub(super) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        match self {
            Self::Leaf(entries) => {
                let at = position(entries, key).ok()?;
                Some(&mut Arc::make_mut(entries)[at].1)
            }
            Self::Branch(branch) => {
                let at = branch.child_of(key);
                Arc::make_mut(branch).children[at].1.get_mut(key)
            }
        }
    }

    pub(super) fn insert(&mut self, key: K, value: V) -> Inserted<K, V> {
        match self {
            Self::Leaf(entries) => match position(entries, &key) {
                Ok(at) => {
                    let replaced = mem::replace(&mut Arc::make_mut(entries)[at].1, value);
                    Inserted { replaced: Some(replaced), split: None }
                }
                Err(at) => Inserted { replaced: None, split: insert_entry(entries, at, (key, value)) },
            },
            Self::Branch(branch) => {
                let branch = Arc::make_mut(branch);
                let at = branch.child_of(&key);
                let Inserted { replaced, split } = branch.children[at].1.insert(key, value);
                branch.len += usize::from(replaced.is_none());
                let split = split.and_then(|right| branch.insert_child(at + 1, right));
                Inserted { replaced, split }
            }
        }
    }

    /// Removes a key that is there.
    pub(super) fn remove(&mut self, key: &K) -> V {
        match self {
            Self::Leaf(entries) => {
                let at = position(entries, key).expect("only keys that are there are removed");
                let removed = entries[at].1.clone();
                *entries = entries[..at].iter().chain(&entries[at + 1..]).cloned().collect();
                removed
            }
            Self::Branch(branch) => {
                let branch = Arc::make_mut(branch);
                let at = branch.child_of(key);
                let removed = branch.children[at].1.remove(key);
                branch.len -= 1;
                branch.tidy(at);
                removed
            }
        }
    }

    /// The root without levels that lead to a single child.
    pub(super) fn lower(&mut self) {
        while let Self::Branch(branch) = self
            && let [(_, child)] = branch.children.as_slice()
        {
            *self = child.clone();
        }
    }

    /// Joins with the next one, whose keys are not below `bound`, if both are small.
    fn join(&mut self, bound: &K, next: &Self) -> bool {
        if self.width() + next.width() > WIDTH / 2 {
            return false;
        }
        match (self, next) {
            (Self::Leaf(a), Self::Leaf(b)) => *a = a.iter().chain(b.iter()).cloned().collect(),
            (Self::Branch(a), Self::Branch(b)) => {
                let joined = Arc::make_mut(a);
                joined.len += b.len;
                // A first child may hold keys below its own bound.
                let first = joined.children.len();
                joined.children.extend(b.children.iter().cloned());
                joined.children[first].0 = bound.clone();
            }
            _ => unreachable!("all leaves lie equally deep"),
        }
        true
    }
}

impl<K: Ord + Clone, V: Clone> Branch<K, V> {
    /// Takes in a child; what then is too much makes a branch of its own, after this one.
    fn insert_child(&mut self, at: usize, child: (K, Node<K, V>)) -> Option<(K, Node<K, V>)> {
        self.children.reserve_exact(1);
        self.children.insert(at, child);
        if self.children.len() <= WIDTH {
            return None;
        }
        let rising = at == WIDTH;
        let right = self.children.split_off(if rising { WIDTH } else { WIDTH / 2 });
        self.children.shrink_to_fit();
        let bound = right[0].0.clone();
        let len = right.iter().map(|(_, child)| child.len()).sum();
        self.len -= len;
        Some((bound, Node::Branch(Arc::new(Self { len, children: right }))))
    }

    /// A child lost an entry: it goes if it has none, and joins a neighbour if both are small. An only child stays, and
    /// goes with this branch if nothing is left in it.
    fn tidy(&mut self, at: usize) {
        if self.children[at].1.len() == 0 && self.children.len() > 1 {
            self.children.remove(at);
            return;
        }
        for left in [at.checked_sub(1), Some(at)].into_iter().flatten() {
            if let [(_, node), (bound, next), ..] = &mut self.children[left..]
                && node.join(bound, next)
            {
                self.children.remove(left + 1);
                return;
            }
        }
    }
}

/// Where a key is, or would be.
pub(super) fn position<K: Ord, V>(entries: &[(K, V)], key: &K) -> Result<usize, usize> {
    entries.binary_search_by(|(other, _)| other.cmp(key))
}

/// Takes in an entry; of a full leaf the upper half becomes another one, or the entry alone if it is the last.
fn insert_entry<K: Clone, V: Clone>(
    entries: &mut Arc<[(K, V)]>,
    at: usize,
    entry: (K, V),
) -> Option<(K, Node<K, V>)> {
    let (below, above) = entries.split_at(at);
    if entries.len() < WIDTH {
        *entries = around(below, entry, above);
        return None;
    }
    let (left, right) = match at {
        WIDTH => {
            let bound = entry.0.clone();
            return Some((bound, Node::Leaf(Arc::new([entry]))));
        }
        at if at <= WIDTH / 2 => {
            let (middle, right) = above.split_at(WIDTH / 2 - at);
            (around(below, entry, middle), Arc::from(right))
        }
        _ => {
            let (left, middle) = below.split_at(WIDTH / 2);
            (Arc::from(left), around(middle, entry, above))
        }
    };
    *entries = left;
    let bound = right[0].0.clone();
    Some((bound, Node::Leaf(right)))
}

fn around<T: Clone>(below: &[T], entry: T, above: &[T]) -> Arc<[T]> {
    below.iter().cloned().chain([entry]).chain(above.iter().cloned()).collect()
}
