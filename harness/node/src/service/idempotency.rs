//! Idempotency keys: a repeated HTTP publish with the same key is the same publish.
//!
//! The memory is bounded and of this process: a key is forgotten when [`MAX_IDEMPOTENCY_KEYS`] newer ones came, or
//! with a restart. A refused publish is forgotten at once, so that it can be tried again under its key.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;

use weir_kernel::hash::sha256;
use weir_kernel::ids::Hash;

use super::limits::MAX_IDEMPOTENCY_KEYS;

/// Remembers what was done under each key.
#[derive(Debug)]
pub struct IdempotencyCache<V> {
    books: Mutex<Books<V>>,
    most: usize,
}

#[derive(Debug)]
struct Books<V> {
    entries: BTreeMap<Hash, (Hash, V)>,
    order: VecDeque<Hash>,
}

/// What a key was found to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Remembered<V> {
    /// New: what was just done is now remembered.
    New(V),
    /// The same request came before.
    Repeated(V),
    /// The key came before with another request.
    OtherRequest,
}

impl<V: Clone> Default for IdempotencyCache<V> {
    fn default() -> Self {
        Self::with_capacity(MAX_IDEMPOTENCY_KEYS)
    }
}

impl<V: Clone> IdempotencyCache<V> {
    /// Remembers up to `most` keys.
    pub fn with_capacity(most: usize) -> Self {
        Self { books: Mutex::new(Books { entries: BTreeMap::new(), order: VecDeque::new() }), most }
    }

    /// Does something once for `key` and `request` (any bytes that tell requests apart). `act` must be quick: it
    /// holds the cache.
    ///
    /// # Errors
    ///
    /// What `act` says; the key is then not remembered.
    pub fn once<E>(
        &self,
        key: &[u8],
        request: &[&[u8]],
        act: impl FnOnce() -> Result<V, E>,
    ) -> Result<Remembered<V>, E> {
        let (key, request) = (sha256(&[key]), sha256(request));
        let mut books = self.books.lock().expect("no holder panics");
        if let Some((known, value)) = books.entries.get(&key) {
            let same = *known == request;
            return Ok(if same { Remembered::Repeated(value.clone()) } else { Remembered::OtherRequest });
        }
        let value = act()?;
        books.entries.insert(key, (request, value.clone()));
        books.order.push_back(key);
        while books.order.len() > self.most {
            if let Some(oldest) = books.order.pop_front() {
                books.entries.remove(&oldest);
            }
        }
        Ok(Remembered::New(value))
    }

    /// Forgets a key: what was done under it did not happen.
    pub fn forget(&self, key: &[u8]) {
        let key = sha256(&[key]);
        let mut books = self.books.lock().expect("no holder panics");
        if books.entries.remove(&key).is_some() {
            books.order.retain(|known| *known != key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn once(cache: &IdempotencyCache<u32>, key: &[u8], request: &[u8], value: u32) -> Remembered<u32> {
        cache.once(key, &[request], || Ok::<_, ()>(value)).unwrap()
    }

    #[test]
    fn a_key_does_one_thing_once() {
        let cache = IdempotencyCache::with_capacity(2);
        assert_eq!(once(&cache, b"a", b"x", 1), Remembered::New(1));
        assert_eq!(once(&cache, b"a", b"x", 2), Remembered::Repeated(1));
        assert_eq!(once(&cache, b"a", b"y", 2), Remembered::OtherRequest);
        assert_eq!(once(&cache, b"b", b"x", 3), Remembered::New(3));
        assert_eq!(once(&cache, b"c", b"x", 4), Remembered::New(4));
        assert_eq!(once(&cache, b"a", b"y", 5), Remembered::New(5), "the oldest key was forgotten");
    }

    #[test]
    fn what_failed_is_not_remembered() {
        let cache = IdempotencyCache::with_capacity(2);
        assert_eq!(cache.once(b"a", &[b"x"], || Err("full")), Err("full"));
        assert_eq!(once(&cache, b"a", b"x", 1), Remembered::New(1));
        cache.forget(b"a");
        assert_eq!(once(&cache, b"a", b"x", 2), Remembered::New(2));
        assert_eq!(cache.books.lock().unwrap().order.len(), 1);
    }
}
