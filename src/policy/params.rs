//! What a tool's parameters must be like.
//!
//! A demand names a parameter by a dotted path (`message.to`; `*` is any name, positions in
//! lists are left out) and says what every value at or below it must be. Where a value could
//! be read in two ways, the demand holds for both: a path with `%2e`, a list written as one
//! string with commas.

use crate::event::{Param, ParamValue, Params};
use crate::policy::glob::Glob;
use crate::policy::sql::{Dialect, reads_only};

/// Names a parameter: the names that lead to it, from the outermost on; `*` is any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Path(pub(super) Vec<String>);

impl Path {
    /// Reads `message.to`; `None` where a name is empty.
    pub(super) fn read(text: &str) -> Option<Self> {
        let names: Vec<String> = text.split('.').map(str::to_owned).collect();
        names.iter().all(|name| !name.is_empty()).then_some(Self(names))
    }

    /// Whether a value's pointer is this path, or below it.
    pub(super) fn covers(&self, pointer: &str) -> bool {
        let mut steps = pointer.split('/').skip(1).filter(|step| !is_position(step));
        self.0
            .iter()
            .all(|name| steps.next().is_some_and(|step| name == "*" || unescaped_is(step, name)))
    }
}

/// One demand on one parameter.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Demand {
    pub(super) path: Path,
    pub(super) check: Check,
}

/// What is demanded.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Check {
    /// At most so many elements; a string with several mail addresses counts as so many.
    MaxItems(u64),
    /// At most so many bytes in each string.
    MaxBytes(u64),
    /// Not below this number.
    Min(f64),
    /// Not above this number.
    Max(f64),
    /// One of these, as written.
    OneOf(Vec<String>),
    /// Like one of these.
    Like(Vec<Glob>),
    /// A file path below one of these folders.
    Below(Vec<Vec<String>>),
    /// A URL of http or https with one of these hosts.
    Hosts(Vec<Glob>),
    /// Mail addresses in these domains, and nothing else.
    Domains(Vec<Glob>),
    /// A query that only reads.
    ReadOnly(Dialect),
    /// Must be there.
    Required,
    /// Must not be there.
    Forbidden,
}

/// How a call meets a demand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Met {
    /// Every value is as demanded.
    Yes,
    /// There is no value to ask about.
    Absent,
    /// A value is not; with its index in `Event::fields`, where it has one.
    No(Option<u32>),
}

impl Demand {
    pub(super) fn met(&self, params: &Params<'_>) -> Met {
        let mut at = params.values.iter().filter(|param| self.path.covers(&param.path)).peekable();
        if at.peek().is_none() {
            return match self.check {
                Check::Required => Met::No(None),
                _ => Met::Absent,
            };
        }
        if let Check::MaxItems(max) = self.check {
            return Self::items(at, max);
        }
        for param in at {
            if !self.check.holds(&param.value) {
                return Met::No(param.field);
            }
        }
        Met::Yes
    }

    /// The elements of the outermost list count, and addresses inside of strings.
    fn items<'p>(values: impl Iterator<Item = &'p Param<'p>>, max: u64) -> Met {
        let mut total = 0_u64;
        let mut first = None;
        for param in values {
            first = first.or(param.field);
            total += match &param.value {
                ParamValue::List(len) => *len as u64,
                // An element was counted with its list; what it holds beyond one is more.
                ParamValue::Text(text) => {
                    let listed = param.path.split('/').any(is_position);
                    let inside = addresses(text).count().max(1) as u64;
                    inside - u64::from(listed)
                }
                ParamValue::Number(_)
                | ParamValue::Bool(_)
                | ParamValue::Null
                | ParamValue::Object => 0,
            };
        }
        if total > max { Met::No(first) } else { Met::Yes }
    }

    /// The path as people write it.
    pub(super) fn name(&self) -> String {
        self.path.0.join(".")
    }
}

