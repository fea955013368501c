//! Signs that stand for one character or byte: `%41`, `&#65;`, `\u0041`.
//!
//! [`at`] says whether an escape begins at a place and where it ends; signs of bytes in a
//! row are one escape, because only together do they make characters. [`read`] gives its
//! characters. A row of backslashes is read as one, since JSON inside JSON doubles them at
//! each level.

use super::Decoder;

/// The escape that begins at a `%`, `&` or `\`, and its end.
pub(super) fn at(text: &str, at: usize) -> Option<(Decoder, usize)> {
    let bytes = text.as_bytes();
    match bytes.get(at)? {
        b'%' => percent(bytes, at, |_, _| {}).map(|end| (Decoder::Percent, end)),
        b'&' => entity(bytes, at).map(|(_, end)| (Decoder::Html, end)),
        b'\\' => backslash(bytes, at, |_, _| {}).map(|end| (Decoder::Escape, end)),
        _ => None,
    }
}

/// What one sign of an escape stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sign {
    Byte(u8),
    Char(char),
}

/// The signs of the escape at that place, each with its end.
pub(super) fn read(text: &str, at: usize, mut each: impl FnMut(Sign, usize)) {
    let bytes = text.as_bytes();
    match bytes.get(at) {
        Some(b'%') => {
            percent(bytes, at, each);
        }
        Some(b'&') => {
            if let Some((c, end)) = entity(bytes, at) {
                each(Sign::Char(c), end);
            }
        }
        _ => {
            backslash(bytes, at, each);
        }
    }
}

/// The first byte behind a row of backslashes.
pub(super) fn behind_backslashes(bytes: &[u8], at: usize) -> usize {
    let rest = bytes.get(at..).unwrap_or_default();
    at + rest.iter().take_while(|&&byte| byte == b'\\').count()
}

fn hex(bytes: &[u8], at: usize, digits: usize) -> Option<u32> {
    let text = bytes.get(at..at + digits)?;
    text.iter().try_fold(0, |sum: u32, &byte| Some(sum << 4 | char::from(byte).to_digit(16)?))
}

/// `%41%42`, `%u0041`: one escape as far as bytes go on.
fn percent(bytes: &[u8], start: usize, mut each: impl FnMut(Sign, usize)) -> Option<usize> {
    let mut at = start;
    while bytes.get(at) == Some(&b'%') {
        if let Some(byte) = hex(bytes, at + 1, 2) {
            at += 3;
            each(Sign::Byte(byte as u8), at);
        } else if matches!(bytes.get(at + 1), Some(b'u' | b'U'))
            && let Some(c) = hex(bytes, at + 2, 4).and_then(char::from_u32)
        {
            at += 6;
            each(Sign::Char(c), at);
        } else {
            break;
        }
    }
    (at > start).then_some(at)
}

/// Names that stand for signs of ASCII, and for nothing.
const NAMES: &[(&[u8], char)] = &[
    (b"amp", '&'),
    (b"lt", '<'),
    (b"gt", '>'),
    (b"quot", '"'),
    (b"apos", '\''),
    (b"nbsp", ' '),
    (b"Tab", '\t'),
    (b"NewLine", '\n'),
    (b"excl", '!'),
    (b"num", '#'),
    (b"dollar", '$'),
    (b"percnt", '%'),
    (b"lpar", '('),
    (b"rpar", ')'),
    (b"ast", '*'),
    (b"plus", '+'),
    (b"comma", ','),
    (b"hyphen", '-'),
    (b"dash", '-'),
    (b"period", '.'),
    (b"sol", '/'),
    (b"colon", ':'),
    (b"semi", ';'),
    (b"equals", '='),
    (b"quest", '?'),
    (b"commat", '@'),
    (b"lsqb", '['),
    (b"lbrack", '['),
    (b"bsol", '\\'),
    (b"rsqb", ']'),
    (b"rbrack", ']'),
    (b"Hat", '^'),
    (b"lowbar", '_'),
    (b"grave", '`'),
    (b"lcub", '{'),
    (b"lbrace", '{'),
    (b"verbar", '|'),
    (b"vert", '|'),
    (b"rcub", '}'),
    (b"rbrace", '}'),
    (b"shy", '\u{AD}'),
    (b"zwj", '\u{200D}'),
    (b"zwnj", '\u{200C}'),
    (b"ZeroWidthSpace", '\u{200B}'),
    (b"InvisibleTimes", '\u{2062}'),
    (b"NoBreak", '\u{2060}'),
];

