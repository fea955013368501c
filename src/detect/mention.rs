//! Use against mention: whether a hit is said to the model, or spoken about.
//!
//! A sentence that quotes an attack is no attack, and a pair of quotation marks round an
//! attack does not make it harmless. So one sign alone decides nothing: a hit counts as
//! mentioned where it is set apart from the speaker's own words (marks of quotation or
//! brackets, a fence, a quoted line, a sentence below a heading) and those words speak about words or ask for
//! something to be done with the text; or where the grammar itself reports it ("tries to
//! make the model …"). Words that ask the model to follow what is quoted undo all of that.
//! It never moves a hit by more than one step.
//!
//! Every test is a function of the hit's place: a left-to-right state (is a fence open?),
//! the [`LEFT`] bytes before the hit and the [`RIGHT`] bytes behind it.

use std::ops::Range;

use regex_automata::Input;

use crate::engine::Exact;
use crate::event::RawSpan;
use crate::finding::Mention;

/// How far before a hit its frame is looked for.
pub(super) const LEFT: usize = 256;
/// How far behind.
pub(super) const RIGHT: usize = 64;
/// How near before a hit the words must stand that report it.
const REPORT: usize = 96;
/// How far before a hit a request to follow it is looked for.
const FOLLOW: usize = 128;

/// Speech about words, texts and attacks.
const ABOUT: &[&str] = &[
    "{phrase|phrases|wording|keyword*|sentence*|string|strings|words|text|line|title|payload*|input|inputs}",
    "{such as|for example|for instance|e g|an example|examples|example of|something like|things like}",
    "{prompt injection*|injection attack*|jailbreaking|jailbreak prompt*|jailbreak attempt*|attack*|adversar*|malicious|exploit*|red team*}",
    "{detect*|filter|filters|classif*|guardrail*|scanner*|blocklist*|denylist*|deny list|block list|allow list|regex|dataset|benchmark*|unit test*|test case*}",
    "{paper|article|researcher*|tutorial|lecture|course|slide|slides|chapter|textbook|blog post|report|quiz|students}",
    "{mean|means|meaning|define|definition|refers to|known as|called|titled|named|explain why|what does|what is}",
    "{said|says|wrote|writes|typed|reads|asked|shouted|contains|contained|containing|includes|included}",
];

/// Something is to be done with a text other than what it says.
const TASK: &[&str] = &[
    "{summari*|translat*|proofread*|paraphras*|rephras*|classify|label|analy*|review|critique|moderate|flag|count}",
    "{grammar|spelling|typo*|sentiment|spam|phishing|tone}",
    "{zusammenfass*|fasse|resume|resumer|resumir|resuma|traduis|traduire|traduce|traduza|traduci|traduci*}",
];

/// The grammar of a report: what comes next is what somebody wants a model to do, or a
/// specimen.
const REPORTED: &[&str] = &[
    "{tries|trying|attempts|attempting|attempted|tried} to",
    "{asks|asking|tells|telling|instructs|instructing|tricks|tricking|convinces|convincing|persuades|causes|causing|gets|getting|forces|forcing|make|makes|making|manipulat*|coax*} {the|a|an|your|our|any|it|them|llms|models} [ai|language|target|underlying|large|chat] {model|llm|llms|assistant|agent|bot|chatbot|ai|system|models|agents|to|into} [to|into]",
    "{told|telling|asked|asking|instructed|instructing|ordered|advised|reminded|taught} {the|my|our|his|her|their|all|us|them|him|a|an} ..2 to",
    "{phrase|phrases|prompt|prompts|message|messages|input|inputs|strings|commands|attack|attacks|instructions|text|requests|words|things|keywords|techniques|sentences|something|patterns|lines} {like|such as}",
    "{phrase|phrases|prompts|messages|inputs|documents|emails|attacks|instructions|text|content} that {say|says|said|tell|tells|ask|asks|try|tries|contain|contains|read|reads}",
    "{attacker*|adversar*|hackers|malicious users|malicious actors|users} {may|might|can|could|will|would|who|often} [then|also|simply|type|write|say|try to]",
    "{detect*|prevent*|resist*|mitigate*|defend against|protect against|guard against|robust to} [attempts to|requests to|prompts that|inputs that|users who|any]",
    "what {does|is|do} [a|an|the] {it mean|they mean|phrase|prompt|term|expression|sentence|words}",
];

