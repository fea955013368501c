//! Names with `*` in them: rules, tools, hosts.

/// A name in which each `*` stands for any run of characters, also for none.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Glob {
    text: String,
    shape: Shape,
}

/// What a pattern looks like, so that the common ones take one comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Shape {
    /// Nothing but stars, and at least one.
    Any,
    /// No star.
    Whole,
    /// One star, at the end.
    Beginning,
    /// Stars elsewhere.
    Other,
}

impl Shape {
    fn of(text: &str) -> Self {
        match text.find('*') {
            None => Self::Whole,
            Some(_) if text.bytes().all(|byte| byte == b'*') => Self::Any,
            Some(at) if at + 1 == text.len() => Self::Beginning,
            Some(_) => Self::Other,
        }
    }
}

impl Glob {
    /// A pattern; every text is one.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self { text: text.to_owned(), shape: Shape::of(text) }
    }

    /// As it is written.
    #[cfg(test)]
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Whether the whole name matches.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        match self.shape {
            Shape::Any => true,
            Shape::Whole => self.text == name,
            Shape::Beginning => {
                let beginning = self.text.as_bytes().strip_suffix(b"*").unwrap_or_default();
                name.as_bytes().starts_with(beginning)
            }
            Shape::Other => self.walk(name),
        }
    }

    /// The same for any shape. Takes time in proportion to both lengths at worst: a star that
    /// cannot be satisfied is never gone back to once a later one was.
    fn walk(&self, name: &str) -> bool {
        let (pattern, name) = (self.text.as_bytes(), name.as_bytes());
        let (mut p, mut n) = (0, 0);
        let mut star: Option<(usize, usize)> = None;
        while n < name.len() {
            if pattern.get(p) == Some(&b'*') {
                star = Some((p + 1, n));
                p += 1;
            } else if pattern.get(p) == name.get(n) {
                p += 1;
                n += 1;
            } else if let Some((after, at)) = star {
                star = Some((after, at + 1));
                p = after;
                n = at + 1;
            } else {
                return false;
            }
        }
        pattern.iter().skip(p).all(|byte| *byte == b'*')
    }

    /// How specific it is: a whole name before any with a star, more letters before fewer.
    pub(super) fn rank(&self) -> (bool, usize) {
        let stars = self.text.bytes().filter(|byte| *byte == b'*').count();
        (stars == 0, self.text.len() - stars)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The definition, tried out.
    fn slow(pattern: &[u8], name: &[u8]) -> bool {
        match pattern.split_first() {
            None => name.is_empty(),
            Some((b'*', rest)) => (0..=name.len()).any(|n| slow(rest, &name[n..])),
            Some((byte, rest)) => name.first() == Some(byte) && slow(rest, &name[1..]),
        }
    }

    proptest! {
        #[test]
        fn matching_is_what_the_definition_says(pattern in "[ab*]{0,6}", name in "[ab]{0,8}") {
            let expected = slow(pattern.as_bytes(), name.as_bytes());
            let glob = Glob::new(&pattern);
            prop_assert_eq!(glob.matches(&name), expected);
            prop_assert_eq!(glob.walk(&name), expected, "the short ways are the long one's");
        }
    }

    #[test]
    fn whole_names_come_first_and_then_the_longest() {
        let mut globs = ["crm.*", "*", "crm.get", "*.get_all"].map(Glob::new);
        globs.sort_by_key(|glob| std::cmp::Reverse(glob.rank()));
        assert_eq!(globs.each_ref().map(Glob::text), ["crm.get", "*.get_all", "crm.*", "*"]);
    }
}
