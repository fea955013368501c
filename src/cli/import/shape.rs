//! From an expression to shapes that Weir takes: one finding each, a firm beginning, a width.
//!
//! Elsewhere the secret is the first group that holds something; here a rule names its
//! group. So an expression with groups in several branches becomes one shape for each.
//! What may precede a secret, and may be absent, is left out: it only costs. A shape that
//! could begin at any character is made to begin at the edge of a word, which is told.

use regex_syntax::ast::{self, Ast, GroupKind};
use regex_syntax::hir::{Class, Hir, HirKind, Look};

use crate::patterns::{begins_firmly, check_shape, parse_shape};

/// Longest match of an expression without bound, in bytes.
const UNBOUNDED_LEN: usize = 1024;
/// A match that is longer counts as unbounded.
const WIDEST: usize = 64 * 1024;
/// An expression that falls apart into more shapes than this is left out.
const MOST_SHAPES: usize = 24;

/// An expression as a rule holds it.
#[derive(Clone, Debug)]
pub(super) struct Shape {
    pub(super) regex: String,
    pub(super) group: usize,
    /// Given where the expression alone sets no limit.
    pub(super) max_len: Option<usize>,
    pub(super) hir: Hir,
    /// How it differs from what was written.
    pub(super) notes: Vec<String>,
}

/// The shapes of an expression whose secret is the given group, or for 0 the first group
/// that holds something.
///
/// # Errors
/// Why it cannot be a rule, as the end of a sentence.
pub(super) fn shapes(regex: &str, secret_group: usize) -> Result<Vec<Shape>, String> {
    let hir = parse_shape(regex).map_err(|(what, _)| what)?;
    let groups = hir.properties().explicit_captures_len();
    if secret_group > groups {
        return Err(format!("`secretGroup` is {secret_group}, and the expression has {groups}"));
    }
    if secret_group > 0 || groups < 2 {
        let group = if secret_group > 0 { secret_group } else { groups };
        return Ok(vec![finish(regex.to_owned(), group)?]);
    }
    let all = variants(&hir).ok_or("its groups stand in too many branches")?;
    if let [_] = all.as_slice() {
        return Ok(vec![finish(regex.to_owned(), 1)?]);
    }
    all.iter()
        .map(|one| {
            let group = usize::from(one.properties().explicit_captures_len() > 0);
            finish(one.to_string(), group)
        })
        .collect()
}

/// The expression cut at its branches, so that the first group of each part is the secret.
fn variants(hir: &Hir) -> Option<Vec<Hir>> {
    if hir.properties().explicit_captures_len() == 0 {
        return Some(vec![hir.clone()]);
    }
    let all = match hir.kind() {
        HirKind::Alternation(branches) => {
            let mut all = Vec::new();
            let mut plain = Vec::new();
            for branch in branches {
                if branch.properties().explicit_captures_len() == 0 {
                    plain.push(branch.clone());
                    continue;
                }
                all.extend(variants(branch)?);
            }
            if !plain.is_empty() {
                all.push(Hir::alternation(plain));
            }
            all
        }
        HirKind::Concat(parts) => {
            let mut all = vec![Vec::new()];
            // Once every variant has its group, those that follow are no secret.
            let mut found = false;
            for part in parts {
                let next = if found { vec![part.clone()] } else { variants(part)? };
                found |= part.properties().explicit_captures_len() > 0
                    && next.iter().all(|one| one.properties().explicit_captures_len() > 0);
                all = all
                    .iter()
                    .flat_map(|before| {
                        next.iter().map(move |one| {
                            let mut row: Vec<Hir> = before.clone();
                            row.push(one.clone());
                            row
                        })
                    })
                    .collect();
                if all.len() > MOST_SHAPES {
                    return None;
                }
            }
            all.into_iter().map(Hir::concat).collect()
        }
        _ => vec![hir.clone()],
    };
    (all.len() <= MOST_SHAPES).then_some(all)
}