/// `&amp;`, `&#65;`, `&#x41;`; browsers read numbers without the semicolon, too.
fn entity(bytes: &[u8], start: usize) -> Option<(char, usize)> {
    let rest = bytes.get(start + 1..bytes.len().min(start + 24))?;
    if let Some(number) = rest.strip_prefix(b"#") {
        let (digits, radix, lead) = match number.first()? {
            b'x' | b'X' => (number.get(1..)?, 16, 3),
            _ => (number, 10, 2),
        };
        let count = digits.iter().take_while(|&&b| char::from(b).is_digit(radix)).count();
        if count == 0 {
            return None;
        }
        let value = digits.iter().take(count).try_fold(0_u32, |sum, &byte| {
            sum.checked_mul(radix)?.checked_add(char::from(byte).to_digit(radix)?)
        })?;
        let closed = usize::from(digits.get(count) == Some(&b';'));
        return Some((char::from_u32(value)?, start + lead + count + closed));
    }
    let name = rest.get(..rest.iter().position(|&byte| byte == b';')?)?;
    let (_, c) = NAMES.iter().find(|(known, _)| *known == name)?;
    Some((*c, start + name.len() + 2))
}

/// `\u0041`, `\x41`, `\101`, `\n`: bytes in a row are one escape.
fn backslash(bytes: &[u8], start: usize, mut each: impl FnMut(Sign, usize)) -> Option<usize> {
    let mut at = start;
    while let Some((sign, end)) = one_backslash(bytes, at) {
        at = end;
        each(sign, at);
        if !matches!(sign, Sign::Byte(_)) || bytes.get(at) != Some(&b'\\') {
            break;
        }
        // A row of bytes ends where something else is escaped.
        if !matches!(one_backslash(bytes, at), Some((Sign::Byte(_), _))) {
            break;
        }
    }
    (at > start).then_some(at)
}

fn one_backslash(bytes: &[u8], start: usize) -> Option<(Sign, usize)> {
    if bytes.get(start) != Some(&b'\\') {
        return None;
    }
    let at = behind_backslashes(bytes, start);
    let one = |c: char| Some((Sign::Char(c), at + 1));
    match bytes.get(at)? {
        b'n' => one('\n'),
        b'r' => one('\r'),
        b't' => one('\t'),
        b'"' => one('"'),
        b'\'' => one('\''),
        b'/' => one('/'),
        b'`' => one('`'),
        b'x' => match braced(bytes, at + 1) {
            Some((c, end)) => Some((Sign::Char(c), end)),
            None => hex(bytes, at + 1, 2).map(|byte| (Sign::Byte(byte as u8), at + 3)),
        },
        b'u' => braced(bytes, at + 1)
            .or_else(|| utf16(bytes, at + 1))
            .map(|(c, end)| (Sign::Char(c), end)),
        b'U' => {
            let c = hex(bytes, at + 1, 8).and_then(char::from_u32)?;
            Some((Sign::Char(c), at + 9))
        }
        b'0'..=b'3' => {
            let digits = bytes.get(at..at + 3)?;
            let value = digits
                .iter()
                .try_fold(0, |sum: u32, &byte| Some(sum << 3 | char::from(byte).to_digit(8)?))?;
            Some((Sign::Byte(value as u8), at + 3))
        }
        _ => None,
    }
}

/// `{41}`.
fn braced(bytes: &[u8], at: usize) -> Option<(char, usize)> {
    if bytes.get(at) != Some(&b'{') {
        return None;
    }
    let digits = bytes.get(at + 1..bytes.len().min(at + 8))?;
    let count = digits.iter().position(|&byte| byte == b'}')?;
    let c = (count > 0).then(|| hex(bytes, at + 1, count)).flatten().and_then(char::from_u32)?;
    Some((c, at + count + 2))
}

/// Four digits, and the second half of a pair behind them.
fn utf16(bytes: &[u8], at: usize) -> Option<(char, usize)> {
    let first = hex(bytes, at, 4)?;
    if let Some(c) = char::from_u32(first) {
        return Some((c, at + 4));
    }
    let next = behind_backslashes(bytes, at + 4);
    if next == at + 4 || bytes.get(next) != Some(&b'u') {
        return None;
    }
    let pair = [first as u16, hex(bytes, next + 1, 4)? as u16];
    let c = char::decode_utf16(pair).next()?.ok()?;
    Some((c, next + 5))
}