impl Check {
    fn holds(&self, value: &ParamValue<'_>) -> bool {
        if matches!(self, Self::Forbidden) {
            return false;
        }
        let text: &str = match value {
            // Of a container its values are asked, which follow.
            ParamValue::List(_) | ParamValue::Object | ParamValue::Null => return true,
            ParamValue::Text(text) | ParamValue::Number(text) => text,
            ParamValue::Bool(true) => "true",
            ParamValue::Bool(false) => "false",
        };
        let number = || text.trim().parse::<f64>().ok().filter(|number| number.is_finite());
        match self {
            Self::MaxItems(_) | Self::Required | Self::Forbidden => true,
            Self::MaxBytes(max) => text.len() as u64 <= *max,
            Self::Min(min) => number().is_some_and(|number| number >= *min),
            Self::Max(max) => number().is_some_and(|number| number <= *max),
            Self::OneOf(allowed) => allowed.iter().any(|allowed| allowed == text),
            Self::Like(allowed) => allowed.iter().any(|glob| glob.matches(text)),
            Self::Below(roots) => below(text, roots),
            Self::Hosts(allowed) => {
                host(text).is_some_and(|host| allowed.iter().any(|glob| glob.matches(&host)))
            }
            Self::Domains(allowed) => in_domains(text, allowed),
            Self::ReadOnly(dialect) => reads_only(text, *dialect),
        }
    }

    /// What is wrong where the check does not hold, after the parameter's name.
    pub(super) fn problem(&self) -> String {
        match self {
            Self::MaxItems(max) => format!("holds more than {max} items"),
            Self::MaxBytes(max) => format!("is longer than {max} bytes"),
            Self::Min(min) => format!("is not a number from {min} up"),
            Self::Max(max) => format!("is not a number up to {max}"),
            Self::OneOf(_) => "is none of the values that the policy lists".to_owned(),
            Self::Like(_) => "is not like the policy asks".to_owned(),
            Self::Below(_) => "leads outside of the folders that the policy lists".to_owned(),
            Self::Hosts(_) => "is not a URL of a host that the policy lists".to_owned(),
            Self::Domains(_) => "goes to a mail domain that the policy does not list".to_owned(),
            Self::ReadOnly(_) => "is not a query that is known to only read".to_owned(),
            Self::Required => "is missing".to_owned(),
            Self::Forbidden => "must not be given".to_owned(),
        }
    }
}

fn is_position(step: &str) -> bool {
    !step.is_empty() && step.bytes().all(|byte| byte.is_ascii_digit())
}

fn unescaped_is(step: &str, name: &str) -> bool {
    if step.contains('~') {
        step.replace("~1", "/").replace("~0", "~") == name
    } else {
        step == name
    }
}

/// The parts of a text that have an `@`, between commas, semicolons and white space.
fn addresses(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| c == ',' || c == ';' || c.is_whitespace())
        .filter(|part| part.contains('@'))
}

fn in_domains(text: &str, allowed: &[Glob]) -> bool {
    let mut any = false;
    let all = addresses(text).all(|address| {
        any = true;
        let domain = address.rsplit('@').next().unwrap_or_default();
        let domain = domain.trim_matches(['<', '>', '"', '\'', '(', ')']).trim_end_matches('.');
        let domain = domain.to_ascii_lowercase();
        allowed.iter().any(|glob| glob.matches(&domain))
    });
    any && all
}

/// The folder names of a path, without `.` and with `..` followed; `None` where it climbs
/// above its start or holds what file systems do not.
pub(super) fn folders(path: &str) -> Option<Vec<String>> {
    let mut out: Vec<String> = Vec::new();
    for name in path.split(['/', '\\']) {
        match name {
            "" | "." => {}
            ".." => {
                out.pop()?;
            }
            name => out.push(name.to_owned()),
        }
    }
    Some(out)
}

/// Whether a path, as it is and with `%XX` decoded, lies below one of the roots. A relative
/// path is taken from each root. Links are not known here.
fn below(path: &str, roots: &[Vec<String>]) -> bool {
    let path = path.strip_prefix("file://").unwrap_or(path);
    let decoded = percent_decoded(path);
    let inside = |path: &str| {
        // A home folder, a variable, a drive and a byte that ends a C string are somewhere else.
        let elsewhere = path.starts_with('~') || path.contains(['\0', '$']);
        if elsewhere || path.get(1..2) == Some(":") || percent_decoded(path).is_some() {
            return false;
        }
        let absolute = path.starts_with(['/', '\\']);
        roots.iter().any(|root| match folders(path) {
            Some(folders) if absolute => folders.starts_with(root),
            Some(_) => true,
            None => false,
        })
    };
    match decoded {
        None => inside(path),
        Some(decoded) => inside(&decoded),
    }
}

