//! Runs of an alphabet that decode to text: base64 and hexadecimal.
//!
//! Runs are found by looking at the last byte that a run of the least length would have,
//! as string search does, so prose is passed over in steps. A run is decoded from each of
//! the places where a group may begin, because a path or a name may stand before it, and
//! counts where most of it is text. Binary data fails that from its first bytes on: a test
//! on the top bits of groups rejects it before anything is decoded.

use super::{Decoder, Item};
use crate::event::RawSpan;
use crate::text::hidden::is_sign;

/// Shortest run of base64 or hex: ten bytes of text.
const RUN_MIN: usize = 16;
/// Shortest list of hexadecimal pairs, in pairs and in characters.
const PAIRS_MIN: usize = 8;
const PAIRS_MIN_CHARS: usize = PAIRS_MIN * 3 - 1;
/// A stretch of text this long is no accident: one in four million by chance.
const STRETCH_MIN: usize = 16;
/// A shorter one counts where it is all of its run but for this.
const WHOLE_BUT: usize = 3;
/// As much may stand before or behind the text of a run without speaking against it.
const AROUND_MAX: usize = 32;
/// So long a stretch of words, with so many gaps, is text whatever else its run holds: what is put
/// before and behind it must not hide it.
const PROSE_MIN: usize = 24;
const PROSE_GAPS: usize = 3;
/// Runs up to this are decoded without a test before.
const SHORT: usize = 1024;
/// Longer runs, and lists of so many pairs, are read in pieces: a reader of a stream waits for
/// the end of each.
const RUN_MAX: usize = 8 * 1024;
const PAIRS_MAX: usize = 2 * 1024;

/// Lengths of runs, and of what lists of pairs are looked for in.
const RUNS: (usize, usize) = (RUN_MIN, RUN_MAX);
const LISTS: (usize, usize) = (PAIRS_MIN_CHARS, usize::MAX);

const BASE64: u8 = 1;
const PAIRS: u8 = 2;
const HEX: u8 = 4;

const CLASSES: [u8; 256] = {
    let mut table = [0; 256];
    let mut at = 0;
    while at < 256 {
        let byte = at as u8;
        let hex = byte.is_ascii_hexdigit();
        let base64 = byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_');
        let pairs =
            hex || matches!(byte, b' ' | b',' | b':' | b';' | b'-' | b'x' | b'X' | b'\n' | b'\r');
        table[at] = ((base64 as u8) * BASE64) | ((pairs as u8) * PAIRS) | ((hex as u8) * HEX);
        at += 1;
    }
    table
};

const NONE: u8 = 0xFF;

const SEXTETS: [u8; 256] = {
    let mut table = [NONE; 256];
    let mut at = 0;
    while at < 256 {
        let byte = at as u8;
        table[at] = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => NONE,
        };
        at += 1;
    }
    table
};

fn is(byte: u8, class: u8) -> bool {
    CLASSES[usize::from(byte)] & class != 0
}

/// The next run of at least `least` bytes of the class, and of at most `most`.
fn next(bytes: &[u8], from: usize, class: u8, (least, most): (usize, usize)) -> Option<RawSpan> {
    let mut start = from;
    while let Some(window) = bytes.get(start..start + least) {
        if let Some(at) = window.iter().rposition(|&byte| !is(byte, class)) {
            start += at + 1;
        } else {
            let more = bytes.iter().skip(start + least).take(most - least);
            let end = start + least + more.take_while(|&&byte| is(byte, class)).count();
            return Some(RawSpan { start, end });
        }
    }
    None
}

/// Whether the bytes hold a run that is worth a look.
pub(super) fn any(bytes: &[u8]) -> bool {
    next_code(bytes, 0).is_some() || next(bytes, 0, PAIRS, LISTS).is_some()
}

/// The next run of base64 or hex that is no name in lower case: text has a capital or a
/// digit in nearly every group.
fn next_code(bytes: &[u8], mut from: usize) -> Option<RawSpan> {
    loop {
        let run = next(bytes, from, BASE64, RUNS)?;
        let chars = bytes.get(run.start..run.end)?;
        if chars.iter().any(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit()) {
            return Some(run);
        }
        from = run.end;
    }
}

