//! What an expression may not be: the checks between a rule's text and the engine.
//!
//! Expressions run over bytes with Unicode off. The engine's two automata and the
//! streaming walk agree only on a part of the syntax, and this is where that part is held.

use regex_syntax::ast::{self, AssertionKind, Ast, ClassSetItem};
use regex_syntax::hir::{Class, ClassBytes, ClassBytesRange, Hir, HirKind, Look};

use super::Expr;
use super::phrase::Compiled;

/// Longest match that a rule may ask for.
pub(super) const MAX_LEN: usize = 64 * 1024;

/// A class of so few begins a match as firmly as a literal: a letter in either case, say.
const FEW_CHARACTERS: usize = 4;

/// The first byte of `█` and of `…`.
const BARRIER_LEAD: u8 = 0xE2;

/// What is wrong, and what to do.
pub(crate) type Lint = (String, String);

fn lint(what: impl Into<String>, help: impl Into<String>) -> Lint {
    (what.into(), help.into())
}

/// The byte expression's HIR.
pub(crate) fn parse(regex: &str) -> Result<Hir, Lint> {
    translate(regex, &parse_ast(regex)?)
}

fn parse_ast(regex: &str) -> Result<Ast, Lint> {
    ast::parse::ParserBuilder::new().build().parse(regex).map_err(|error| {
        lint(format!("the expression does not parse: {}", error.kind()), "mend the expression")
    })
}

fn translate(regex: &str, ast: &Ast) -> Result<Hir, Lint> {
    let mut translator =
        regex_syntax::hir::translate::TranslatorBuilder::new().unicode(false).utf8(false).build();
    translator.translate(regex, ast).map_err(|error| {
        lint(
            format!("the expression does not fit bytes: {}", error.kind()),
            "leave out `\\p{…}` and `(?u)`: Unicode is off, and views fold look-alikes away",
        )
    })
}

/// Checks an expression that a rule gives, and fixes its longest match.
pub(crate) fn shape(regex: &str, group: usize, max_len: Option<usize>) -> Result<Expr, Vec<Lint>> {
    let ast = parse_ast(regex).map_err(|lint| vec![lint])?;
    let mut lints = Vec::new();
    if let Err(found) = ast::visit(&ast, Visitor::default()) {
        lints.extend(found);
    }
    if !lints.is_empty() {
        return Err(lints);
    }
    let hir = translate(regex, &ast).map_err(|lint| vec![lint])?;
    let max_len = check(&hir, group, max_len)?;
    let stopped = stop_at_barriers(hir.clone());
    let regex = if stopped == hir { regex.to_owned() } else { stopped.to_string() };
    Ok(Expr { regex, max_len, group })
}

/// Takes the byte that begins both barriers of redaction out of every class: `\S{8,64}`
/// must not find the mask that stands where it found a password. The other characters
/// which begin with that byte are punctuation and symbols.
fn stop_at_barriers(hir: Hir) -> Hir {
    match hir.into_kind() {
        HirKind::Empty => Hir::empty(),
        HirKind::Literal(literal) => Hir::literal(literal.0),
        HirKind::Look(look) => Hir::look(look),
        HirKind::Class(Class::Bytes(mut class)) => {
            class.difference(&ClassBytes::new([ClassBytesRange::new(BARRIER_LEAD, BARRIER_LEAD)]));
            Hir::class(Class::Bytes(class))
        }
        HirKind::Class(class) => Hir::class(class),
        HirKind::Repetition(mut repeat) => {
            repeat.sub = Box::new(stop_at_barriers(*repeat.sub));
            Hir::repetition(repeat)
        }
        HirKind::Capture(mut capture) => {
            capture.sub = Box::new(stop_at_barriers(*capture.sub));
            Hir::capture(capture)
        }
        HirKind::Concat(subs) => Hir::concat(subs.into_iter().map(stop_at_barriers).collect()),
        HirKind::Alternation(subs) => {
            Hir::alternation(subs.into_iter().map(stop_at_barriers).collect())
        }
    }
}

