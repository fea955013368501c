//! Expressions as Go's `regexp` and RE2 read them, written so that Weir reads the same.
//!
//! Both syntaxes come from RE2 and differ in corners: a brace that begins no repeat, a
//! bracket inside a class and `&&` are plain characters there; `\Q…\E`, octal escapes and
//! `\C` are missing here, and `\<` means something else. What has no counterpart is told.
//! The ends of the text become the ends of a line where the caller asks for it, because
//! where a text ends depends on how it came; `\s` here also takes in the vertical tab.

use std::fmt::Write as _;
use std::iter::Peekable;
use std::str::Chars;

/// What `^`, `$`, `\A` and `\z` become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ends {
    /// The ends of the text: for a value that is looked at alone.
    OfText,
    /// The ends of a line.
    OfLine,
}

/// An expression in the syntax of the `regex` crate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Translated {
    pub(super) regex: String,
    /// Whether an end of the text has become an end of a line.
    pub(super) widened: bool,
}

/// Translates an expression.
///
/// # Errors
/// What has no counterpart, as the end of a sentence.
pub(super) fn translate(regex: &str, ends: Ends) -> Result<Translated, String> {
    let mut writer = Writer {
        rest: regex.chars().peekable(),
        out: String::with_capacity(regex.len() + 16),
        ends,
        lines: vec![false],
        widened: false,
    };
    while let Some(c) = writer.rest.next() {
        writer.outside(c)?;
    }
    Ok(Translated { regex: writer.out, widened: writer.widened })
}

struct Writer<'r> {
    rest: Peekable<Chars<'r>>,
    out: String,
    ends: Ends,
    /// Whether `^` is the beginning of a line, by group.
    lines: Vec<bool>,
    widened: bool,
}

/// What stands last in a class: what a hyphen behind it means hangs on that.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Last {
    Nothing,
    Literal,
    /// A class of its own, or the end of a range: no range can begin with it.
    Closed,
}

