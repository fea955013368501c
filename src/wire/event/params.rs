//! Lists the parameters of a tool call value by value, for the rules that policies set them.
//!
//! Runtimes write parameters as an object or, as model interfaces do, as a string that
//! holds the object in JSON; both give the same list. What can be read as neither is
//! marked unclear, so that a rule about it fails closed.

use std::borrow::Cow;
use std::fmt::Write as _;

use super::ReadLimits;
use super::places::{Found, Place, Places};
use crate::event::{Event, Field, Kind, Param, ParamValue, Params};
use crate::wire::json::{Limits, Tape, What};

/// Fills `event.tool.params`.
pub(super) fn list<'r>(
    tape: &Tape<'r>,
    places: &Places<'_>,
    limits: &ReadLimits,
    event: &mut Event<'r>,
) {
    let Found::Token(root) = places.get(Place::ToolParams) else { return };
    if event.kind != Kind::ToolCall {
        return;
    }
    let field = |token: u32| field_at(&event.fields, tape.get(token)?.start as usize);
    let mut params = Params { values: Vec::new(), unclear: places.is_duplicate(Place::ToolParams) };
    if tape.what(root) == Some(What::String) {
        let text = tape.string(root);
        let allowed = Limits { depth: limits.depth, tokens: limits.values };
        let (inner, error) = Tape::read(&text, 0, allowed);
        if error.is_none() && matches!(inner.what(0), Some(What::Object | What::Array)) {
            let field = field(root);
            walk(&inner, 0, |path, value, _| {
                params.values.push(Param { path, value: owned(value), field });
            });
        } else {
            params.unclear |= !text.trim_ascii().is_empty();
        }
    } else {
        walk(tape, root, |path, value, token| {
            params.values.push(Param { path, value, field: field(token) });
        });
    }
    if let Some(tool) = &mut event.tool {
        tool.params = params;
    }
}

/// The scanned string that begins at this byte of the record.
fn field_at(fields: &[Field<'_>], start: usize) -> Option<u32> {
    fields.binary_search_by_key(&start, |field| field.token.start).ok().map(|at| at as u32)
}

/// A container on the way.
struct Frame {
    /// The next token inside.
    at: u32,
    /// The first token outside.
    end: u32,
    /// Bytes of its own path.
    path: usize,
    /// The next position, in an array.
    index: Option<usize>,
}

/// Tells every value from `root` on, with its pointer and token. Keeps its own stack, so that
/// nesting is bounded by the reader's limit and not by the thread's stack.
fn walk<'t>(tape: &Tape<'t>, root: u32, mut tell: impl FnMut(String, ParamValue<'t>, u32)) {
    let mut path = String::new();
    tell(path.clone(), value(tape, root), root);
    let mut stack: Vec<Frame> = inside(tape, root, 0).into_iter().collect();
    while let Some(frame) = stack.last_mut() {
        path.truncate(frame.path);
        if frame.at >= frame.end {
            stack.pop();
            continue;
        }
        let token = if let Some(index) = &mut frame.index {
            write!(path, "/{index}").expect("writing to a string cannot fail");
            *index += 1;
            frame.at
        } else {
            let name = tape.string(frame.at);
            path.push('/');
            if name.contains(['~', '/']) {
                path.push_str(&name.replace('~', "~0").replace('/', "~1"));
            } else {
                path.push_str(&name);
            }
            frame.at + 1
        };
        frame.at = tape.after(token);
        tell(path.clone(), value(tape, token), token);
        stack.extend(inside(tape, token, path.len()));
    }
}

fn inside(tape: &Tape<'_>, token: u32, path: usize) -> Option<Frame> {
    let index = match tape.what(token)? {
        What::Array => Some(0),
        What::Object => None,
        _ => return None,
    };
    Some(Frame { at: token + 1, end: tape.after(token), path, index })
}

fn value<'t>(tape: &Tape<'t>, token: u32) -> ParamValue<'t> {
    match tape.what(token) {
        Some(What::String | What::Key) => ParamValue::Text(tape.string(token)),
        Some(What::Number) => ParamValue::Number(Cow::Borrowed(tape.written(token))),
        Some(What::True) => ParamValue::Bool(true),
        Some(What::False) => ParamValue::Bool(false),
        Some(What::Array) => ParamValue::List(tape.elements(token).count()),
        Some(What::Object) => ParamValue::Object,
        Some(What::Null) | None => ParamValue::Null,
    }
}