/// Gives an expression a firm beginning and a width, and checks that a rule may hold it.
fn finish(regex: String, group: usize) -> Result<Shape, String> {
    let mut notes = Vec::new();
    let regex = begin(regex, group, &mut notes)?;
    let hir = parse_shape(&regex).map_err(|(what, _)| what)?;
    let properties = hir.properties();
    let max_len = match properties.maximum_len() {
        Some(width) if width <= WIDEST => None,
        _ => Some(properties.minimum_len().unwrap_or(0).max(UNBOUNDED_LEN)),
    };
    check_shape(&regex, group, max_len)
        .map_err(|lints| lints.into_iter().map(|(what, _)| what).collect::<Vec<_>>().join("; "))?;
    Ok(Shape { regex, group, max_len, hir, notes })
}

/// Lets the expression begin at a literal or a boundary.
fn begin(mut regex: String, group: usize, notes: &mut Vec<String>) -> Result<String, String> {
    let firm =
        |regex: &str| parse_shape(regex).map(|hir| begins_firmly(&hir)).map_err(|(what, _)| what);
    if firm(&regex)? {
        return Ok(regex);
    }
    let mut ast = parse(&regex)?;
    let mut cut = Vec::new();
    optional_head(&ast, &mut cut);
    if !cut.is_empty() {
        regex = without(&regex, &cut);
        if group == 0 {
            notes.push("a finding begins behind what may be absent before it".to_owned());
        }
        if firm(&regex)? {
            return Ok(regex);
        }
        ast = parse(&regex)?;
    }
    let mut delimiter = Vec::new();
    if group > 0 && one_character(&ast, &mut delimiter) {
        regex = without(&regex, &delimiter);
        notes.push("the character before the secret is read as the edge of a word".to_owned());
    } else {
        notes.push("a match begins at the edge of a word, not inside one".to_owned());
    }
    Ok(match parse(&regex)? {
        Ast::Alternation(_) => format!(r"\b(?:{regex})"),
        _ => format!(r"\b{regex}"),
    })
}

fn parse(regex: &str) -> Result<Ast, String> {
    ast::parse::Parser::new().parse(regex).map_err(|error| error.kind().to_string())
}

/// The spans of what may be absent before everything else.
fn optional_head(ast: &Ast, cut: &mut Vec<ast::Span>) {
    let mut parts = Vec::new();
    head(ast, &mut parts);
    for part in parts {
        match part {
            Ast::Flags(_) => {}
            Ast::Repetition(repeat) if may_be_absent(&repeat.op.kind) && !captures(part) => {
                cut.push(repeat.span);
            }
            _ => return,
        }
    }
}

/// The first part where it is one character before the secret: a class, or the beginning
/// of a line and a class.
fn one_character(ast: &Ast, cut: &mut Vec<ast::Span>) -> bool {
    let mut parts = Vec::new();
    head(ast, &mut parts);
    let Some(first) = parts.into_iter().find(|part| !matches!(part, Ast::Flags(_))) else {
        return false;
    };
    let single = |ast: &Ast| {
        parse_shape(&ast.to_string()).is_ok_and(|hir| hir.properties().maximum_len() == Some(1))
    };
    let found = !captures(first) && single(first);
    if found {
        cut.push(*first.span());
    }
    found
}

/// The parts that stand one behind the other at the beginning, groups that are no
/// captures opened.
fn head<'a>(ast: &'a Ast, into: &mut Vec<&'a Ast>) {
    match ast {
        Ast::Concat(concat) => {
            for (at, part) in concat.asts.iter().enumerate() {
                match part {
                    // The group may be opened where nothing firm stands before it.
                    Ast::Group(group)
                        if matches!(group.kind, GroupKind::NonCapturing(_))
                            && matches!(*group.ast, Ast::Concat(_)) =>
                    {
                        head(&group.ast, into);
                        if at + 1 < concat.asts.len() {
                            return;
                        }
                    }
                    part => into.push(part),
                }
            }
        }
        ast => into.push(ast),
    }
}

fn may_be_absent(kind: &ast::RepetitionKind) -> bool {
    use ast::{RepetitionKind, RepetitionRange};
    match kind {
        RepetitionKind::ZeroOrOne | RepetitionKind::ZeroOrMore => true,
        RepetitionKind::OneOrMore => false,
        RepetitionKind::Range(
            RepetitionRange::Exactly(least)
            | RepetitionRange::AtLeast(least)
            | RepetitionRange::Bounded(least, _),
        ) => *least == 0,
    }
}

