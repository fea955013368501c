//! Literals of which each begins where a word does, looked for at the beginnings of words alone.
//!
//! A KB of prose has some two hundred words, and phrases by the thousand begin with the same few.
//! Literals are cut into chunks of eight bytes, so that a word's beginning is compared with all of
//! them by a few looks into one hash table, however many they are. A filter says first, without a
//! branch, for which lengths a literal's first chunk may stand there; few words pass.

/// The most bytes of a chunk.
const CHUNK: usize = size_of::<u64>();
/// Lengths of a literal's first chunk: each is one more look for every word.
const FIRST: [usize; 4] = [3, 4, 6, 8];
/// No literal is shorter.
pub(super) const SHORTEST: usize = FIRST[0];
/// No literal ends here, or no other goes on from here.
const NONE: u32 = u32::MAX;
/// Bits of the filter for each chunk at the root, at least: one in thirty-two passes by chance.
const FILTER_BITS: usize = 32;

/// Literals, numbered in the order that they were given in.
pub(super) struct Trie {
    /// One bit for each hash of a chunk at the root; a power of two.
    filter: Vec<u64>,
    nodes: Vec<Node>,
    /// Open addressing; a power of two, at most half full.
    slots: Vec<Slot>,
}

/// What the chunks of a node have in common.
#[derive(Clone, Copy, Default)]
struct Node {
    /// Their first bytes, and the second ones of those that have one: a bit for each low half dozen.
    firsts: u64,
    seconds: u64,
    /// Their lengths, one bit each.
    lengths: u8,
}

#[derive(Clone, Copy)]
struct Slot {
    chunk: u64,
    node: u32,
    len: u32,
    /// What ends with this chunk.
    literal: u32,
    /// Where longer ones go on.
    child: u32,
}

const EMPTY: Slot = Slot { chunk: 0, node: NONE, len: 0, literal: NONE, child: NONE };

impl Trie {
    /// Each literal once, none of them shorter than [`SHORTEST`].
    pub(super) fn new(literals: &[Vec<u8>]) -> Self {
        let chunks: usize = literals.iter().map(|literal| literal.len() / CHUNK + 2).sum();
        let mut trie = Self {
            filter: Vec::new(),
            nodes: vec![Node::default()],
            slots: vec![EMPTY; (chunks * 2).next_power_of_two().max(2)],
        };
        for (id, literal) in (0..).zip(literals) {
            trie.insert(id, literal);
        }
        trie.shrink();
        let root: Vec<Slot> = trie.slots.iter().copied().filter(|slot| slot.node == 0).collect();
        trie.filter = vec![0; (root.len() * FILTER_BITS / 64).next_power_of_two()];
        for slot in root {
            let (word, bit) = trie.bit(slot.chunk);
            trie.filter[word] |= bit;
        }
        trie
    }

    fn insert(&mut self, id: u32, literal: &[u8]) {
        let first = FIRST.into_iter().rfind(|&len| len <= literal.len());
        let (first, rest) = literal.split_at(first.unwrap_or(literal.len()));
        let mut slot = self.grow(0, first);
        for chunk in rest.chunks(CHUNK) {
            if self.slots[slot].child == NONE {
                self.slots[slot].child = self.nodes.len() as u32;
                self.nodes.push(Node::default());
            }
            slot = self.grow(self.slots[slot].child, chunk);
        }
        self.slots[slot].literal = id;
    }

    /// Literals that begin alike share slots: as many as are taken, half full, are enough.
    fn shrink(&mut self) {
        let taken: Vec<Slot> =
            self.slots.iter().copied().filter(|slot| slot.node != NONE).collect();
        self.slots = vec![EMPTY; (taken.len() * 2).next_power_of_two().max(2)];
        for slot in taken {
            let at = self.slot_of(slot.node, slot.len, slot.chunk);
            self.slots[at] = slot;
        }
    }

    /// The slot of a node's chunk, made where there is none.
    fn grow(&mut self, node: u32, bytes: &[u8]) -> usize {
        let (chunk, len) = (load(bytes, 0), bytes.len() as u32);
        self.nodes[node as usize].add(chunk, len);
        let at = self.slot_of(node, len, chunk);
        self.slots[at] = Slot { chunk, node, len, ..self.slots[at] };
        at
    }

    /// The slot of a chunk, or the empty one where it would be.
    fn slot_of(&self, node: u32, len: u32, chunk: u64) -> usize {
        let last = self.slots.len() - 1;
        let mut at = (hash(node, len, chunk) >> 32) as usize & last;
        loop {
            let slot = &self.slots[at];
            if slot.node == NONE || (slot.chunk == chunk && slot.node == node && slot.len == len) {
                return at;
            }
            at = (at + 1) & last;
        }
    }

    /// Names the literals that stand in the text from `from` on, and where each ends.
    pub(super) fn at<E>(
        &self,
        text: &[u8],
        from: usize,
        found: &mut impl FnMut(usize, usize) -> Result<(), E>,
    ) -> Result<(), E> {
        self.below(0, self.first_chunks(load(text, from)), text, from, found)
    }

