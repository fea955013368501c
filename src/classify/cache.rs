//! Scores of texts seen lately, by content: a conversation is sent again with every turn.
//!
//! Two generations: when the younger is full, the older is forgotten and the younger takes
//! its place. So the bound is exact, nothing has to be ordered by use, and what is asked
//! for again moves to the younger one and stays.

use std::collections::HashMap;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

/// SHA-256 of a text: nobody can make another text with the score of this one.
pub(super) type Key = [u8; 32];

/// The key of a text.
pub(super) fn key(text: &str) -> Key {
    Sha256::digest(text).into()
}

/// At most `limit` values.
#[derive(Debug)]
pub(super) struct Cache<V> {
    young: HashMap<Key, Arc<V>>,
    old: HashMap<Key, Arc<V>>,
    limit: usize,
}

impl<V> Cache<V> {
    /// Of a limit below two nothing is kept.
    pub(super) fn new(limit: usize) -> Self {
        Self { young: HashMap::new(), old: HashMap::new(), limit }
    }

    pub(super) fn get(&mut self, key: &Key) -> Option<Arc<V>> {
        if let Some(value) = self.young.get(key) {
            return Some(Arc::clone(value));
        }
        let value = self.old.remove(key)?;
        self.put(*key, Arc::clone(&value));
        Some(value)
    }

    pub(super) fn put(&mut self, key: Key, value: Arc<V>) {
        let half = self.limit / 2;
        if half == 0 {
            return;
        }
        if self.young.len() >= half && !self.young.contains_key(&key) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, value);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_asked_for_again_stays() {
        let mut cache = Cache::new(4);
        for n in 0..100 {
            cache.put(key(&n.to_string()), Arc::new(n));
            assert_eq!(cache.get(&key("0")).as_deref(), Some(&0), "after {n}");
        }
        assert_eq!(cache.get(&key("50")), None);
        let mut none = Cache::new(0);
        none.put(key("a"), Arc::new(1));
        assert_eq!(none.get(&key("a")), None);
    }

    proptest! {
        #[test]
        fn it_is_bounded_and_never_wrong(
            limit in 0_usize..20,
            asked in prop::collection::vec((0_u8..40, any::<bool>()), 0..200),
        ) {
            let mut cache = Cache::new(limit);
            for (n, put) in asked {
                let at = key(&n.to_string());
                if put {
                    cache.put(at, Arc::new(n));
                } else if let Some(value) = cache.get(&at) {
                    prop_assert_eq!(*value, n);
                }
                prop_assert!(cache.young.len() + cache.old.len() <= limit);
            }
        }
    }
}
