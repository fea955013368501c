//! What was decided, in a chain that shows any tampering.
//!
//! A partition's records are chained: each holds its number `seq` and the SHA-256 of the
//! value bytes of the one before (`prev`). The head of the chain is staged state, so it is
//! committed together with the record. Every [`ANCHOR_EVERY`] records the head goes to the
//! anchors topic, signed, so that cutting the end of a chain, or writing it all anew, shows
//! too. Records hold no machine clock, no timing of Weir's own and no matched text: the same
//! input gives the same chain in every run and replay.

mod anchor;
pub mod record;
mod verify;

use sha2::{Digest as _, Sha256};

pub use crate::digest::hex;
use crate::digest::push_hex;
use crate::state::codec::{Pack, Unpack};
use crate::state::{Key, Partition, Staged, owner};

pub use anchor::{ANCHOR_EVERY, Anchor, Signer};
pub use verify::{PROBLEMS_MAX, Problem, Report, Verifier, verify};

/// SHA-256 of one audit record's value.
pub type Hash = [u8; 32];

const VERSION: u8 = 1;

/// The end of a partition's chain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// How many records there are; the next one's `seq`.
    pub next: u64,
    /// Hash of the last one; zeros before the first.
    pub hash: Hash,
}

impl Head {
    /// The head in a batch's view of the state.
    #[must_use]
    pub fn of(staged: &Staged<'_>) -> Self {
        staged.get(&key()).and_then(Self::read).unwrap_or_default()
    }

    /// The committed head, to be compared with the last record of the audit topic.
    #[must_use]
    pub fn committed(partition: &Partition) -> Self {
        partition.get(&key()).and_then(Self::read).unwrap_or_default()
    }

    /// Whether the last committed record of the audit topic is the one that this head names.
    #[must_use]
    pub fn matches(&self, last: Option<&[u8]>) -> bool {
        match last {
            None => self.next == 0,
            Some(record) => self.next > 0 && hash(record) == self.hash,
        }
    }

    /// Takes one more record into the chain; returns the new head.
    #[must_use]
    pub fn extend(self, staged: &mut Staged<'_>, record: &[u8]) -> Self {
        let head = Self { next: self.next + 1, hash: hash(record) };
        let value = Pack::new(VERSION).bytes(&head.next.to_be_bytes()).bytes(&head.hash).done();
        staged.put(key(), value, None);
        head
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let mut from = Unpack::new(VERSION, bytes)?;
        Some(Self { next: u64::from_be_bytes(from.fixed()?), hash: from.fixed()? })
    }
}

fn key() -> Key {
    Key { owner: owner::AUDIT, id: Vec::new() }
}

/// What decided about a partition's last record. A change of it is a record of the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InForce {
    /// Hash of the pack.
    pub pack: String,
    /// Hash of the policy.
    pub policy: String,
}

impl InForce {
    /// Puts pack and policy in force in the partition; gives what they replace, if they
    /// replace anything.
    pub fn put(staged: &mut Staged<'_>, pack: &str, policy: &str) -> Option<Self> {
        let key = Key { owner: owner::AUDIT, id: b"in force".to_vec() };
        let before = match staged.get(&key) {
            // Looked at for every record: nothing is copied where nothing has changed.
            Some(bytes) if Self::is(bytes, pack, policy) => return None,
            bytes => bytes.and_then(Self::read),
        };
        let value = [&[VERSION], pack.as_bytes(), b"\n", policy.as_bytes()].concat();
        staged.put(key, value, None);
        before
    }

    fn is(bytes: &[u8], pack: &str, policy: &str) -> bool {
        let rest = bytes.strip_prefix(&[VERSION]);
        let rest = rest.and_then(|rest| rest.strip_prefix(pack.as_bytes()));
        rest.and_then(|rest| rest.strip_prefix(b"\n")) == Some(policy.as_bytes())
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes.strip_prefix(&[VERSION])?).ok()?;
        let (pack, policy) = text.split_once('\n')?;
        Some(Self { pack: pack.to_owned(), policy: policy.to_owned() })
    }
}

/// The hash by which the next record names this one.
#[must_use]
pub fn hash(record: &[u8]) -> Hash {
    Sha256::digest(record).into()
}

/// The bytes that hexadecimal digits of either case stand for, two digits each.
#[must_use]
pub fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect()
}

fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    from_hex(text)?.try_into().ok()
}
