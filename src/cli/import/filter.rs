//! The part of betterleaks' filters that has a counterpart: what is discarded, as a
//! chain of `||`.
//!
//! A filter is an expression that is true for findings to be discarded. Its alternatives
//! are read one by one: entropy below a number, a secret that matches one of several
//! expressions, holds one of several words, or is one certain value. An alternative of
//! any other form is given back as it stands, to be told.

/// What a filter discards.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Filter {
    /// Secrets with fewer bits a byte than this.
    pub(super) entropy: Option<f64>,
    /// Secrets in which one of these expressions is found.
    pub(super) regexes: Vec<String>,
    /// Secrets that hold one of these, in any case.
    pub(super) words: Vec<String>,
    /// Alternatives of another form.
    pub(super) unread: Vec<String>,
}

/// Reads a filter.
pub(super) fn read(text: &str) -> Filter {
    let mut filter = Filter::default();
    for term in alternatives(&without_comments(text)) {
        if term.is_empty() {
            continue;
        }
        if !read_term(&term, &mut filter) {
            filter.unread.push(term.split_whitespace().collect::<Vec<_>>().join(" "));
        }
    }
    filter
}

/// The alternatives of `a || (b || c)`, without their brackets.
fn alternatives(text: &str) -> Vec<String> {
    let text = text.trim();
    let parts = split(text, "||");
    if parts.len() > 1 {
        return parts.iter().flat_map(|part| alternatives(part)).collect();
    }
    match text.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')) {
        Some(inside) if split(inside, ")").len() == 1 && !inside.is_empty() => alternatives(inside),
        _ => vec![text.to_owned()],
    }
}

/// Cuts at a sign where it stands in no string and no bracket. A `)` that closes nothing
/// counts as standing outside.
fn split<'t>(text: &'t str, sign: &str) -> Vec<&'t str> {
    let mut parts = Vec::new();
    let (mut from, mut at, mut depth) = (0, 0, 0_usize);
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        if let Some((_, length)) = string(rest) {
            at += length;
            continue;
        }
        if depth == 0 && rest.starts_with(sign) {
            parts.push(text.get(from..at).unwrap_or_default());
            at += sign.len();
            from = at;
            continue;
        }
        let c = rest.chars().next().unwrap_or_default();
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        at += c.len_utf8();
    }
    parts.push(text.get(from..).unwrap_or_default());
    parts
}

fn without_comments(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        if let Some((_, length)) = string(rest) {
            out.push_str(rest.get(..length).unwrap_or_default());
            at += length;
        } else if rest.starts_with("//") {
            at += rest.find('\n').unwrap_or(rest.len());
        } else {
            let c = rest.chars().next().unwrap_or_default();
            out.push(c);
            at += c.len_utf8();
        }
    }
    out
}

/// A string literal at the beginning of the text: its value, and its length in bytes.
fn string(text: &str) -> Option<(String, usize)> {
    for (open, close, raw) in [
        ("r\"\"\"", "\"\"\"", true),
        ("r'''", "'''", true),
        ("\"\"\"", "\"\"\"", false),
        ("r\"", "\"", true),
        ("r'", "'", true),
        ("`", "`", true),
        ("\"", "\"", false),
        ("'", "'", false),
    ] {
        let Some(rest) = text.strip_prefix(open) else { continue };
        if raw {
            let end = rest.find(close)?;
            return Some((rest.get(..end)?.to_owned(), open.len() + end + close.len()));
        }
        let mut value = String::new();
        let mut at = 0;
        while let Some(left) = rest.get(at..).filter(|left| !left.is_empty()) {
            if left.starts_with(close) {
                return Some((value, open.len() + at + close.len()));
            }
            let mut chars = left.chars();
            let c = chars.next()?;
            at += c.len_utf8();
            if c != '\\' {
                value.push(c);
                continue;
            }
            let escaped = chars.next()?;
            at += escaped.len_utf8();
            value.push(match escaped {
                'n' => '\n',
                't' => '\t',
                'r' => '\r',
                '\\' | '"' | '\'' | '`' | '/' => escaped,
                // A string that says more than its letters is left unread.
                _ => return None,
            });
        }
        return None;
    }
    None
}

/// The names under which a filter has the secret.
const SECRET: &[&str] = &["finding[\"secret\"]", "finding['secret']", "finding.secret"];

