//! Headers of the records that an event causes.
//!
//! The sender's own headers go along, so that it finds its verdict by whatever it put
//! there, even if its record could not be read. A bomb of headers must not make an
//! output that cannot be written, so what is copied has limits.

/// Kafka record headers, in order; a name may occur more than once.
pub type Headers = Vec<(String, Vec<u8>)>;

/// The event's own id, on every record that it causes.
pub const EVENT_ID: &str = "weir-event-id";
/// How many of the sender's headers were left out for want of room.
pub const DROPPED: &str = "weir-headers-dropped";
/// W3C trace context.
pub const TRACEPARENT: &str = "traceparent";
/// Media type of the value.
pub const CONTENT_TYPE: &str = "content-type";

/// No record is given more of its sender's headers than this …
pub const COPIED_MAX: usize = 64;
/// … or more bytes of them.
pub const COPIED_BYTES_MAX: usize = 16 << 10;

/// One header.
#[must_use]
pub fn header(name: &str, value: impl AsRef<[u8]>) -> (String, Vec<u8>) {
    (name.to_owned(), value.as_ref().to_vec())
}

/// Headers for everything that one record causes: its own, the event's id, and the trace
/// context of its body where no header has one. Where the event could not be read,
/// `event_id` is what could be made out, if anything.
#[must_use]
pub fn outgoing(
    sent: &[(String, Vec<u8>)],
    event_id: Option<&str>,
    traceparent: Option<&str>,
) -> Headers {
    let mut out = Headers::with_capacity(sent.len().min(COPIED_MAX) + 3);
    let mut bytes = 0;
    let mut dropped = 0usize;
    for (name, value) in sent {
        if name == DROPPED || (name == EVENT_ID && event_id.is_some()) {
            continue;
        }
        let size = name.len() + value.len();
        if out.len() == COPIED_MAX || bytes + size > COPIED_BYTES_MAX {
            dropped += 1;
            continue;
        }
        bytes += size;
        out.push((name.clone(), value.clone()));
    }
    if let Some(id) = event_id {
        out.push(header(EVENT_ID, id));
    }
    if let Some(context) = traceparent
        && !out.iter().any(|(name, _)| name.eq_ignore_ascii_case(TRACEPARENT))
    {
        out.push(header(TRACEPARENT, context));
    }
    if dropped > 0 {
        out.push(header(DROPPED, dropped.to_string()));
    }
    out
}

/// Takes out the headers that a writer is about to set itself.
/// What headers take in a record, about and no less.
#[must_use]
pub fn bytes_of(headers: &Headers) -> usize {
    headers.iter().map(|(name, value)| name.len() + value.len() + 8).sum()
}

/// Headers whose names begin otherwise.
#[must_use]
pub fn without(mut headers: Headers, prefixes: &[&str]) -> Headers {
    headers.retain(|(name, _)| !prefixes.iter().any(|prefix| name.starts_with(prefix)));
    headers
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(headers: &Headers) -> Vec<(&str, String)> {
        headers
            .iter()
            .map(|(name, value)| (name.as_str(), String::from_utf8_lossy(value).into_owned()))
            .collect()
    }

    #[test]
    fn the_senders_headers_go_along() {
        let sent =
            vec![header("a", "1"), header("a", "2"), header(EVENT_ID, "claimed"), header("b", "")];
        let got = outgoing(&sent, Some("e1"), Some("00-t"));
        assert_eq!(
            names(&got),
            [
                ("a", "1".into()),
                ("a", "2".into()),
                ("b", String::new()),
                (EVENT_ID, "e1".into()),
                (TRACEPARENT, "00-t".into())
            ]
        );
        let unread = outgoing(&sent, None, None);
        assert!(unread.contains(&header(EVENT_ID, "claimed")), "all that there is to find it by");
        let traced = outgoing(&[header("Traceparent", "h")], None, Some("body"));
        assert_eq!(names(&traced), [("Traceparent", "h".into())]);
        assert_eq!(outgoing(&[], None, None), []);
    }

    #[test]
    fn a_bomb_of_headers_is_cut_and_said_to_be() {
        let many: Headers = (0..100).map(|n| header("x", n.to_string())).collect();
        let got = outgoing(&many, Some("e"), None);
        assert_eq!(got.len(), COPIED_MAX + 2);
        assert!(got.contains(&header(DROPPED, "36")));
        let big = vec![header("big", vec![0; COPIED_BYTES_MAX]), header("small", "s")];
        assert_eq!(
            names(&outgoing(&big, None, None)),
            [("small", "s".into()), (DROPPED, "1".into())]
        );
    }
}