/// The longest match, where nothing speaks against the expression.
fn check(hir: &Hir, group: usize, max_len: Option<usize>) -> Result<usize, Vec<Lint>> {
    let mut lints = Vec::new();
    let properties = hir.properties();
    if group > properties.explicit_captures_len() {
        lints.push(lint(
            format!("there is no capture group {group}"),
            format!("the expression has {}", properties.explicit_captures_len()),
        ));
    }
    let looks = properties.look_set();
    if looks.contains(Look::Start) || looks.contains(Look::End) {
        lints.push(lint(
            "the ends of the text (`^`, `$`, `\\A`, `\\z`) depend on how it is cut into chunks",
            "use `(?m:^)` and `(?m:$)`, the ends of a line, or `\\b`",
        ));
    }
    match properties.minimum_len() {
        None => lints.push(lint("the expression matches nothing", "mend the expression")),
        Some(0) => lints.push(lint(
            "the expression matches the empty string",
            "let it demand at least one character",
        )),
        Some(_) => {}
    }
    let limit = match (max_len, properties.maximum_len()) {
        (Some(0), _) => {
            lints.push(lint("`max_len` is 0", "give the longest match in bytes"));
            0
        }
        (Some(limit), Some(width)) => limit.min(width),
        (Some(limit), None) | (None, Some(limit)) => limit,
        (None, None) => {
            lints.push(lint(
                "the expression sets no limit to its match",
                "bound its repeats (`{8,200}` for `+`), or give `max_len`",
            ));
            0
        }
    };
    if limit > MAX_LEN {
        lints.push(lint(
            format!("a match may be {limit} bytes long"),
            format!("bound it to {MAX_LEN}"),
        ));
    }
    if !begins_firmly(hir) {
        lints.push(lint(
            "the expression begins with neither a boundary nor a literal",
            "put `\\b` or `(?m:^)` first, or a character that must stand there: else every character begins a match that a stream has to hold back",
        ));
    }
    if lints.is_empty() { Ok(limit) } else { Err(lints) }
}

/// The expression that a phrase or list compiled to.
pub(super) fn phrase(compiled: Compiled) -> Result<Expr, Lint> {
    let Compiled { regex, max_len } = compiled;
    if max_len > MAX_LEN {
        return Err(lint("the phrase is too wide", "shorten it, or cut it into several"));
    }
    Ok(Expr { regex, max_len, group: 1 })
}

/// Whether a match can begin only at a boundary or with one of a few characters.
pub(crate) fn begins_firmly(hir: &Hir) -> bool {
    match hir.kind() {
        HirKind::Look(_) | HirKind::Literal(_) => true,
        HirKind::Empty => false,
        HirKind::Class(_) => {
            hir.properties().minimum_len() == Some(1) && class_size(hir) <= FEW_CHARACTERS
        }
        HirKind::Repetition(repeat) => repeat.min > 0 && begins_firmly(&repeat.sub),
        HirKind::Capture(capture) => begins_firmly(&capture.sub),
        HirKind::Alternation(subs) => subs.iter().all(begins_firmly),
        HirKind::Concat(subs) => {
            for sub in subs {
                if begins_firmly(sub) {
                    return true;
                }
                // What may be absent must itself begin firmly where it is present.
                let HirKind::Repetition(repeat) = sub.kind() else { return false };
                if repeat.min > 0 || !begins_firmly(&repeat.sub) {
                    return false;
                }
            }
            false
        }
    }
}

fn class_size(hir: &Hir) -> usize {
    match hir.kind() {
        HirKind::Class(Class::Bytes(class)) => {
            class.iter().map(|range| usize::from(range.end() - range.start()) + 1).sum()
        }
        HirKind::Class(Class::Unicode(class)) => {
            class.iter().map(|range| range.end() as usize - range.start() as usize + 1).sum()
        }
        _ => usize::MAX,
    }
}

#[derive(Default)]
struct Visitor {
    lints: Vec<Lint>,
}

impl ast::Visitor for Visitor {
    type Output = ();
    type Err = Vec<Lint>;

    fn finish(self) -> Result<(), Vec<Lint>> {
        if self.lints.is_empty() { Ok(()) } else { Err(self.lints) }
    }

    fn visit_pre(&mut self, ast: &Ast) -> Result<(), Vec<Lint>> {
        match ast {
            Ast::Assertion(assertion) => match assertion.kind {
                AssertionKind::WordBoundaryStart
                | AssertionKind::WordBoundaryEnd
                | AssertionKind::WordBoundaryStartAngle
                | AssertionKind::WordBoundaryEndAngle
                | AssertionKind::WordBoundaryStartHalf
                | AssertionKind::WordBoundaryEndHalf => self.lints.push(lint(
                    "`\\b{…}`, `\\<` and `\\>` mean something else to the SIMD engine",
                    "use `\\b`",
                )),
                _ => {}
            },
            Ast::Literal(literal) if !literal.c.is_ascii() => self.lints.push(lint(
                format!("`{}` is not ASCII", literal.c),
                "write what the views make of it, or use a phrase",
            )),
            _ => {}
        }
        Ok(())
    }