fn read_term(term: &str, filter: &mut Filter) -> bool {
    let term = term.trim();
    if let Some((left, right)) = two(term, "==") {
        let (left, right) = if is_secret(left) { (left, right) } else { (right, left) };
        let Some((value, length)) = string(right) else { return false };
        if !is_secret(left) || length != right.len() {
            return false;
        }
        filter.regexes.push(format!("^{}$", regex_syntax::escape(&value)));
        return true;
    }
    for sign in ["<=", "<"] {
        if let Some((left, right)) = two(term, sign) {
            let number = right.parse::<f64>().ok().filter(|bits| (0.0..=8.0).contains(bits));
            let of_secret = call(left, "entropy")
                .is_some_and(|arguments| matches!(arguments.as_slice(), [one] if is_secret(one)));
            let (Some(bits), true) = (number, of_secret) else { return false };
            filter.entropy = Some(filter.entropy.map_or(bits, |other| other.max(bits)));
            return true;
        }
    }
    for (name, of_regexes) in [("matchesAny", true), ("containsAny", false)] {
        let Some(arguments) = call(term, name) else { continue };
        let [secret, list] = arguments.as_slice() else { return false };
        let (true, Some(values)) = (is_secret(secret), strings(list)) else { return false };
        if of_regexes {
            filter.regexes.extend(values);
        } else {
            filter.words.extend(values);
        }
        return true;
    }
    false
}

fn is_secret(text: &str) -> bool {
    SECRET.contains(&text.trim())
}

/// Both sides of a sign that stands there once.
fn two<'t>(text: &'t str, sign: &str) -> Option<(&'t str, &'t str)> {
    match split(text, sign).as_slice() {
        [left, right] => Some((left.trim(), right.trim())),
        _ => None,
    }
}

/// The arguments of `name(…)` or `filter.name(…)`, where that is all of the text.
fn call<'t>(text: &'t str, name: &str) -> Option<Vec<&'t str>> {
    let text = text.strip_prefix("filter.").unwrap_or(text);
    let inside = text.strip_prefix(name)?.trim_start().strip_prefix('(')?.strip_suffix(')')?;
    (split(inside, ")").len() == 1).then(|| split(inside, ",").into_iter().map(str::trim).collect())
}

/// A list of string literals.
fn strings(text: &str) -> Option<Vec<String>> {
    let inside = text.trim().strip_prefix('[')?.strip_suffix(']')?;
    let items = split(inside, ",").into_iter().map(str::trim).filter(|item| !item.is_empty());
    items
        .map(|item| string(item).filter(|(_, length)| *length == item.len()).map(|(text, _)| text))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alternatives_are_read_one_by_one() {
        let filter = read(
            r#"
            // what is too plain
            (entropy(finding["secret"]) <= 3.5 || filter.entropy(finding.secret) < 3)
            || filter.matchesAny(finding["secret"], [`^a||b$`, r"""c"d""", "e\\.f",])
            || containsAny(finding['secret'], ['EXAMPLE', "(test)"]) || finding["secret"] == "x.y"
            "#,
        );
        assert_eq!(filter.entropy, Some(3.5));
        assert_eq!(filter.regexes, ["^a||b$", "c\"d", r"e\.f", r"^x\.y$"]);
        assert_eq!(filter.words, ["EXAMPLE", "(test)"]);
        assert!(filter.unread.is_empty(), "{:?}", filter.unread);
    }

    #[test]
    fn what_cannot_be_read_is_given_back() {
        let filter = read(
            "failsTokenEfficiency(finding[\"secret\"]) ||\n  (entropy(finding.secret) <= 3.0 && containsAny(finding[\"line\"], [\"x\"]))\n|| containsAny(finding[\"line\"], [\"y\"]) || entropy(finding.secret) <= 2",
        );
        assert_eq!(
            filter.unread,
            [
                "failsTokenEfficiency(finding[\"secret\"])",
                "entropy(finding.secret) <= 3.0 && containsAny(finding[\"line\"], [\"x\"])",
                "containsAny(finding[\"line\"], [\"y\"])",
            ]
        );
        assert_eq!(filter.entropy, Some(2.0));
        assert_eq!(read("  \n"), Filter::default());
        assert_eq!(read("(a) && (b)").unread, ["(a) && (b)"]);
    }
}