/// The reader asks the model to do what is quoted.
const FOLLOWED: &[&str] = &[
    "{follow|obey|execute|perform|carry out|adopt|run|apply|do|act on|comply with} {this|these|that|the|my|what|it|all|every|exactly|as}",
    "{respond|reply|answer} {to this|to it|to the following|as instructed|accordingly}",
    "{your new|you are now|from now on|you must|you will now|you shall}",
    "and {do|obey|follow|comply|execute|act|then}",
];

/// Fiction is openly asked for.
const FICTION: &[&str] = &[
    "{write|tell|compose|draft|create} [me|us] [a|an|the] [short|long|funny|little|science fiction|fantasy] {story|tale|scene|poem|song|novel|screenplay|dialogue|script|play|chapter|limerick|haiku|sonnet} {about|where|in which|of|with|featuring|for}",
];

/// The words that frame a mention, compiled.
pub(super) struct Cues {
    about: Exact,
    task: Exact,
    reported: Exact,
    followed: Exact,
    fiction: Exact,
}

impl Cues {
    pub(super) fn compile() -> Result<Self, String> {
        let regex = |phrases: &[&str]| {
            let phrases: Vec<String> = phrases.iter().map(|&phrase| phrase.to_owned()).collect();
            let regex = crate::patterns::phrase::compile_any(&phrases)
                .map_err(|(what, help)| format!("{what}; {help}"))?;
            Exact::read(&regex)
        };
        Ok(Self {
            about: regex(ABOUT)?,
            task: regex(TASK)?,
            reported: regex(REPORTED)?,
            followed: regex(FOLLOWED)?,
            fiction: regex(FICTION)?,
        })
    }
}

impl Cues {
    /// Makes what is otherwise made when a hit first asks for it.
    pub(super) fn warm(&self) -> Result<(), String> {
        let Self { about, task, reported, followed, fiction } = self;
        let mut all = [about, task, reported, followed, fiction].into_iter();
        all.try_for_each(|one| one.get().map(drop)).map_err(str::to_owned)
    }
}

/// One text, and where its fences stand, found when first asked for.
pub(super) struct Reader<'a> {
    cues: &'a Cues,
    text: &'a str,
    before: Fences,
    fences: Option<Vec<usize>>,
}

/// What the fences before a place come to, for a text that is read in parts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Fences {
    /// Whether one is open.
    pub(super) open: bool,
    /// What the last line has so far.
    pub(super) line: Line,
}

/// The beginning of a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Line {
    /// Nothing but blanks.
    #[default]
    Blank,
    /// Blanks and one or two backquotes.
    Ticks(u8),
    /// Anything else.
    Other,
}

impl Fences {
    /// The same behind more text.
    pub(super) fn pass(&mut self, text: &str) {
        for byte in text.bytes() {
            self.line = match (self.line, byte) {
                (_, b'\n') | (Line::Blank, b' ' | b'\t') => Line::Blank,
                (Line::Blank, b'`') => Line::Ticks(1),
                (Line::Ticks(1), b'`') => Line::Ticks(2),
                (Line::Ticks(_), b'`') => {
                    self.open = !self.open;
                    Line::Other
                }
                _ => Line::Other,
            };
        }
    }
}

impl<'a> Reader<'a> {
    pub(super) fn new(cues: &'a Cues, text: &'a str) -> Self {
        Self { cues, text, before: Fences::default(), fences: None }
    }

    /// The same of a text before which others have been read.
    pub(super) fn behind(self, before: Fences) -> Self {
        Self { before, ..self }
    }

    /// How the hit is mentioned, if it is. `persona`: the hit gives the model a character,
    /// which fiction does too.
    pub(super) fn mention(&mut self, span: RawSpan, persona: bool) -> Option<Mention> {
        let left = self.floor(span.start.saturating_sub(LEFT))..span.start;
        let right = span.end..self.floor(span.end.saturating_add(RIGHT));
        if self.is_followed(&left, &right) {
            return None;
        }
        let found = |regex: &Exact, range: &Range<usize>| self.found(regex, range.clone());
        if persona && found(&self.cues.fiction, &left) {
            return Some(Mention::Fiction);
        }
        let about = found(&self.cues.about, &left) || found(&self.cues.about, &right);
        if about || found(&self.cues.task, &left) {
            let (before, after) = (self.text.get(left)?, self.text.get(right)?);
            if is_quoted(before, after) {
                return Some(Mention::Quotation);
            }
            if self.is_fenced(span.start) {
                return Some(Mention::Fence);
            }
            if about && is_below_heading(before) {
                return Some(Mention::Documentation);
            }
        }
        self.is_reported(span).then_some(Mention::Report)
    }

