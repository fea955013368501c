//! From a text to tokens, each with the bytes of the text that it stands for.

use std::collections::VecDeque;

use tokenizers::Tokenizer;

/// A text is cut into pieces of about this size, at white space, before it is tokenised: what
/// a tokenizer keeps beside the tokens is some hundred bytes for each.
const PIECE_BYTES: usize = 16 << 10;

/// A model's tokenizer, as its `tokenizer.json` says.
pub(super) struct Tokens {
    tokenizer: Tokenizer,
    /// What stands before and behind a text.
    pub(super) begin: Vec<u32>,
    pub(super) end: Vec<u32>,
    pub(super) pad: u32,
    respace: bool,
}

/// A tokenised text.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Encoded {
    pub(super) ids: Vec<u32>,
    /// First byte of each token, and one past its last.
    pub(super) spans: Vec<(u32, u32)>,
}

impl Tokens {
    /// Reads a `tokenizer.json`.
    ///
    /// # Errors
    /// What is wrong with it, in one line.
    pub(super) fn read(json: &[u8], respace: bool) -> Result<Self, String> {
        let said = |error: tokenizers::Error| one_line(&error.to_string());
        let mut tokenizer = Tokenizer::from_bytes(json)
            .map_err(|error| format!("not a tokenizer: {}", said(error)))?;
        // Both are left behind by training, and would cut texts short in silence.
        tokenizer.with_padding(None);
        tokenizer.with_truncation(None).map_err(said)?;
        // A text that spells a special token, such as [SEP] or [PAD], must not become one.
        tokenizer.set_encode_special_tokens(true);
        let probe = tokenizer.encode("a", true).map_err(said)?;
        let plain = tokenizer.encode("a", false).map_err(said)?;
        let ids = probe.get_ids();
        let at = ids
            .windows(plain.len().max(1))
            .position(|window| window == plain.get_ids())
            .filter(|_| !plain.is_empty());
        let (begin, end) = match at {
            Some(at) => (&ids[..at], &ids[at + plain.len()..]),
            None => return Err("it gives no tokens for the letter `a`".to_owned()),
        };
        let pad = ["[PAD]", "<pad>", "<|pad|>", "<|endoftext|>"];
        let pad = pad.iter().find_map(|name| tokenizer.token_to_id(name)).unwrap_or(0);
        let (begin, end) = (begin.to_vec(), end.to_vec());
        Ok(Self { tokenizer, begin, end, pad, respace })
    }

    /// Tokens of a whole text, without the model's own begin and end.
    ///
    /// # Errors
    /// What the tokenizer said.
    pub(super) fn encode(&self, text: &str) -> Result<Encoded, String> {
        let mut encoded = Encoded::default();
        let mut from = 0;
        while from < text.len() {
            let to = cut(text, from);
            let piece = text.get(from..to).unwrap_or_default();
            if self.respace {
                let respaced = self.respaced(piece)?;
                self.piece(&respaced.text, &mut encoded, |at| {
                    from + respaced.raw.get(at).copied().unwrap_or(piece.len() as u32) as usize
                })?;
            } else {
                self.piece(piece, &mut encoded, |at| from + at)?;
            }
            from = to;
        }
        Ok(encoded)
    }

    fn piece(
        &self,
        piece: &str,
        into: &mut Encoded,
        raw: impl Fn(usize) -> usize,
    ) -> Result<(), String> {
        let said = |error: tokenizers::Error| one_line(&error.to_string());
        let found = self.tokenizer.encode(piece, false).map_err(said)?;
        into.ids.extend_from_slice(found.get_ids());
        into.spans.extend(found.get_offsets().iter().map(|&(start, end)| {
            let start = raw(start);
            // The end is that of the last byte: what was left out behind it is no part of it.
            let end = if end == 0 { start } else { raw(end - 1) + 1 };
            (start as u32, end.max(start) as u32)
        }));
        Ok(())
    }

    /// The white-space treatment of the Prompt Guard family, whose models were trained with it:
    /// all white space is dropped, what is left is tokenised, and one space is put back before
    /// each token that had white space before it. So a word that was spaced out letter by letter
    /// closes up again.
    fn respaced(&self, text: &str) -> Result<Respaced, String> {
        let mut packed = String::with_capacity(text.len());
        // For each byte of `packed`, where it came from.
        let mut raw: Vec<u32> = Vec::with_capacity(text.len());
        // Bytes of `packed` before which there was white space.
        let mut gaps = VecDeque::new();
        for (at, c) in text.char_indices() {
            if c.is_whitespace() {
                if gaps.back() != Some(&packed.len()) && !packed.is_empty() {
                    gaps.push_back(packed.len());
                }
                continue;
            }
            packed.push(c);
            raw.extend((at..at + c.len_utf8()).map(|byte| byte as u32));
        }
        let found = self.tokenizer.encode(packed.as_str(), false);
        let found = found.map_err(|error| one_line(&error.to_string()))?;
        let mut respaced = Respaced::default();
        let mut done = 0;
        for &(start, _) in found.get_offsets() {
            while gaps.front().is_some_and(|&gap| gap < start) {
                gaps.pop_front();
            }
            if gaps.front() == Some(&start) && start > done {
                respaced.push(&packed, &raw, done..start);
                respaced.text.push(' ');
                respaced.raw.push(raw.get(start).copied().unwrap_or_default());
                done = start;
            }
        }
        respaced.push(&packed, &raw, done..packed.len());
        Ok(respaced)
    }
}