/// The text with each `%XX` decoded, over and over until there is none; `None` where there is none.
fn percent_decoded(text: &str) -> Option<String> {
    let mut known: Option<String> = None;
    for _ in 0..4 {
        let bytes = known.as_deref().unwrap_or(text).as_bytes();
        let mut out = Vec::with_capacity(bytes.len());
        let mut at = 0;
        let hex = |byte: Option<&u8>| char::from(*byte?).to_digit(16);
        while let Some(&byte) = bytes.get(at) {
            let digits = hex(bytes.get(at + 1)).zip(hex(bytes.get(at + 2)));
            if let Some((high, low)) = digits.filter(|_| byte == b'%') {
                out.push((high * 16 + low) as u8);
                at += 3;
            } else {
                out.push(byte);
                at += 1;
            }
        }
        if out.len() == bytes.len() {
            break;
        }
        known = Some(String::from_utf8_lossy(&out).into_owned());
    }
    known
}

/// The host of an http or https URL in lower case, as browsers read it; `None` where it is none.
fn host(text: &str) -> Option<String> {
    // Browsers drop these wherever they stand.
    let text: String = text.trim().chars().filter(|c| !matches!(c, '\t' | '\n' | '\r')).collect();
    let lower = text.to_ascii_lowercase();
    let rest = lower.strip_prefix("https:").or_else(|| lower.strip_prefix("http:"))?;
    let rest = rest.trim_start_matches(['/', '\\']);
    let authority = rest.split(['/', '\\', '?', '#']).next()?;
    let host = authority.rsplit('@').next()?;
    let host = match host.strip_prefix('[') {
        Some(six) => six.split(']').next()?,
        None => host.split(':').next()?,
    };
    let host = host.strip_suffix('.').unwrap_or(host);
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
    (!host.is_empty() && host.chars().all(plain)).then(|| host.to_owned())
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use proptest::prelude::*;

    use super::*;

    fn text(path: &str, value: &str) -> Param<'static> {
        let value = ParamValue::Text(Cow::Owned(value.to_owned()));
        Param { path: path.to_owned(), value, field: Some(7) }
    }

    fn params(values: Vec<Param<'static>>) -> Params<'static> {
        Params { values, unclear: false }
    }

    fn holds(check: Check, value: &str) -> bool {
        let demand = Demand { path: Path::read("x").unwrap(), check };
        demand.met(&params(vec![text("/x", value)])) == Met::Yes
    }

    fn globs(list: &[&str]) -> Vec<Glob> {
        list.iter().map(|text| Glob::new(text)).collect()
    }

    #[test]
    fn a_path_covers_what_stands_at_it_and_below() {
        for (path, pointer, covers) in [
            ("to", "/to", true),
            ("to", "/to/3", true),
            ("to", "/to/3/email", true),
            ("to.email", "/to/3/email", true),
            ("to.email", "/to/3/name", false),
            ("to", "/too", false),
            ("*.email", "/cc/email", true),
            ("a/b", "/a~1b", true),
            ("to", "/0/to", true),
            ("to", "", false),
        ] {
            assert_eq!(Path::read(path).unwrap().covers(pointer), covers, "{path} {pointer}");
        }
    }

    #[test]
    fn recipients_are_counted_however_they_are_written() {
        let demand = Demand { path: Path::read("to").unwrap(), check: Check::MaxItems(3) };
        let list = |n: usize| {
            let mut values =
                vec![Param { path: "/to".into(), value: ParamValue::List(n), field: None }];
            values.extend((0..n).map(|at| text(&format!("/to/{at}"), "a@x.org")));
            params(values)
        };
        assert_eq!(demand.met(&list(3)), Met::Yes);
        assert_eq!(demand.met(&list(4)), Met::No(Some(7)));
        let joined = |n: usize| params(vec![text("/to", &vec!["a@x.org"; n].join("; "))]);
        assert_eq!(demand.met(&joined(3)), Met::Yes);
        assert_eq!(demand.met(&joined(14_000)), Met::No(Some(7)));
        // One element that holds a list is as many as it holds.
        let mut hidden = list(2);
        hidden.values[1] = text("/to/0", "a@x,b@x,c@x");
        assert_eq!(demand.met(&hidden), Met::No(Some(7)));
        assert_eq!(demand.met(&Params::default()), Met::Absent);
    }

    #[test]
    fn paths_stay_below_their_root() {
        let roots = || vec![folders("/srv/data").unwrap(), folders("/tmp/x").unwrap()];
        for (path, inside) in [
            ("/srv/data/a.txt", true),
            ("/srv/data", true),
            ("/srv//data/./a/../b", true),
            ("a/b.txt", true),
            ("/tmp/x/1", true),
            ("file:///srv/data/a", true),
            ("/srv/data%2fb", true),
            ("/srv/data/../secret", false),
            ("/srv/database", false),
            ("../data/x", false),
            ("a/../../x", false),
            ("/srv/data/%2e%2e/%2e%2e/etc/passwd", false),
            ("/srv/data/%252e%252e/%252e%252e/etc", false),
            ("/srv/data\\..\\..\\etc", false),
            ("/etc/passwd", false),
            ("~/x", false),
            ("$HOME/x", false),
            ("C:/x", false),
            ("/srv/data/a\0b", false),
        ] {
            assert_eq!(holds(Check::Below(roots()), path), inside, "{path}");
        }
    }

    #[test]
    fn hosts_are_read_as_browsers_read_them() {
        let allowed = || Check::Hosts(globs(&["example.com", "*.example.org"]));
        for (url, allows) in [
            ("https://example.com/a?b", true),
            ("HTTP://EXAMPLE.COM:8080", true),
            ("https://example.com.", true),
            ("https://a.b.example.org/x", true),
            ("https://example.org/", false),
            ("https://example.com.evil.net/", false),
            ("https://example.com@evil.net/", false),
            ("https://evil.net\\@example.com/", false),
            ("https://evil.net/#@example.com", false),
            ("ht\ttps://evil.net", false),
            ("javascript:alert(1)", false),
            ("https:evil.net", false),
            ("example.com", false),
            ("https://", false),
            ("https://ex%61mple.com/", false),
            ("https://[::1]/", false),
        ] {
            assert_eq!(holds(allowed(), url), allows, "{url}");
        }
    }

    #[test]
    fn domains_lists_numbers_and_shapes() {
        let domains = || Check::Domains(globs(&["corp.example"]));
        assert!(holds(domains(), "Ann <ann@corp.example>, bob@CORP.example"));
        assert!(!holds(domains(), "ann@corp.example, eve@corp.example.net"));
        assert!(!holds(domains(), "everybody"));
        assert!(!holds(domains(), "ann@corp.example@evil.net"));
        assert!(holds(Check::Max(100.0), "100.0") && !holds(Check::Max(100.0), "1e3"));
        assert!(!holds(Check::Max(100.0), "many") && !holds(Check::Max(1.0), "NaN"));
        assert!(holds(Check::Min(0.0), "0") && !holds(Check::Min(0.0), "-1"));
        assert!(holds(Check::OneOf(vec!["EUR".into()]), "EUR"));
        assert!(!holds(Check::OneOf(vec!["EUR".into()]), "eur"));
        assert!(holds(Check::Like(globs(&["inv-*"])), "inv-7"));
        assert!(!holds(Check::MaxBytes(3), "four"));
        assert!(!holds(Check::Forbidden, "x"));
        let absent = |check| {
            Demand { path: Path::read("y").unwrap(), check }.met(&params(vec![text("/x", "1")]))
        };
        assert_eq!(absent(Check::Forbidden), Met::Absent);
        assert_eq!(absent(Check::Required), Met::No(None));
    }

    proptest! {
        #[test]
        fn no_path_that_climbs_out_is_inside(path in r"(/|\.\.|\.|a|%2e|%2F|\\|srv|data){0,12}") {
            let roots = vec![folders("/srv/data").unwrap()];
            if below(&path, &roots) {
                // Followed by hand, step by step, from the root that it may not leave.
                let decoded = percent_decoded(&path).unwrap_or(path.clone());
                let absolute = decoded.starts_with(['/', '\\']);
                let mut depth: i64 = 0;
                for name in decoded.split(['/', '\\']) {
                    depth += match name { "" | "." => 0, ".." => -1, _ => 1 };
                    prop_assert!(depth >= 0, "{path}");
                }
                prop_assert!(!absolute || folders(&decoded).unwrap().starts_with(&roots[0]));
            }
        }

        #[test]
        fn no_text_panics(value in ".{0,40}") {
            for check in [
                Check::Below(vec![vec!["a".into()]]),
                Check::Hosts(globs(&["*"])),
                Check::Domains(globs(&["*"])),
                Check::ReadOnly(Dialect::Any),
                Check::Max(1.0),
            ] {
                holds(check, &value);
            }
        }
    }
}