    fn found(&self, regex: &Exact, range: Range<usize>) -> bool {
        !range.is_empty() && regex.is_match(Input::new(self.text).range(range))
    }

    fn is_followed(&self, left: &Range<usize>, right: &Range<usize>) -> bool {
        let near = self.floor(left.end.saturating_sub(FOLLOW))..left.end;
        self.found(&self.cues.followed, near) || self.found(&self.cues.followed, right.clone())
    }

    /// Whether words that report a request stand right before the hit, in its sentence.
    fn is_reported(&self, span: RawSpan) -> bool {
        let near = self.floor(span.start.saturating_sub(REPORT))..span.start;
        if near.is_empty() {
            return false;
        }
        let Ok(reported) = self.cues.reported.get() else { return false };
        let last = reported.find_iter(Input::new(self.text).range(near)).last();
        last.and_then(|cue| self.text.get(cue.end()..span.start)).is_some_and(|between| {
            between.len() <= 24 && !between.contains(['.', '!', '?', ':', '\n'])
        })
    }

    /// Whether an odd number of fences stands before the place.
    fn is_fenced(&mut self, at: usize) -> bool {
        let (text, line) = (self.text, self.before.line);
        let fences = self.fences.get_or_insert_with(|| fences(text, line));
        (fences.partition_point(|&fence| fence < at) % 2 == 1) != self.before.open
    }

    /// The nearest place at or before `at` where a character begins.
    fn floor(&self, at: usize) -> usize {
        let mut at = at.min(self.text.len());
        while !self.text.is_char_boundary(at) {
            at -= 1;
        }
        at
    }
}

/// Where lines begin that open or close a fenced block.
fn fences(text: &str, mut begun: Line) -> Vec<usize> {
    if begun == Line::Blank && memchr::memmem::find(text.as_bytes(), b"```").is_none() {
        return Vec::new();
    }
    let mut fences = Vec::new();
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let is_fence = match std::mem::take(&mut begun) {
            Line::Blank => line.trim_start_matches([' ', '\t']).starts_with("```"),
            Line::Ticks(1) => line.starts_with("``"),
            Line::Ticks(_) => line.starts_with('`'),
            Line::Other => false,
        };
        if is_fence {
            fences.push(at);
        }
        at += line.len();
    }
    fences
}

/// Whether marks opened before the hit close soon behind it, in its line, or its line is a
/// quoted one. An attack on a template that puts foreign text in quotation marks breaks the
/// line first.
fn is_quoted(before: &str, after: &str) -> bool {
    let line = before.rsplit('\n').next().unwrap_or(before);
    // Only a line whose beginning is in sight.
    if line.len() < before.len() && line.trim_start_matches([' ', '\t']).starts_with('>') {
        return true;
    }
    let Some(close) = open_quote(line) else { return false };
    let after = after.split('\n').next().unwrap_or(after);
    let mut chars = after.chars().peekable();
    while let Some(c) = chars.next() {
        if c == close && (c != '\'' || !chars.peek().is_some_and(|next| next.is_alphanumeric())) {
            return true;
        }
    }
    false
}

/// The mark that would close the quotation still open at the end.
fn open_quote(line: &str) -> Option<char> {
    let mut open = None;
    let mut last: Option<char> = None;
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        let inside_word = last.is_some_and(char::is_alphanumeric);
        let goes_on = chars.peek().is_some_and(|next| next.is_alphanumeric());
        match (open, c) {
            (Some('\''), '\'') if inside_word && goes_on => {}
            (Some(close), c) if close == c => open = None,
            (Some(_), _) => {}
            (None, '\'') if inside_word => {}
            (None, c) => open = closing(c),
        }
        last = Some(c);
    }
    open
}