/// Appends the runs that decode to text.
pub(super) fn items(text: &str, begin: usize, out: &mut Vec<Item>) {
    let bytes = text.as_bytes();
    let mut run = Run::default();
    let mut from = begin;
    while let Some(first) = next_code(bytes, from) {
        from = run.wrapped(bytes, first);
        let before = out.len();
        run.items(bytes, out);
        if out.len() == before && run.lines.len() > 1 {
            // Not one run on several lines, then, but one on each, if that.
            let mut line = first.start;
            while let Some(alone) = next_code(bytes, line)
                && alone.start < from
            {
                line = alone.end;
                run.one(bytes, alone);
                run.items(bytes, out);
            }
        }
    }
    let mut from = begin;
    while let Some(found) = next(bytes, from, PAIRS, LISTS) {
        from = found.end;
        pairs(bytes, found, out);
    }
}

/// A run, its characters as numbers and where they stand.
#[derive(Default)]
struct Run {
    span: RawSpan,
    sextets: Vec<u8>,
    /// First character and its place, line by line.
    lines: Vec<(usize, usize)>,
    decoded: Vec<u8>,
}

impl Run {
    fn push_line(&mut self, bytes: &[u8], line: RawSpan) {
        self.lines.push((self.sextets.len(), line.start));
        let chars = bytes.get(line.start..line.end).unwrap_or_default();
        self.sextets.extend(chars.iter().map(|&byte| SEXTETS[usize::from(byte)]));
        self.span.end = line.end;
    }

    /// Takes one line, and the signs that fill its last group.
    fn one(&mut self, bytes: &[u8], line: RawSpan) {
        self.sextets.clear();
        self.lines.clear();
        self.span = line;
        self.push_line(bytes, line);
        self.span.end = filled(bytes, line.end);
    }

    /// Takes a line and those below it that go on with it: as long, but for the last.
    /// Returns where to look on.
    fn wrapped(&mut self, bytes: &[u8], first: RawSpan) -> usize {
        self.one(bytes, first);
        while self.span.end == self.last_end() {
            let at = match bytes.get(self.span.end..) {
                Some([b'\n', ..]) => self.span.end + 1,
                Some([b'\r', b'\n', ..]) => self.span.end + 2,
                _ => break,
            };
            let most = bytes.get(at..bytes.len().min(at + first.len() + 1)).unwrap_or_default();
            let count = most.iter().take_while(|&&byte| is(byte, BASE64)).count();
            if count == 0 || count > first.len() || self.sextets.len() + count > RUN_MAX {
                break;
            }
            self.push_line(bytes, RawSpan { start: at, end: at + count });
            self.span.end = filled(bytes, at + count);
            if count < first.len() {
                break;
            }
        }
        self.span.end
    }

    /// Where the last line's characters end.
    fn last_end(&self) -> usize {
        self.lines.last().map_or(0, |&(at, raw)| raw + self.sextets.len() - at)
    }

    /// Where a character stands.
    fn place(&self, sextet: usize) -> usize {
        let line = self.lines.partition_point(|&(at, _)| at <= sextet).saturating_sub(1);
        self.lines.get(line).map_or(0, |&(at, raw)| raw + sextet - at)
    }

    fn items(&mut self, bytes: &[u8], out: &mut Vec<Item>) {
        if self.lines.len() > 1 {
            return self.base64_items(bytes, out);
        }
        let line = RawSpan { start: self.span.start, end: self.last_end() };
        let chars = bytes.get(line.start..line.end).unwrap_or_default();
        let before = out.len();
        let mut from = 0;
        while let Some(digits) = next(chars, from, HEX, RUNS) {
            from = digits.end;
            let start = line.start + digits.start;
            self.hex_items(bytes, RawSpan { start, end: line.start + digits.end }, out);
        }
        if chars.iter().all(|&byte| is(byte, HEX)) {
            return;
        }
        if out.len() == before {
            return self.base64_items(bytes, out);
        }
        // What stands before, between and behind the digits.
        let mut hex: Vec<RawSpan> = out.iter().skip(before).map(|item| item.raw).collect();
        hex.push(RawSpan { start: line.end, end: line.end });
        let mut start = line.start;
        for digits in hex {
            let rest = RawSpan { start, end: digits.start.max(start) };
            start = digits.end;
            if rest.len() >= RUN_MIN {
                self.one(bytes, rest);
                self.base64_items(bytes, out);
            }
        }
    }