fn owned(value: ParamValue<'_>) -> ParamValue<'static> {
    match value {
        ParamValue::Text(text) => ParamValue::Text(Cow::Owned(text.into_owned())),
        ParamValue::Number(number) => ParamValue::Number(Cow::Owned(number.into_owned())),
        ParamValue::Bool(is) => ParamValue::Bool(is),
        ParamValue::Null => ParamValue::Null,
        ParamValue::List(len) => ParamValue::List(len),
        ParamValue::Object => ParamValue::Object,
    }
}

#[cfg(test)]
mod tests {
    use crate::event::Params;
    use crate::wire::event::{FieldMap, ReadLimits, read};

    fn params(tool: &str) -> Vec<(String, String, Option<String>)> {
        all(tool, |params| {
            assert!(!params.unclear, "{tool}");
        })
    }

    fn all(tool: &str, check: impl FnOnce(&Params<'_>)) -> Vec<(String, String, Option<String>)> {
        let text = format!(
            r#"{{"v":1,"id":"e","ts":0,"kind":"tool_call","agent":{{"id":"a"}},"tool":{tool}}}"#
        );
        let event = read(text.as_bytes(), &FieldMap::default(), &ReadLimits::default()).unwrap();
        let params = &event.tool.as_ref().unwrap().params;
        check(params);
        let field = |at: u32| event.pointer(event.fields[at as usize].node);
        params
            .values
            .iter()
            .map(|p| (p.path.clone(), format!("{:?}", p.value), p.field.map(field)))
            .collect()
    }

    #[test]
    fn an_object_and_a_string_of_it_give_the_same_list() {
        let plain = params(r#"{"name":"t","params":{"to":["a@x",{"n/m":1.50}],"f":true,"e":{}}}"#);
        let shown: Vec<_> =
            plain.iter().map(|(path, value, _)| (path.as_str(), &**value)).collect();
        assert_eq!(
            shown,
            [
                ("", "Object"),
                ("/to", "List(2)"),
                ("/to/0", r#"Text("a@x")"#),
                ("/to/1", "Object"),
                ("/to/1/n~1m", r#"Number("1.50")"#),
                ("/f", "Bool(true)"),
                ("/e", "Object"),
            ]
        );
        assert_eq!(plain[2].2.as_deref(), Some("/tool/params/to/0"));
        let text = params(
            r#"{"name":"t","params":"{\"to\":[\"a@x\",{\"n/m\":1.50}],\"f\":true,\"e\":{}}"}"#,
        );
        let same = |list: &[(String, String, Option<String>)]| -> Vec<(String, String)> {
            list.iter().map(|(path, value, _)| (path.clone(), value.clone())).collect()
        };
        assert_eq!(same(&plain), same(&text));
        assert_eq!(text[2].2.as_deref(), Some("/tool/params"), "the string that can be cut");
    }

    #[test]
    fn what_cannot_be_read_is_unclear_and_what_is_absent_is_not() {
        for tool in [
            r#"{"name":"t","params":"to: all"}"#,
            r#"{"name":"t","params":"{\"to\":"}"#,
            r#"{"name":"t","params":{"a":1},"params":{"a":2}}"#,
        ] {
            all(tool, |params| assert!(params.unclear, "{tool}"));
        }
        for tool in [r#"{"name":"t"}"#, r#"{"name":"t","params":""}"#] {
            all(tool, |params| assert_eq!(params, &Params::default(), "{tool}"));
        }
    }
}