fn captures(ast: &Ast) -> bool {
    parse_shape(&ast.to_string()).map_or(true, |hir| hir.properties().explicit_captures_len() > 0)
}

fn without(regex: &str, spans: &[ast::Span]) -> String {
    let mut out = String::with_capacity(regex.len());
    let mut from = 0;
    for span in spans {
        out.push_str(regex.get(from..span.start.offset).unwrap_or_default());
        from = span.end.offset;
    }
    out.push_str(regex.get(from..).unwrap_or_default());
    out
}

/// Whether the ends of lines in an expression say no more than the ends of the text would:
/// beside each stands a character that ends a line, so it is taken there anyway.
pub(super) fn ends_are_exact(hir: &Hir) -> bool {
    let line_end = |hir: &Hir| matches!(hir.kind(), HirKind::Look(Look::StartLF | Look::EndLF));
    match hir.kind() {
        HirKind::Look(_) => !line_end(hir),
        HirKind::Alternation(branches) => {
            let takes_line_end = branches.iter().any(|branch| match branch.kind() {
                HirKind::Class(class) => takes(class, b'\n'),
                HirKind::Literal(literal) => *literal.0 == *b"\n",
                _ => false,
            });
            branches
                .iter()
                .all(|branch| (takes_line_end && line_end(branch)) || ends_are_exact(branch))
        }
        HirKind::Concat(parts) => parts.iter().all(ends_are_exact),
        HirKind::Capture(capture) => ends_are_exact(&capture.sub),
        HirKind::Repetition(repeat) => ends_are_exact(&repeat.sub),
        HirKind::Empty | HirKind::Literal(_) | HirKind::Class(_) => true,
    }
}

/// Whether a class takes a byte. Single characters that were alternatives are joined in a
/// class of characters, though the expression is one of bytes.
pub(super) fn takes(class: &Class, byte: u8) -> bool {
    match class {
        Class::Bytes(class) => {
            class.iter().any(|range| (range.start()..=range.end()).contains(&byte))
        }
        Class::Unicode(class) => {
            let c = char::from(byte);
            c.is_ascii() && class.iter().any(|range| (range.start()..=range.end()).contains(&c))
        }
    }
}

/// What keywords mean to an expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keywords {
    /// Every match holds one of them: a first look for them decides nothing.
    Implied,
    /// Matches may hold one of them.
    Possible,
    /// No match is made of them: they stand elsewhere, and that is a condition.
    Elsewhere,
}

/// What keywords, in any case, mean to an expression.
pub(super) fn keywords(hir: &Hir, words: &[String]) -> Keywords {
    if implies(hir, words) {
        return Keywords::Implied;
    }
    let possible = |row: &Row| words.iter().any(|word| may_hold(row, word.as_bytes()));
    match rows(hir) {
        Some(rows) if !rows.iter().any(possible) => Keywords::Elsewhere,
        _ => Keywords::Possible,
    }
}

fn implies(hir: &Hir, words: &[String]) -> bool {
    let all_hold =
        |rows: &[Row]| rows.iter().all(|row| words.iter().any(|word| holds(row, word.as_bytes())));
    if let Some(rows) = rows(hir) {
        return all_hold(&rows);
    }
    match hir.kind() {
        // Too many rows: a stretch of it may do.
        HirKind::Concat(parts) => {
            parts.iter().any(|part| implies(part, words))
                || (0..parts.len()).any(|from| {
                    let mut all = vec![Row::new()];
                    parts.iter().skip(from).any(|part| {
                        let next = rows(part).unwrap_or_else(|| vec![vec![None]]);
                        match joined(&all, &next) {
                            Some(rows) => all = rows,
                            None => return false,
                        }
                        all_hold(&all)
                    })
                })
        }
        HirKind::Alternation(parts) => parts.iter().all(|part| implies(part, words)),
        HirKind::Capture(capture) => implies(&capture.sub, words),
        HirKind::Repetition(repeat) => repeat.min > 0 && implies(&repeat.sub, words),
        _ => false,
    }
}

/// What may stand at a place: a byte in either case, or anything.
type Row = Vec<Option<u8>>;

/// More than so many rows are not followed.
const MOST_ROWS: usize = 512;