    fn base64_items(&mut self, bytes: &[u8], out: &mut Vec<Item>) {
        let raw = bytes.get(self.span.start..self.last_end()).unwrap_or_default();
        let mut found = Vec::new();
        let mut read = 0;
        for shift in 0..4 {
            if self.decode_base64(shift) {
                stretches(&self.decoded, |text| found.push((shift, text)));
                // One decoding is as long as the other, but for a byte or two.
                read = read.max(self.decoded.len());
                let text: usize = found.iter().map(|(_, text): &(usize, Stretch)| text.keep).sum();
                if text * 10 >= read * 9 {
                    break;
                }
            }
        }
        let url = raw.iter().any(|byte| matches!(byte, b'-' | b'_'))
            && !raw.iter().any(|byte| matches!(byte, b'+' | b'/'));
        for (shift, text) in most_text(found, read) {
            let first = shift + text.skip / 3 * 4;
            let last = (shift + (text.skip + text.keep).div_ceil(3) * 4).min(self.sextets.len());
            let end = if last == self.sextets.len() {
                self.span.end
            } else {
                self.place(last.saturating_sub(1)) + 1
            };
            out.push(Item {
                raw: RawSpan { start: self.place(first), end },
                run: self.span,
                decoder: Some(match (text.utf16, url) {
                    (true, _) => Decoder::Base64Utf16,
                    (false, true) => Decoder::Base64Url,
                    (false, false) => Decoder::Base64,
                }),
                skip: text.skip % 3,
                keep: text.keep,
            });
        }
    }

    /// Decodes from the given character on, unless that is no text in any likelihood.
    fn decode_base64(&mut self, shift: usize) -> bool {
        let groups = self.sextets.get(shift..).unwrap_or_default().chunks(4);
        if self.sextets.len() > SHORT {
            let plain = groups.clone().filter(
                |group| matches!(**group, [a, b, c, _] if a < 32 && b & 8 == 0 && c & 2 == 0),
            );
            // Of random bytes, one group in eight looks like ASCII; of text in scripts of
            // several bytes, few do, so these are told by a sample.
            if plain.count() * 4 < groups.len() && !self.sample(shift) {
                return false;
            }
        }
        self.decoded.clear();
        groups.for_each(|group| push_group(group, &mut self.decoded));
        true
    }

    /// Whether pieces from all over the run are text.
    fn sample(&self, shift: usize) -> bool {
        let groups = self.sextets.get(shift..).unwrap_or_default();
        let step = (groups.len() / 4 / 8).max(1) * 4;
        let mut piece = Vec::with_capacity(96);
        let mut text = 0;
        let mut all = 0;
        for sample in groups.chunks(step).take(8) {
            piece.clear();
            sample.chunks(4).take(32).for_each(|group| push_group(group, &mut piece));
            all += piece.len();
            text += piece.utf8_chunks().map(|chunk| chunk.valid().len()).sum::<usize>();
        }
        text * 4 > all * 3
    }

    fn hex_items(&mut self, bytes: &[u8], run: RawSpan, out: &mut Vec<Item>) {
        let digits = bytes.get(run.start..run.end).unwrap_or_default();
        let mut found = Vec::new();
        for shift in 0..2 {
            let pairs = digits.get(shift..).unwrap_or_default().chunks_exact(2);
            // ASCII has 0 to 7 first; random digits half of the time, text in other scripts
            // less often.
            let plain = pairs.clone().filter(|pair| matches!(pair, [b'0'..=b'7', _])).count();
            if run.len() > SHORT && plain * 8 < pairs.len() * 5 && !is_utf8_hex(pairs.clone()) {
                continue;
            }
            self.decoded.clear();
            self.decoded.extend(pairs.filter_map(byte_of));
            stretches(&self.decoded, |text| found.push((shift, text)));
        }
        for (shift, text) in most_text(found, run.len() / 2) {
            let mut start = run.start + shift + text.skip * 2;
            if start == run.start
                && let Some(before) = start.checked_sub(2)
                && matches!(bytes.get(before..start), Some([b'0', b'x' | b'X']))
            {
                start = before;
            }
            out.push(Item {
                raw: RawSpan { start, end: run.start + shift + (text.skip + text.keep) * 2 },
                run: RawSpan { start: run.start.min(start), end: run.end },
                decoder: Some(if text.utf16 { Decoder::HexUtf16 } else { Decoder::Hex }),
                skip: 0,
                keep: text.keep,
            });
        }
    }
}