    fn visit_class_set_item_pre(&mut self, item: &ClassSetItem) -> Result<(), Vec<Lint>> {
        let ascii = match item {
            ClassSetItem::Literal(literal) => literal.c.is_ascii() || is_byte_escape(literal),
            ClassSetItem::Range(range) => {
                [&range.start, &range.end].iter().all(|end| end.c.is_ascii() || is_byte_escape(end))
            }
            ClassSetItem::Unicode(_) => false,
            _ => true,
        };
        if !ascii {
            self.lints.push(lint(
                "a class holds characters beyond ASCII",
                "shapes run over bytes; views fold what looks like ASCII, and phrases take any script",
            ));
        }
        Ok(())
    }

    fn visit_class_set_binary_op_pre(
        &mut self,
        _: &ast::ClassSetBinaryOp,
    ) -> Result<(), Vec<Lint>> {
        self.lints.push(lint(
            "a class is made by `&&`, `--` or `~~`, which the SIMD engine reads otherwise",
            "write the class out",
        ));
        Ok(())
    }
}

fn is_byte_escape(literal: &ast::Literal) -> bool {
    matches!(literal.kind, ast::LiteralKind::HexFixed(ast::HexLiteralKind::X))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(regex: &str, max_len: Option<usize>) -> String {
        match shape(regex, 0, max_len) {
            Ok(expr) => format!("ok {}", expr.max_len),
            Err(lints) => lints.into_iter().map(|(what, _)| what).collect::<Vec<_>>().join(" / "),
        }
    }

    #[test]
    fn expressions_are_held_to_the_common_part_of_the_syntax() {
        for (regex, max_len, expected) in [
            (r"\bghp_[A-Za-z0-9]{36}\b", None, "ok 40"),
            (r"(?i)\bpass(?:word)?[ =:]{1,3}(\S{8,64})", None, "ok 75"),
            (r"(?i:s)k-[a-z]{4}", None, "ok 7"),
            (r"\bsk-[a-z]+", Some(200), "ok 200"),
            (r"\bsk-[a-z]+", None, "no limit"),
            (r"[a-z]{4}x", None, "neither a boundary"),
            (r"x?[a-z]{4}", None, "neither a boundary"),
            (r"x?\b[a-z]{4}", None, "ok 5"),
            (r"(?:a|[0-9])x", None, "neither a boundary"),
            (r"\b[a-z&&[^x]]{4}", None, "`&&`"),
            (r"\b{start}abcd", None, r"\b{"),
            (r"\bcaf[éè]", None, "beyond ASCII"),
            (r"\bcafé", None, "not ASCII"),
            (r"\b[^\x80-\xff]{4}", None, "ok 4"),
            (r"\b\p{L}{4}", None, "does not fit bytes"),
            (r"\b(a", None, "does not parse"),
            (r"\ba{0,4}", None, "empty string"),
            (r"\bx[a-z]{0,70000}", None, "bytes long"),
            (r"^abc", None, "chunks"),
            (r"\Aabc", None, "chunks"),
            (r"(?m)^abc$", None, "ok 3"),
        ] {
            let got = told(regex, max_len);
            assert!(got.contains(expected), "{regex}: {got}");
        }
    }

    #[test]
    fn no_class_takes_in_a_barrier() {
        let expr = shape(r"(?i)\bpass=(\S{3,9}?|[^ ]x)$".trim_end_matches('$'), 1, None).unwrap();
        let regex = regex::bytes::RegexBuilder::new(&expr.regex).unicode(false).build().unwrap();
        let hit = regex.captures("x PASS=geheß█".as_bytes()).unwrap();
        assert_eq!(hit.get(1).unwrap().as_bytes(), b"geh");
        assert!(!regex.is_match("pass=██████".as_bytes()));
        assert!(!regex.is_match("pass=……………".as_bytes()));
    }

    #[test]
    fn a_group_must_exist() {
        assert!(shape(r"\b(a)b", 1, None).is_ok());
        assert!(shape(r"\b(a)b", 2, None).is_err());
    }
}