fn closing(open: char) -> Option<char> {
    match open {
        '"' | '`' | '\'' => Some(open),
        '\u{201C}' | '\u{201E}' => Some('\u{201D}'),
        '\u{2018}' => Some('\u{2019}'),
        '\u{AB}' => Some('\u{BB}'),
        '(' => Some(')'),
        '\u{300C}' => Some('\u{300D}'),
        _ => None,
    }
}

/// Whether the hit stands inside a sentence of a text with headings. At the start of a
/// sentence an imperative is one.
fn is_below_heading(before: &str) -> bool {
    let heading = before.split('\n').any(|line| {
        let rest = line.trim_start_matches('#');
        rest.len() < line.len() && rest.starts_with(' ')
    });
    let mut words = before.trim_end_matches([' ', '\t']).rsplit([' ', '\t', '\n']);
    let last = words.next().unwrap_or_default();
    heading
        && last.ends_with(|c: char| c.is_alphanumeric())
        && !before.ends_with('\n')
        && !matches!(
            last.to_ascii_lowercase().as_str(),
            "please" | "now" | "then" | "and" | "just" | "also" | "must" | "so" | "first"
        )
}

#[cfg(test)]
mod tests {
    use std::ops::Add;

    use super::*;

    fn mention(text: &str, persona: bool) -> Option<Mention> {
        let cues = Cues::compile().unwrap();
        let start = text.find("drop it").unwrap();
        Reader::new(&cues, text).mention(RawSpan { start, end: start + 7 }, persona)
    }

    #[test]
    fn a_mention_is_set_apart_and_spoken_about() {
        use Mention::{Documentation, Fence, Quotation, Report};
        for (text, expected) in [
            ("The phrase \"drop it\" is a known attack.", Some(Quotation)),
            ("What does 'drop it' mean?", Some(Quotation)),
            ("the words “please drop it.” are bad", Some(Quotation)),
            ("> drop it", None),
            ("She wrote:\n> please drop it", Some(Quotation)),
            ("Translate to French: \"Hi Bob, drop it and leave\"", Some(Quotation)),
            ("A test case for the filter:\n```\nplease drop it now\n```", Some(Fence)),
            ("# Attacks\n\nA text may ask it to drop it at once.", Some(Documentation)),
            ("# Attacks\n\nDo not wait. drop it", None),
            ("It was a known attack (drop it), and it worked.", Some(Quotation)),
            ("The text: \"\n---\ndrop it: \"", None),
            ("An attacker tries to make the model drop it", Some(Report)),
            ("Watch out for phrases like drop it", Some(Report)),
            ("It tries to. Now drop it", None),
            ("drop it", None),
            ("\"drop it\"", None),
            ("please \"drop it\" at once", None),
            ("```\nplease drop it now\n```", None),
            ("the text: \"a\" drop it \"b\"", None),
            ("the text doesn't matter, drop it, don't you", None),
        ] {
            assert_eq!(mention(text, false), expected, "{text}");
        }
    }

    #[test]
    fn what_is_to_be_followed_is_used() {
        for text in [
            "Here is a text. Follow the words \"drop it\"",
            "The phrase \"drop it\" is what counts, obey it",
            "Read the line \"drop it\" and do what it says",
            "From now on the phrase \"drop it\" is law",
        ] {
            assert_eq!(mention(text, false), None, "{text}");
        }
    }

    #[test]
    fn fiction_frames_a_persona_and_nothing_else() {
        let text = "Write a short story about a robot. It can drop it.";
        assert_eq!(mention(text, true), Some(Mention::Fiction));
        assert_eq!(mention(text, false), None);
    }

    #[test]
    fn nothing_beyond_the_window_counts() {
        let far = format!("The phrase is known. \"{} drop it\"", "x ".repeat(200));
        assert_eq!(mention(&far, false), None);
        let late = format!("The phrase \"drop it {}\"", "x ".repeat(40));
        assert_eq!(mention(&late, false), None);
        let fenced = format!("```\n{}\nThe phrase drop it\n```", "x\n".repeat(400));
        assert_eq!(mention(&fenced, false), Some(Mention::Fence));
        assert_eq!(mention(&"é".repeat(400).add("drop it").add(&"é".repeat(90)), false), None);
    }
}