/// Whether the first bytes of a long run are UTF-8 of several bytes.
fn is_utf8_hex<'p>(pairs: impl Iterator<Item = &'p [u8]>) -> bool {
    let head: Vec<u8> = pairs.take(256).filter_map(byte_of).collect();
    head.utf8_chunks().map(|chunk| chunk.valid().len()).sum::<usize>() * 4 > head.len() * 3
}

/// The byte of two hexadecimal digits.
pub(super) fn byte_of(pair: &[u8]) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    match pair {
        [a, b] => Some((digit(*a)? << 4 | digit(*b)?) as u8),
        _ => None,
    }
}

/// The number of a base64 character, of the standard alphabet or that of URLs.
pub(crate) fn sextet(byte: u8) -> Option<u8> {
    Some(SEXTETS[usize::from(byte)]).filter(|&sextet| sextet != NONE)
}

/// Appends the bytes of up to four characters.
pub(super) fn push_group(group: &[u8], out: &mut Vec<u8>) {
    match *group {
        [a, b, c, d] => out.extend([a << 2 | b >> 4, b << 4 | c >> 2, c << 6 | d]),
        [a, b, c] => out.extend([a << 2 | b >> 4, b << 4 | c >> 2]),
        [a, b] => out.push(a << 2 | b >> 4),
        _ => {}
    }
}

/// Behind up to two signs that fill the last group.
fn filled(bytes: &[u8], at: usize) -> usize {
    at + bytes.iter().skip(at).take(2).take_while(|&&byte| byte == b'=').count()
}

/// A stretch of text in decoded bytes.
#[derive(Clone, Copy, Debug)]
struct Stretch {
    skip: usize,
    keep: usize,
    utf16: bool,
    /// Whether it is words in a row.
    prose: bool,
}

/// Names the stretches of text.
fn stretches(bytes: &[u8], mut each: impl FnMut(Stretch)) {
    let zeros = memchr::memchr_iter(0, bytes).count();
    if zeros * 10 > bytes.len() * 3 || matches!(bytes, [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..]) {
        return utf16_stretches(bytes, each);
    }
    let mut at = 0;
    let mut start = 0;
    // Bytes that spell, and white space among the characters.
    let (mut letters, mut gaps) = (0, 0);
    let mut end_stretch = |start: usize, end: usize, letters: usize, gaps: usize| {
        let keep = end - start;
        let whole = keep + WHOLE_BUT >= bytes.len() && keep >= PAIRS_MIN;
        if (keep >= STRETCH_MIN || whole) && letters * 2 >= keep {
            let prose = keep >= PROSE_MIN && letters * 4 >= keep * 3 && gaps >= PROSE_GAPS;
            each(Stretch { skip: start, keep, utf16: false, prose });
        }
    };
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            if is_text(c) {
                letters += usize::from(spells(c)) * c.len_utf8();
                gaps += usize::from(c.is_whitespace());
            } else {
                end_stretch(start, at, letters, gaps);
                (start, letters, gaps) = (at + c.len_utf8(), 0, 0);
            }
            at += c.len_utf8();
        }
        if !chunk.invalid().is_empty() {
            end_stretch(start, at, letters, gaps);
            at += chunk.invalid().len();
            (start, letters, gaps) = (at, 0, 0);
        }
    }
    end_stretch(start, at, letters, gaps);
}

/// UTF-16 of either order: the order in which more is text.
fn utf16_stretches(bytes: &[u8], mut each: impl FnMut(Stretch)) {
    for big in [false, true] {
        let units = bytes.chunks_exact(2).map(|pair| unit(pair, big));
        let mut at = 0;
        let mut best: Option<Stretch> = None;
        let mut start = 0;
        let mut end_stretch = |start: usize, end: usize| {
            if end - start > best.map_or(STRETCH_MIN, |best| best.keep) {
                let keep = end - start;
                best = Some(Stretch { skip: start, keep, utf16: true, prose: false });
            }
        };
        for c in char::decode_utf16(units) {
            let len = c.as_ref().map_or(2, |c| c.len_utf16() * 2);
            if !c.is_ok_and(|c| is_text(c) && (c.is_ascii() || c.is_alphanumeric())) {
                end_stretch(start, at);
                start = at + len;
            }
            at += len;
        }
        end_stretch(start, at);
        if let Some(best) = best
            && best.keep * 4 >= bytes.len() * 3
        {
            return each(best);
        }
    }
}

