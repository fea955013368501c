//! YAML as a tree in which every value knows its line.
//!
//! The tree is read whole before any key is looked at, so that an unknown key, a wrong
//! type and a bad value are all told at once and each with its line.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{Options, Spanned};

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node {
    Null,
    Bool(bool),
    /// As written, or nearly so.
    Number(String),
    Text(String),
    List(Vec<Spot>),
    Map(Vec<(Spot, Spot)>),
}

/// A value and its line, counted from 1.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Spot {
    pub(super) line: u64,
    pub(super) node: Node,
}

impl Node {
    /// What it is, for messages.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Bool(_) => "true or false",
            Self::Number(_) => "a number",
            Self::Text(_) => "text",
            Self::List(_) => "a list",
            Self::Map(_) => "a group of keys",
        }
    }

    /// A scalar as text; `None` for null, lists and maps.
    pub(super) fn scalar(&self) -> Option<String> {
        match self {
            Self::Bool(value) => Some(value.to_string()),
            Self::Number(text) | Self::Text(text) => Some(text.clone()),
            Self::Null | Self::List(_) | Self::Map(_) => None,
        }
    }
}

/// Reads one document. An empty one is null.
///
/// The error is the line, if known, and what is wrong there.
pub(super) fn read(text: &str) -> Result<Spot, (Option<u64>, String)> {
    let mut options = Options::default();
    // A snippet would quote the file, which may hold passwords.
    options.with_snippet = false;
    match serde_saphyr::from_str_with_options::<Option<Spot>>(text, options) {
        Ok(Some(spot)) => Ok(spot),
        Ok(None) => Ok(Spot { line: 1, node: Node::Null }),
        Err(error) => {
            let line = error.location().map(|at| at.line()).filter(|line| *line > 0);
            Err((line, error.without_snippet().to_string()))
        }
    }
}

impl<'de> Deserialize<'de> for Spot {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Node>::deserialize(deserializer)?;
        Ok(Self { line: spanned.referenced.line(), node: spanned.value })
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyNode)
    }
}

struct AnyNode;

impl<'de> Visitor<'de> for AnyNode {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Number(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Number(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
        Ok(Node::Number(value.to_string()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Node, E> {
        Ok(Node::Text(value))
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        Node::deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Node, A::Error> {
        let mut list = Vec::new();
        while let Some(value) = seq.next_element()? {
            list.push(value);
        }
        Ok(Node::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(Node::Map(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_knows_its_line() {
        let tree = read("a: 1\nb:\n  c: [x,\n    true]\n  d: null\n").unwrap();
        let Node::Map(top) = tree.node else { panic!("{tree:?}") };
        let (key, value) = &top[1];
        assert_eq!((key.line, key.node.scalar().unwrap().as_str()), (2, "b"));
        let Node::Map(inner) = &value.node else { panic!("{value:?}") };
        let Node::List(list) = &inner[0].1.node else { panic!("{inner:?}") };
        assert_eq!((list[0].line, &list[0].node), (3, &Node::Text("x".into())));
        assert_eq!((list[1].line, &list[1].node), (4, &Node::Bool(true)));
        assert_eq!((inner[1].0.line, &inner[1].1.node), (5, &Node::Null));
    }

    #[test]
    fn an_empty_file_is_nothing_and_bad_yaml_names_its_line() {
        assert_eq!(read("").unwrap().node, Node::Null);
        assert_eq!(read("# only a comment\n").unwrap().node, Node::Null);
        assert_eq!(read("a: 1\na: 2\n").unwrap_err().0, Some(2));
        assert_eq!(read("a: 1\nb: [1, \n").unwrap_err().0.map(|line| line >= 2), Some(true));
    }
}
