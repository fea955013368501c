//! Values as bytes in a fixed layout, so that a change of one counter changes few bytes and
//! the changelog's deltas stay small.

/// A value of known width.
pub(super) trait Fixed: Sized {
    /// Appends the value.
    fn put(&self, out: &mut Vec<u8>);
    /// Takes it off the front; `None` where bytes are missing.
    fn take(from: &mut &[u8]) -> Option<Self>;
}

macro_rules! numbers {
    ($($type:ty)+) => {
        $(impl Fixed for $type {
            fn put(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_be_bytes());
            }

            fn take(from: &mut &[u8]) -> Option<Self> {
                let (bytes, rest) = from.split_first_chunk()?;
                *from = rest;
                Some(Self::from_be_bytes(*bytes))
            }
        })+
    };
}

numbers! { u8 u16 u32 u64 i64 f32 }

impl<T: Fixed + Copy, const N: usize> Fixed for [T; N] {
    fn put(&self, out: &mut Vec<u8>) {
        for value in self {
            value.put(out);
        }
    }

    fn take(from: &mut &[u8]) -> Option<Self> {
        let mut all = [T::take(from)?; N];
        for value in all.iter_mut().skip(1) {
            *value = T::take(from)?;
        }
        Some(all)
    }
}

/// Makes a struct a row of its fields.
macro_rules! row {
    ($type:ident { $($field:tt),+ $(,)? }) => {
        impl $crate::baseline::wire::Fixed for $type {
            fn put(&self, out: &mut Vec<u8>) {
                $($crate::baseline::wire::Fixed::put(&self.$field, out);)+
            }

            fn take(from: &mut &[u8]) -> Option<Self> {
                Some(Self { $($field: $crate::baseline::wire::Fixed::take(from)?),+ })
            }
        }
    };
}
pub(super) use row;