/// A unit of UTF-16.
pub(super) fn unit(pair: &[u8], big: bool) -> u16 {
    match *pair {
        [a, b] if big => u16::from_be_bytes([a, b]),
        [a, b] => u16::from_le_bytes([a, b]),
        _ => 0,
    }
}

/// Whether a character may be part of a word, one that is not seen included.
fn spells(c: char) -> bool {
    c == ' ' || c.is_alphanumeric() || is_sign(c)
}

fn is_text(c: char) -> bool {
    !c.is_control() || matches!(c, '\t' | '\n' | '\r')
}

/// Stretches that do not overlap, the longest first taken: all where they are most of the run,
/// else those that are words in a row.
fn most_text(mut found: Vec<(usize, Stretch)>, read: usize) -> Vec<(usize, Stretch)> {
    found.sort_by_key(|(shift, text)| (std::cmp::Reverse(text.keep), *shift, text.skip));
    let mut taken: Vec<(usize, Stretch)> = Vec::new();
    // Almost always one or two; what a hostile run may make of it is bounded.
    for (shift, text) in found.into_iter().take(256) {
        let apart = |(_, other): &(usize, Stretch)| {
            text.skip >= other.skip + other.keep + 3 || other.skip >= text.skip + text.keep + 3
        };
        if taken.iter().all(apart) {
            taken.push((shift, text));
        }
    }
    let text: usize = taken.iter().map(|(_, text)| text.keep).sum();
    if text * 4 < read * 3 && text + AROUND_MAX < read {
        taken.retain(|(_, text)| text.prose);
    }
    taken.sort_by_key(|(_, text)| text.skip);
    taken
}

/// Where the last run of base64 characters begins that may go on behind the text: with the lines
/// above that it may be wrapped with, and not before `from`, where a run may begin.
pub(super) fn open_run(bytes: &[u8], from: usize) -> usize {
    let run_before = |end: usize| run_before(bytes, from, end);
    let filled = bytes.iter().skip(from).rev().take(2).take_while(|&&byte| byte == b'=').count();
    let mut start = run_before(bytes.len() - filled);
    if filled == 0 && start < bytes.len() {
        // What is longer than a run may be is read in pieces.
        start += (bytes.len() - start) / RUN_MAX * RUN_MAX;
    }
    let mut line = if filled == 0 && start == bytes.len() && bytes.last() == Some(&b'\r') {
        start - 1
    } else {
        start
    };
    loop {
        let above = bytes.get(from..line).unwrap_or_default();
        let end = match above {
            [.., b'\r', b'\n'] => line - 2,
            [.., b'\n'] => line - 1,
            _ if line < start => line,
            _ => return start,
        };
        let begin = run_before(end);
        if end - begin < RUN_MIN {
            return start;
        }
        (start, line) = (begin, begin);
    }
}

/// The first character of a short run, still growing, at which text may begin in some reading; what
/// stands before stays as it is, whatever follows.
pub(super) fn first_text(run: &[u8]) -> usize {
    if run.len() >= RUN_MIN {
        return 0;
    }
    let mut decoded = Vec::with_capacity(RUN_MIN);
    let mut may_begin = |rest: &[u8]| {
        if rest.len() < 4 || rest.iter().all(|&byte| is(byte, HEX)) {
            return true;
        }
        decoded.clear();
        let sextets: Vec<u8> = rest.iter().map(|&byte| SEXTETS[usize::from(byte)]).collect();
        sextets.chunks(4).for_each(|group| push_group(group, &mut decoded));
        (0..3).any(|skip| may_be_text(decoded.get(skip..).unwrap_or_default()))
    };
    (0..run.len()).find(|&at| may_begin(run.get(at..).unwrap_or_default())).unwrap_or(run.len())
}

/// Whether bytes may be the beginning of text, or hold enough of it to count.
fn may_be_text(bytes: &[u8]) -> bool {
    // UTF-16 is known by its zeros and its mark.
    if bytes.iter().any(|byte| matches!(byte, 0 | 0xFE | 0xFF)) {
        return true;
    }
    let mut keep = 0;
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            if !is_text(c) {
                return keep >= PAIRS_MIN;
            }
            keep += c.len_utf8();
        }
        let cut = chunk.invalid();
        if !cut.is_empty() {
            // A character may be begun at the end.
            let is_last = bytes.ends_with(cut)
                && std::str::from_utf8(cut).is_err_and(|error| error.error_len().is_none());
            return is_last || keep >= PAIRS_MIN;
        }
    }
    true
}