/// A text, and where each of its bytes stood.
#[derive(Default)]
struct Respaced {
    text: String,
    raw: Vec<u32>,
}

impl Respaced {
    fn push(&mut self, packed: &str, raw: &[u32], range: std::ops::Range<usize>) {
        self.text.push_str(packed.get(range.clone()).unwrap_or_default());
        self.raw.extend_from_slice(raw.get(range).unwrap_or_default());
    }
}

/// Where the piece that begins at `from` ends: before white space if there is any in reach.
fn cut(text: &str, from: usize) -> usize {
    let rest = text.len() - from;
    if rest <= PIECE_BYTES {
        return text.len();
    }
    let limit = text.floor_char_boundary(from + PIECE_BYTES);
    let piece = text.get(from..limit).unwrap_or_default();
    let half = piece.floor_char_boundary(PIECE_BYTES / 2);
    let gap = piece.get(half..).and_then(|tail| tail.rfind(char::is_whitespace));
    gap.map_or(limit, |at| from + half + at)
}

/// An error of somebody else, fit for one line of a log.
pub(super) fn one_line(text: &str) -> String {
    let mut joined = text.split_whitespace().collect::<Vec<_>>().join(" ");
    // The runtime begins with the place in its own source.
    if joined.starts_with('/')
        && let Some((_, rest)) = joined.split_once(") ")
    {
        joined = rest.to_owned();
    }
    let end = joined.floor_char_boundary(300);
    joined.get(..end).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(name: &str, respace: bool) -> Tokens {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        let path = root.join("tests/classifier").join(name).join("tokenizer.json");
        Tokens::read(&std::fs::read(path).unwrap(), respace).unwrap()
    }

    #[test]
    fn begin_end_and_padding_are_the_tokenizers_own() {
        let bert = read("three", false);
        assert_eq!((bert.begin.as_slice(), bert.end.as_slice(), bert.pad), (&[2][..], &[3][..], 0));
        let sentence = read("two", false);
        assert_eq!((sentence.begin.as_slice(), sentence.end.as_slice()), (&[1][..], &[2][..]));
    }

    #[test]
    fn no_text_is_cut_short_and_none_becomes_a_special_token() {
        for name in ["three", "two"] {
            let tokens = read(name, false);
            let long = "the weather ".repeat(5_000).trim_end().to_owned();
            let encoded = tokens.encode(&long).unwrap();
            assert_eq!(encoded.ids.len(), 10_000, "{name}");
            let last = encoded.spans.last().unwrap();
            let word = long.get(last.0 as usize..last.1 as usize).unwrap();
            assert_eq!(word.trim(), "weather", "{name}");
            let special = tokens.encode("hello [SEP][PAD] hello").unwrap();
            for id in tokens.begin.iter().chain(&tokens.end).chain([&tokens.pad]) {
                assert!(!special.ids.contains(id), "{name}: {:?}", special.ids);
            }
        }
    }

    #[test]
    fn spaced_out_words_close_up() {
        let (plain, respaced) = (read("three", false), read("three", true));
        let text = "w e a t h e r  and\n\nbridge";
        let whole = |tokens: &Tokens, text: &str| tokens.encode(text).unwrap().ids;
        assert_ne!(whole(&plain, text), whole(&plain, "weatherandbridge"));
        let encoded = respaced.encode(text).unwrap();
        let known = |word: &str| whole(&plain, word)[0];
        assert_eq!(encoded.ids[0], known("weather"), "{encoded:?}");
        assert_eq!(encoded.spans[0], (0, 13));
    }

    #[test]
    fn what_is_no_tokenizer_is_said_in_one_line() {
        for json in ["", "{}", "[1]", "{\"model\":{\"type\":\"WordPiece\"}}"] {
            let said = Tokens::read(json.as_bytes(), false).err().unwrap();
            assert!(said.starts_with("not a tokenizer: ") && !said.contains('\n'), "{said}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

        /// Tokens stand in order, inside the text, on whole characters.
        #[test]
        fn spans_stand_in_the_text(
            text in "[a-zA-Zé ß\u{4e2d}\u{1f600}.\n]{0,200}",
            times in 1_usize..300,
            respace in any::<bool>(),
        ) {
            let text = text.repeat(times);
            for name in ["three", "two"] {
                let encoded = read(name, respace).encode(&text).unwrap();
                prop_assert_eq!(encoded.ids.len(), encoded.spans.len());
                let mut before = 0;
                for &(start, end) in &encoded.spans {
                    prop_assert!(start <= end && end as usize <= text.len());
                    prop_assert!(start >= before, "{} after {}", start, before);
                    before = start;
                }
            }
        }
    }
}