impl Writer<'_> {
    fn outside(&mut self, c: char) -> Result<(), String> {
        match c {
            '\\' => self.escape(false).map(drop),
            '[' => self.class(),
            '(' => self.open(),
            ')' => {
                self.out.push(')');
                if self.lines.len() > 1 {
                    self.lines.pop();
                }
                Ok(())
            }
            '{' if !self.begins_repeat() => {
                self.out.push_str("\\{");
                Ok(())
            }
            '^' => {
                self.end("^", "\\A");
                Ok(())
            }
            '$' => {
                self.end("$", "\\z");
                Ok(())
            }
            c => {
                self.out.push(c);
                Ok(())
            }
        }
    }

    /// `{3}`, `{3,}` or `{3,5}` behind the brace.
    fn begins_repeat(&self) -> bool {
        let inside: String = self.rest.clone().take_while(|&c| c != '}').collect();
        let closed = self.rest.clone().any(|c| c == '}');
        let number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        closed
            && match inside.split_once(',') {
                None => number(&inside),
                Some((least, most)) => number(least) && (most.is_empty() || number(most)),
            }
    }

    /// An end of a line or, where lines are not asked for, of the text.
    fn end(&mut self, of_line: &str, of_text: &str) {
        let lines = self.lines.last().copied().unwrap_or_default();
        if !lines && self.ends == Ends::OfText {
            self.out.push_str(of_text);
            return;
        }
        self.widened |= !lines;
        self.out.push_str("(?m:");
        self.out.push_str(of_line);
        self.out.push(')');
    }

    /// A group, or flags for the rest of the group.
    fn open(&mut self) -> Result<(), String> {
        self.out.push('(');
        let lines = self.lines.last().copied().unwrap_or_default();
        if self.rest.peek() != Some(&'?') {
            self.lines.push(lines);
            return Ok(());
        }
        let mut head = String::new();
        for c in self.rest.by_ref() {
            head.push(c);
            match c {
                ':' | ')' | '>' => break,
                '=' | '!' => return Err("it looks around (`(?=`, `(?!`, `(?<=`)".to_owned()),
                _ => {}
            }
        }
        self.out.push_str(&head);
        let flags = head.trim_start_matches('?');
        let (on, off) = flags.split_once('-').unwrap_or((flags, ""));
        let lines = (lines || on.contains('m')) && !off.contains('m');
        match head.chars().last() {
            Some(')') => {
                if let Some(last) = self.lines.last_mut() {
                    *last = lines;
                }
            }
            // The name of a group holds no flags.
            Some('>') => self.lines.push(self.lines.last().copied().unwrap_or_default()),
            _ => self.lines.push(lines),
        }
        Ok(())
    }

    /// What follows a backslash. Says whether it stands for one character.
    fn escape(&mut self, in_class: bool) -> Result<bool, String> {
        let Some(c) = self.rest.next() else {
            return Err("it ends in a backslash".to_owned());
        };
        match c {
            'd' | 'w' | 's' | 'D' | 'W' | 'S' => {
                self.out.extend(['\\', c]);
                return Ok(false);
            }
            'b' | 'B' if !in_class => self.out.extend(['\\', c]),
            'A' if !in_class => self.end("^", "\\A"),
            'z' if !in_class => self.end("$", "\\z"),
            'Q' if !in_class => self.quoted(),
            // Any byte, whatever `s` says.
            'C' if !in_class => self.out.push_str("(?s:.)"),
            'a' | 'f' | 'n' | 'r' | 't' | 'v' => self.out.extend(['\\', c]),
            'x' => self.hexadecimal(),
            'p' | 'P' => return Err(format!("it names a class of Unicode (`\\{c}`)")),
            '0'..='7' => self.octal(c)?,
            c if c.is_ascii_alphanumeric() => return Err(format!("it has the escape `\\{c}`")),
            // Here `\<` and `\>` are ends of words.
            '<' | '>' => self.out.push(c),
            c if c.is_ascii() => self.out.extend(['\\', c]),
            c => self.out.push(c),
        }
        Ok(true)
    }

    /// `\Q…\E`: as it stands.
    fn quoted(&mut self) {
        let mut text = String::new();
        while let Some(c) = self.rest.next() {
            if c == '\\' && self.rest.peek() == Some(&'E') {
                self.rest.next();
                break;
            }
            text.push(c);
        }
        self.out.push_str(&regex_syntax::escape(&text));
    }

    fn hexadecimal(&mut self) {
        self.out.push_str("\\x");
        if self.rest.peek() == Some(&'{') {
            for c in self.rest.by_ref() {
                self.out.push(c);
                if c == '}' {
                    break;
                }
            }
        }
    }

    /// `\0`, `\012`: a character by its number. A lone digit would be a backreference.
    fn octal(&mut self, first: char) -> Result<(), String> {
        let mut value = first.to_digit(8).unwrap_or_default();
        let mut digits = 1;
        while digits < 3 {
            let Some(digit) = self.rest.peek().and_then(|c| c.to_digit(8)) else { break };
            self.rest.next();
            value = value * 8 + digit;
            digits += 1;
        }
        if first != '0' && digits == 1 {
            return Err(format!("it refers back to a group (`\\{first}`)"));
        }
        write!(self.out, "\\x{{{value:x}}}").expect("writing to a string cannot fail");
        Ok(())
    }

    fn class(&mut self) -> Result<(), String> {
        self.out.push('[');
        if self.rest.peek() == Some(&'^') {
            self.rest.next();
            self.out.push('^');
        }
        let mut last = Last::Nothing;
        let mut first = true;
        while let Some(c) = self.rest.next() {
            let next = self.rest.peek().copied();
            last = match c {
                ']' if !first => {
                    self.out.push(']');
                    return Ok(());
                }
                '[' if next == Some(':') => {
                    self.posix();
                    Last::Closed
                }
                '\\' if self.escape(true)? => Last::Literal,
                '\\' => Last::Closed,
                '-' if last == Last::Literal && next.is_some_and(|next| next != ']') => {
                    self.out.push('-');
                    self.range_end()?;
                    Last::Closed
                }
                c => {
                    self.member(c);
                    Last::Literal
                }
            };
            first = false;
        }
        Err("a class is not closed".to_owned())
    }

    /// The last character of a range.
    fn range_end(&mut self) -> Result<(), String> {
        match self.rest.next() {
            Some('\\') => self.escape(true).map(drop),
            Some(c) => {
                self.member(c);
                Ok(())
            }
            None => Err("a class is not closed".to_owned()),
        }
    }

    /// A character of a class; those that would join sets here are marked as plain.
    fn member(&mut self, c: char) {
        if matches!(c, '[' | ']' | '&' | '~' | '-' | '^') {
            self.out.push('\\');
        }
        self.out.push(c);
    }

    /// `[:alpha:]`, copied.
    fn posix(&mut self) {
        self.out.push('[');
        for c in self.rest.by_ref() {
            self.out.push(c);
            if c == ']' {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_otherwise_reads_the_same() {
        for (go, ours) in [
            (r"\bab[a-z0-9]{4,}\b", r"\bab[a-z0-9]{4,}\b"),
            (r"\${(?:[A-Z_]+)}", r"\$\{(?:[A-Z_]+)}"),
            (r"^{\d{0,2}}$", r"(?m:^)\{\d{0,2}}(?m:$)"),
            (r"a{,3}", r"a\{,3}"),
            (r"[[:alnum:]_[]x", r"[[:alnum:]_\[]x"),
            (r"[\w-.]", r"[\w\-.]"),
            (r"[a-z-9]", r"[a-z\-9]"),
            (r"[+--]", r"[+-\-]"),
            (r"[]a&&b]", r"[\]a\&\&b]"),
            (r"[^-a]", r"[^\-a]"),
            (r"\Qa.b{\E+", r"a\.b\{+"),
            (r"\<tag\>\_", r"<tag>\_"),
            (r"\101\0", r"\x{41}\x{0}"),
            (r"a\Cb", r"a(?s:.)b"),
            (r"(?P<key>x)(?<n>y)\z", r"(?P<key>x)(?<n>y)(?m:$)"),
            (r"\x{41}\x42", r"\x{41}\x42"),
        ] {
            let got = translate(go, Ends::OfLine).unwrap().regex;
            assert_eq!(got, ours, "{go}");
            regex_syntax::ParserBuilder::new()
                .unicode(false)
                .utf8(false)
                .build()
                .parse(&got)
                .unwrap_or_else(|error| panic!("{got}: {error}"));
        }
    }

    #[test]
    fn ends_of_the_text_are_told_from_ends_of_a_line() {
        let widened = |regex: &str| translate(regex, Ends::OfLine).unwrap().widened;
        assert!(widened("a$") && widened(r"a\z") && widened("(?:(?m)x)$"));
        assert!(!widened("(?m)^a$") && !widened("(?m:a$)") && !widened("(?im)(a$)"));
        assert!(!widened(r"a\$[$^]"));
        assert_eq!(translate("^a$", Ends::OfText).unwrap().regex, r"\Aa\z");
        assert_eq!(translate("(?m)^a", Ends::OfText).unwrap().regex, "(?m)(?m:^)a");
    }

    #[test]
    fn what_has_no_counterpart_is_told() {
        for (regex, expected) in [
            (r"a(?=b)", "looks around"),
            (r"(?<!a)b", "looks around"),
            (r"(a)\1", "refers back"),
            (r"\p{Greek}", "Unicode"),
            (r"[\pL]", "Unicode"),
            (r"a\Z", r"`\Z`"),
            ("[a", "not closed"),
            ("a\\", "backslash"),
        ] {
            let told = translate(regex, Ends::OfLine).unwrap_err();
            assert!(told.contains(expected), "{regex}: {told}");
        }
    }
}
