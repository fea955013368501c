//! Signed heads of chains: what proves that a chain was not cut short or written anew.

use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};

use crate::audit::{Hash, Head, hex, unhex};
use crate::redact::Key32;

/// Records of a partition between two anchors.
pub const ANCHOR_EVERY: u64 = 1024;

/// Signs anchors with the audit key.
#[derive(Clone)]
pub struct Signer(SigningKey);

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Signer(…)")
    }
}

impl Signer {
    /// From the seed of an Ed25519 key.
    #[must_use]
    pub fn new(seed: &Key32) -> Self {
        Self(SigningKey::from_bytes(&seed.0))
    }

    /// The key by which anchors are checked; it may be known to all.
    #[must_use]
    pub fn public(&self) -> [u8; 32] {
        self.0.verifying_key().to_bytes()
    }
}

/// The head of a chain at one point.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Anchor {
    /// Name of the events topic.
    pub topic: String,
    /// Partition of the chain.
    pub partition: i32,
    /// `seq` of the last record that it covers.
    pub seq: u64,
    /// Hash of that record.
    pub hash: Hash,
    /// Signature; `None` where no audit key was set.
    pub signature: Option<[u8; 64]>,
}

impl Anchor {
    /// The anchor due at this head, if one is.
    #[must_use]
    pub fn due(topic: &str, partition: i32, head: &Head, signer: Option<&Signer>) -> Option<Self> {
        if head.next == 0 || !head.next.is_multiple_of(ANCHOR_EVERY) {
            return None;
        }
        let mut anchor = Self {
            topic: topic.to_owned(),
            partition,
            seq: head.next - 1,
            hash: head.hash,
            signature: None,
        };
        anchor.signature = signer.map(|signer| signer.0.sign(&anchor.signed()).to_bytes());
        Some(anchor)
    }

    /// Whether it was signed with the key of this public half.
    #[must_use]
    pub fn is_signed_by(&self, public: &[u8; 32]) -> bool {
        let (Ok(key), Some(signature)) = (VerifyingKey::from_bytes(public), self.signature) else {
            return false;
        };
        key.verify_strict(&self.signed(), &Signature::from_bytes(&signature)).is_ok()
    }

    /// The record of the anchors topic.
    #[must_use]
    pub fn write(&self) -> Vec<u8> {
        serde_json::json!({
            "v": 1,
            "topic": self.topic,
            "partition": self.partition,
            "seq": self.seq,
            "hash": hex(&self.hash),
            "sig": self.signature.map(|signature| hex(&signature)),
        })
        .to_string()
        .into_bytes()
    }

    /// Reads a record of the anchors topic; `None` where it is none.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let json: serde_json::Value = serde_json::from_slice(bytes).ok()?;
        if json.get("v")?.as_u64()? != 1 {
            return None;
        }
        let signature = match json.get("sig")? {
            serde_json::Value::Null => None,
            sig => Some(unhex(sig.as_str()?)?),
        };
        Some(Self {
            topic: json.get("topic")?.as_str()?.to_owned(),
            partition: i32::try_from(json.get("partition")?.as_i64()?).ok()?,
            seq: json.get("seq")?.as_u64()?,
            hash: unhex(json.get("hash")?.as_str()?)?,
            signature,
        })
    }

    /// What is signed: a first line that no other signature of ours begins with, then all
    /// that counts, the topic last because it alone has no fixed form.
    fn signed(&self) -> Vec<u8> {
        let Self { topic, partition, seq, hash, .. } = self;
        format!("weir anchor 1\n{partition}\n{seq}\n{}\n{topic}", hex(hash)).into_bytes()
    }
}
