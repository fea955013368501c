//! The difference of two byte strings, for values of which a change touches little.
//!
//! A delta is a row of steps: copy so many bytes of the old value, skip so many, then take
//! these new ones; what is left of the old value is copied. The number of bytes that the old
//! value must have stands in front. It finds changes in place (counters in a fixed layout)
//! and one run put in, cut or appended; it is not a general diff, which would cost more
//! than the bytes it saves.

/// Equal bytes fewer than this between two changes are written again: a step costs about as much.
const GAP: usize = 4;

/// Appends a number in groups of seven bits, low first.
pub(super) fn put_number(out: &mut Vec<u8>, mut n: u64) {
    while n >= 0x80 {
        out.push((n as u8) | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

/// Takes such a number off the front.
pub(super) fn take_number(bytes: &mut &[u8]) -> Option<u64> {
    let mut n = 0u64;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        n |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(n);
        }
    }
    None
}

/// Appends what makes `new` from `old`.
pub(super) fn diff(old: &[u8], new: &[u8], out: &mut Vec<u8>) {
    put_number(out, old.len() as u64);
    if old.len() == new.len() {
        diff_in_place(old, new, out);
        return;
    }
    let head = old.iter().zip(new).take_while(|(a, b)| a == b).count();
    let (old, new) = (old.get(head..).unwrap_or_default(), new.get(head..).unwrap_or_default());
    let tail = old.iter().rev().zip(new.iter().rev()).take_while(|(a, b)| a == b).count();
    let cut = old.len() - tail;
    step(head, cut, new.get(..new.len() - tail).unwrap_or_default(), out);
}

fn diff_in_place(old: &[u8], new: &[u8], out: &mut Vec<u8>) {
    let differs = |at: usize| old.get(at) != new.get(at);
    let (mut copied, mut at) = (0, 0);
    while at < old.len() {
        if !differs(at) {
            at += 1;
            continue;
        }
        let start = at;
        let mut end = at + 1;
        while at < old.len() && at < end + GAP {
            if differs(at) {
                end = at + 1;
            }
            at += 1;
        }
        step(start - copied, end - start, new.get(start..end).unwrap_or_default(), out);
        copied = end;
        at = end;
    }
}

fn step(copy: usize, skip: usize, with: &[u8], out: &mut Vec<u8>) {
    put_number(out, copy as u64);
    put_number(out, skip as u64);
    put_number(out, with.len() as u64);
    out.extend_from_slice(with);
}

/// The new value, or `None` where the delta does not belong to `old`.
pub(super) fn patch(mut old: &[u8], mut delta: &[u8]) -> Option<Vec<u8>> {
    if take_number(&mut delta)? != old.len() as u64 {
        return None;
    }
    let mut out = Vec::with_capacity(old.len() + delta.len());
    while !delta.is_empty() {
        let copy = usize::try_from(take_number(&mut delta)?).ok()?;
        let skip = usize::try_from(take_number(&mut delta)?).ok()?;
        let with = usize::try_from(take_number(&mut delta)?).ok()?;
        let (kept, rest) = old.split_at_checked(copy)?;
        out.extend_from_slice(kept);
        old = rest.get(skip..)?;
        let (new, rest) = delta.split_at_checked(with)?;
        out.extend_from_slice(new);
        delta = rest;
    }
    out.extend_from_slice(old);
    Some(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn delta(old: &[u8], new: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        diff(old, new, &mut out);
        out
    }

    #[test]
    fn a_small_change_of_a_large_value_costs_few_bytes() {
        let old = vec![7u8; 2048];
        let mut new = old.clone();
        new[100] = 1;
        new[1900] = 2;
        assert!(delta(&old, &new).len() < 16, "{:?}", delta(&old, &new));
        new.splice(500..500, [1, 2, 3]);
        assert_eq!(patch(&old, &delta(&old, &new)), Some(new));
    }

    #[test]
    fn a_delta_of_another_value_is_refused() {
        let delta = delta(b"0123456789", b"01234x6789");
        assert_eq!(patch(b"012", &delta), None);
        assert_eq!(patch(b"0123456789", &delta[..delta.len() - 1]), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]
        #[test]
        fn patching_with_the_difference_gives_the_new_value(
            old in proptest::collection::vec(0u8..3, 0..80),
            new in proptest::collection::vec(0u8..3, 0..80),
            changes in proptest::collection::vec((0usize..80, any::<u8>()), 0..4),
        ) {
            prop_assert_eq!(patch(&old, &delta(&old, &new)), Some(new));
            let mut edited = old.clone();
            for (at, byte) in changes {
                if let Some(slot) = edited.get_mut(at) {
                    *slot = byte;
                }
            }
            prop_assert_eq!(patch(&old, &delta(&old, &edited)), Some(edited));
        }

        #[test]
        fn arbitrary_deltas_do_not_panic(
            old in proptest::collection::vec(any::<u8>(), 0..40),
            delta in proptest::collection::vec(any::<u8>(), 0..40),
        ) {
            patch(&old, &delta);
        }
    }
}