/// All that a match may be, as rows of letters with gaps.
fn rows(hir: &Hir) -> Option<Vec<Row>> {
    let rows = match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => vec![Row::new()],
        HirKind::Literal(literal) => {
            vec![literal.0.iter().map(|byte| Some(byte.to_ascii_lowercase())).collect()]
        }
        HirKind::Class(class) => {
            let inside = (0..=u8::MAX).filter(|&byte| takes(class, byte));
            let mut letters: Vec<u8> = inside.map(|byte| byte.to_ascii_lowercase()).collect();
            letters.sort_unstable();
            letters.dedup();
            match letters.as_slice() {
                [_] | [_, _] | [_, _, _] => letters.iter().map(|&byte| vec![Some(byte)]).collect(),
                _ => vec![vec![None]],
            }
        }
        HirKind::Capture(capture) => rows(&capture.sub)?,
        HirKind::Repetition(repeat) => {
            let sub = rows(&repeat.sub)?;
            match (repeat.min, repeat.max) {
                (0, Some(1)) => std::iter::once(Row::new()).chain(sub).collect(),
                (0, _) => vec![vec![None]],
                // The first time round is what counts; then come others, or none.
                (_, most) => sub
                    .into_iter()
                    .map(|mut row| {
                        if most != Some(1) {
                            row.push(None);
                        }
                        row
                    })
                    .collect(),
            }
        }
        HirKind::Concat(parts) => {
            let mut all = vec![Row::new()];
            for part in parts {
                all = joined(&all, &rows(part)?)?;
            }
            all
        }
        HirKind::Alternation(parts) => {
            let mut all = Vec::new();
            for part in parts {
                all.extend(rows(part)?);
            }
            all
        }
    };
    (rows.len() <= MOST_ROWS).then_some(rows)
}

/// Every row of the first behind which stands one of the second.
fn joined(first: &[Row], second: &[Row]) -> Option<Vec<Row>> {
    (first.len() * second.len() <= MOST_ROWS).then(|| {
        let behind = |before: &Row, row: &Row| before.iter().chain(row).copied().collect();
        first.iter().flat_map(|before| second.iter().map(move |row| behind(before, row))).collect()
    })
}

/// Whether the row may be made to hold the word, at least half of which stands in it.
fn may_hold(row: &Row, word: &[u8]) -> bool {
    row.windows(word.len().max(1)).any(|window| {
        let fits = |at: &Option<u8>, byte: &u8| at.is_none_or(|at| at == byte.to_ascii_lowercase());
        let given = window.iter().filter(|at| at.is_some()).count();
        2 * given >= window.len() && window.iter().zip(word).all(|(at, byte)| fits(at, byte))
    })
}

