//! Readings of a string ("views"), and the way back from each to its raw bytes.
//!
//! A [`View`] is what the automata read; its [`OffsetMap`] leads every byte of it back to
//! the characters of the raw string that it stands for. Offsets leave this module only
//! as [`RawSpan`](crate::event::RawSpan)s on character boundaries. Which views a rule
//! asks for, and what a hit means, is `detect`'s business.
//!
//! One design choice matters: a view drops, merges and decodes characters but never moves
//! them, so a hit in a view is always one contiguous raw span that holds every dropped
//! character between its ends. (A line read backwards is one unit, moved as a whole.)
//!
//! `raw`, `clean` and `folded` are readings of any text. [`decode`], [`hidden`](hidden()) and
//! [`Turn`] give further texts, each to be read in those three ways again.

mod chars;
mod clean;
mod confusables;
pub mod decode;
mod edge;
mod folded;
mod hidden;
mod map;
mod survey;
mod turned;

pub use chars::{is_barrier, is_compat_digit_or_space, is_removed, is_unspaced, joins_words};
pub use clean::clean_into;
pub use edge::edge;
pub use folded::{Folder, LEET_BEFORE, Leet, fold_word, leet};
pub use hidden::{Hidden, hidden, hidden_span, may_hide};
pub use map::{OffsetMap, View, ViewSpan, whole_chars};
pub use survey::{Survey, may_differ, survey};
pub use turned::Turn;
pub(crate) use turned::rot13;

/// Removed runs longer than this many characters are not bridged: their last character
/// stays in the view, where no rule matches it.
pub const BRIDGED_MAX_CHARS: usize = 64;