    /// The same below a node, for chunks of these lengths.
    fn below<E>(
        &self,
        node: u32,
        mut lengths: u8,
        text: &[u8],
        from: usize,
        found: &mut impl FnMut(usize, usize) -> Result<(), E>,
    ) -> Result<(), E> {
        let bytes = load(text, from);
        while lengths != 0 {
            let len = lengths.trailing_zeros() + 1;
            lengths &= lengths - 1;
            let slot = &self.slots[self.slot_of(node, len, of_len(bytes, len as usize))];
            let end = from + len as usize;
            if slot.literal != NONE && end <= text.len() {
                found(slot.literal as usize, end)?;
            }
            if slot.child != NONE {
                let lengths = self.nodes[slot.child as usize].lengths_at(load(text, end));
                self.below(slot.child, lengths, text, end, found)?;
            }
        }
        Ok(())
    }

    /// The lengths of the chunks at the root that these bytes may begin with, one bit each.
    fn first_chunks(&self, bytes: u64) -> u8 {
        FIRST.into_iter().fold(0, |lengths, len| {
            let (word, bit) = self.bit(of_len(bytes, len));
            lengths | u8::from(self.filter[word] & bit != 0) << (len - 1)
        })
    }

    /// The filter's bit of a chunk: the index of its word, and the bit there.
    fn bit(&self, chunk: u64) -> (usize, u64) {
        let hash = chunk.wrapping_mul(FACTOR);
        ((hash >> 32) as usize & (self.filter.len() - 1), 1 << (hash >> 58))
    }
}

impl Node {
    fn add(&mut self, chunk: u64, len: u32) {
        self.lengths |= 1 << (len - 1);
        self.firsts |= 1 << (chunk & 63);
        if len > 1 {
            self.seconds |= 1 << (chunk >> 8 & 63);
        }
    }

    /// The lengths of the chunks that these bytes may begin with, one bit each.
    fn lengths_at(&self, bytes: u64) -> u8 {
        let first = (self.firsts >> (bytes & 63)) as u8 & 1;
        let second = (self.seconds >> (bytes >> 8 & 63)) as u8 & 1;
        // All ones where the byte may stand there.
        self.lengths & first.wrapping_neg() & (second.wrapping_neg() | 1)
    }
}

/// The first of eight bytes.
fn of_len(bytes: u64, len: usize) -> u64 {
    bytes & (u64::MAX >> (64 - 8 * len))
}

/// The bytes from a place on; behind the text's end there are zeros.
fn load(text: &[u8], at: usize) -> u64 {
    if let Some(bytes) = text.get(at..at + CHUNK).and_then(|bytes| bytes.try_into().ok()) {
        return u64::from_le_bytes(bytes);
    }
    let rest = text.get(at..).unwrap_or_default();
    rest.iter().rev().fold(0, |chunk, &byte| chunk << 8 | u64::from(byte))
}

/// Odd, of many bits: the upper half of a product depends on all bits of the other factor.
const FACTOR: u64 = 0x9E37_79B9_7F4A_7C15;

fn hash(node: u32, len: u32, chunk: u64) -> u64 {
    let chunk = (chunk ^ u64::from(node) << 20 ^ u64::from(len) << 60).wrapping_mul(FACTOR);
    (chunk ^ chunk >> 32).wrapping_mul(FACTOR)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use proptest::prelude::*;

    use super::*;

    fn found(trie: &Trie, text: &[u8], from: usize) -> Vec<(usize, usize)> {
        let mut all = Vec::new();
        let outcome: Result<(), Infallible> = trie.at(text, from, &mut |id, end| {
            all.push((id, end));
            Ok(())
        });
        assert_eq!(outcome, Ok(()));
        all
    }

    #[test]
    fn zeros_behind_the_text_are_no_part_of_it() {
        let trie = Trie::new(&[b"abc".to_vec(), b"abc\0".to_vec(), b"abcdefgh\0".to_vec()]);
        assert_eq!(found(&trie, b"abc", 0), [(0, 3)]);
        assert_eq!(found(&trie, b"abc\0", 0), [(0, 3), (1, 4)]);
        assert_eq!(found(&trie, b"abcdefgh", 0), [(0, 3)]);
        assert_eq!(found(&trie, b"xx", 2), []);
    }

    #[test]
    fn without_literals_nothing_is_found() {
        assert_eq!(found(&Trie::new(&[]), b"any", 0), []);
    }

    proptest! {
        #[test]
        fn it_finds_all_literals_that_stand_there(
            literals in prop::collection::btree_set("[ab]{3,20}|[a-c]{5,9}", 0..60),
            text in "[abc]{0,40}",
            from in 0..41_usize,
        ) {
            let literals: Vec<Vec<u8>> = literals.into_iter().map(String::into_bytes).collect();
            let rest = text.as_bytes().get(from..).unwrap_or_default();
            let stands = |(id, literal): (usize, &Vec<u8>)| {
                rest.starts_with(literal).then_some((id, from + literal.len()))
            };
            let mut wanted: Vec<_> = literals.iter().enumerate().filter_map(stands).collect();
            wanted.sort_unstable_by_key(|(_, end)| *end);
            let mut found = found(&Trie::new(&literals), text.as_bytes(), from);
            found.sort_unstable_by_key(|(_, end)| *end);
            prop_assert_eq!(found, wanted);
        }
    }
}