fn holds(row: &Row, word: &[u8]) -> bool {
    row.windows(word.len().max(1)).any(|window| {
        window.iter().zip(word).all(|(at, byte)| *at == Some(byte.to_ascii_lowercase()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(regex: &str, group: usize) -> Vec<(String, usize, Option<usize>, usize)> {
        let all = shapes(regex, group).unwrap_or_else(|error| panic!("{regex}: {error}"));
        all.into_iter()
            .map(|shape| (shape.regex, shape.group, shape.max_len, shape.notes.len()))
            .collect()
    }

    #[test]
    fn an_expression_begins_firmly_and_has_a_width() {
        for (regex, expected) in [
            (r"\bacme_[a-z]{8}\b", (r"\bacme_[a-z]{8}\b", 0, None, 0)),
            (
                r"(?i)[\w.-]{0,50}?(?:acme)[ =]{1,3}([a-z0-9]{8})",
                (r"(?i)(?:acme)[ =]{1,3}([a-z0-9]{8})", 1, None, 0),
            ),
            (
                r"[\w.-]{0,9}?(?i:[\w.-]{0,9}?(?:acme)x?)=([a-z]{8})",
                (r"(?i:(?:acme)x?)=([a-z]{8})", 1, None, 0),
            ),
            (
                r#"(?:(?m:^)|["'=:;, ])([a-z]{3}Q~[a-z]{4})"#,
                (r"\b([a-z]{3}Q~[a-z]{4})", 1, None, 1),
            ),
            (r"[a-z0-9]{14}\.atlas[a-z]{5}", (r"\b[a-z0-9]{14}\.atlas[a-z]{5}", 0, None, 1)),
            (r"[a-z]{5}|x[0-9]{5}", (r"\b(?:[a-z]{5}|x[0-9]{5})", 0, None, 1)),
            (r"acme_[a-z]{9,}", ("acme_[a-z]{9,}", 0, Some(1024), 0)),
            (r"acme_[a-z]{2000,}", ("acme_[a-z]{2000,}", 0, Some(2005), 0)),
            (r"acme_(x)([a-z]{4})", ("acme_(x)([a-z]{4})", 1, None, 0)),
        ] {
            let all = made(regex, 0);
            let got = all
                .first()
                .map(|(regex, group, len, notes)| (regex.as_str(), *group, *len, *notes));
            assert_eq!((got, all.len()), (Some(expected), 1), "{regex}");
        }
        assert_eq!(made(r"acme_(x)([a-z]{4})", 2)[0].1, 2);
    }

    #[test]
    fn a_group_in_each_branch_makes_a_shape_of_each() {
        let all = made(r"(?i)[\w]{0,5}?acme=([a-z]{8})|\b(ATT[a-z]{9})|plain", 0);
        let groups: Vec<usize> = all.iter().map(|(_, group, ..)| *group).collect();
        assert_eq!(groups, [1, 1, 0]);
        for (at, text) in ["ACME=abcdefgh", "attabcdefghi", "Plain"].into_iter().enumerate() {
            for (other, (regex, ..)) in all.iter().enumerate() {
                let regex = regex::bytes::RegexBuilder::new(regex).unicode(false).build().unwrap();
                assert_eq!(regex.is_match(text.as_bytes()), at == other, "{regex} on {text}");
            }
        }
    }

    #[test]
    fn what_no_rule_can_hold_is_told() {
        for (regex, group, expected) in [
            ("a*", 0, "empty string"),
            ("(a", 0, "does not parse"),
            (r"\bcaf[é]", 0, "does not fit bytes"),
            ("a(b)", 2, "`secretGroup` is 2"),
        ] {
            let told = shapes(regex, group).unwrap_err();
            assert!(told.contains(expected), "{regex}: {told}");
        }
    }

    #[test]
    fn words_that_every_match_holds_decide_nothing() {
        let told = |regex: &str, words: &[&str]| {
            let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
            keywords(&parse_shape(regex).unwrap(), &words)
        };
        for (regex, words, expected) in [
            (r"(?i)(?:acme|ajax)[ =]{1,3}([a-z]{8})", &["acme", "ajax"] as &[_], Keywords::Implied),
            (r"\b((?:AK|AS)IA[A-Z2-7]{16})\b", &["akia", "asia"], Keywords::Implied),
            (r"[ab]x_y", &["ax_", "bx_"], Keywords::Implied),
            (r"(?:acme){2}z", &["acme"], Keywords::Implied),
            (
                r"(?i)[\w.-]{0,50}?(?:snyk[_.-]?(?:(?:api|oauth)[_.-]?)?(?:key|token))[ =]([a-z]{8})(?:a|bc|de)?(?:f|gh|ij)?(?:k|lm|no)?(?:a|bc|de)?(?:f|gh|ij)?",
                &["snyk"],
                Keywords::Implied,
            ),
            (r"(?i)(?:acme|ajax)=([a-z]{8})", &["acme"], Keywords::Possible),
            (r"hooks.slack.com/[a-z]{9}", &["hooks.slack.com"], Keywords::Possible),
            (r"(?:acme)?=x", &["acme"], Keywords::Possible),
            (r"\b(pat[a-z]{14})\b", &["airtable"], Keywords::Elsewhere),
        ] {
            assert_eq!(told(regex, words), expected, "{regex}");
        }
    }

    #[test]
    fn an_end_beside_a_line_end_is_exact() {
        for (regex, exact) in [
            (r#"\b(a{3})(?:['"\s;]|\\[nr]|(?m:$))"#, true),
            (r"(?:(?m:^)|[\s:])(a{3})", true),
            (r"a{3}(?m:$)", false),
            (r"a(?:[;:]|(?m:$))", false),
        ] {
            assert_eq!(ends_are_exact(&parse_shape(regex).unwrap()), exact, "{regex}");
        }
    }
}