/// Where a list of pairs begins that may go on behind the text.
pub(super) fn open_list(bytes: &[u8], from: usize) -> Option<usize> {
    let shown = bytes.get(from..)?;
    // The last pair may become more than that.
    let end =
        bytes.len() - shown.iter().rev().take_while(|byte| byte.is_ascii_alphanumeric()).count();
    let list = bytes.get(from..end)?.iter().rev().take_while(|&&byte| is(byte, PAIRS)).count();
    (list > 2).then(|| pairs(bytes, RawSpan { start: end - list, end }, &mut Vec::new())).flatten()
}

/// The characters of a run before a place, back to `from`.
pub(super) fn run_before(bytes: &[u8], from: usize, end: usize) -> usize {
    let shown = bytes.get(from..end).unwrap_or_default();
    end - shown.iter().rev().take_while(|&&byte| is(byte, BASE64)).count()
}

/// Hexadecimal pairs that stand apart: `69 67 6e`, `0x69, 0x67`, `69:67:6e`. Returns where the
/// list begins that the text ends in.
fn pairs(bytes: &[u8], within: RawSpan, out: &mut Vec<Item>) -> Option<usize> {
    let mut at = within.start;
    let mut list: Vec<(u8, RawSpan)> = Vec::new();
    let mut span = RawSpan { start: at, end: at };
    while at < within.end {
        let head = if matches!(bytes.get(at..at + 2), Some([b'0', b'x' | b'X'])) { 2 } else { 0 };
        let free = at == 0 || !bytes.get(at - 1).is_some_and(u8::is_ascii_alphanumeric);
        let closed = !bytes.get(at + head + 2).is_some_and(u8::is_ascii_alphanumeric);
        let byte = bytes.get(at + head..at + head + 2).and_then(byte_of);
        let Some(byte) = byte.filter(|_| free && closed) else {
            end_pairs(&list, out);
            list.clear();
            at += 1;
            continue;
        };
        let gap = at - span.end;
        if list.is_empty() || gap == 0 || gap > 3 {
            end_pairs(&list, out);
            list.clear();
        }
        if list.len() == PAIRS_MAX {
            end_pairs(&list, out);
            list.clear();
        }
        span = RawSpan { start: at, end: at + head + 2 };
        list.push((byte, span));
        at = span.end;
        let signs = bytes.get(at..within.end.min(at + 4)).unwrap_or_default();
        at += signs.iter().take_while(|byte| !byte.is_ascii_alphanumeric()).count();
    }
    end_pairs(&list, out);
    list.first().filter(|_| within.end - span.end <= 3).map(|(_, span)| span.start)
}

/// Pairs at either end of a list that may be words beside it, such as `be` and `aa`.
const BESIDE_MAX: usize = 4;

fn end_pairs(list: &[(u8, RawSpan)], out: &mut Vec<Item>) {
    if push_pairs(list, out) {
        return;
    }
    let other = |(byte, _): &&(u8, RawSpan)| !matches!(byte, b'\t'..=b'\r' | b' '..=b'~');
    let head = list.iter().take(BESIDE_MAX).take_while(other).count();
    let tail = list.iter().rev().take(BESIDE_MAX).take_while(other).count();
    if head + tail > 0 {
        push_pairs(list.get(head..list.len().saturating_sub(tail)).unwrap_or_default(), out);
    }
}

/// Takes a list of pairs that is text throughout.
fn push_pairs(list: &[(u8, RawSpan)], out: &mut Vec<Item>) -> bool {
    let (Some((_, from)), Some((_, to))) = (list.first(), list.last()) else { return false };
    if list.len() < PAIRS_MIN {
        return false;
    }
    let span = RawSpan { start: from.start, end: to.end };
    let bytes: Vec<u8> = list.iter().map(|(byte, _)| *byte).collect();
    let before = out.len();
    stretches(&bytes, |text| {
        // All of it or nothing: a list of numbers has text in it by chance.
        if text.keep == list.len() {
            let decoder = Some(if text.utf16 { Decoder::HexUtf16 } else { Decoder::Hex });
            out.push(Item { raw: span, run: span, decoder, skip: 0, keep: list.len() });
        }
    });
    out.len() > before
}
