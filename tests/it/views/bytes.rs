//! What holds of the readings of any bytes. Also the body of the fuzz target `views`, so it
//! knows nothing but the library.

use std::ops::ControlFlow;

use weir::event::RawSpan;
use weir::text::decode::{Decoded, decode, decodes};
use weir::text::{Folder, Survey, Turn, View, ViewSpan, clean_into, hidden, survey, whole_chars};

/// How deep decoded texts are decoded again.
const DEPTH: usize = 3;

/// Reads the bytes in every way and checks what comes out.
pub(crate) fn check(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    readings(&text);
    let coded = survey(&text).coded;
    let mut read = 0;
    decoded(&text, None, DEPTH, &mut read);
    assert!(coded || read == 0, "the survey saw nothing to decode in {text:?}");
    // Windows share at most a sixteenth of the text.
    let most = DEPTH * (text.len() + text.len() / 8 + 4096);
    assert!(read <= most, "{read} bytes were decoded from {}", text.len());
    for anchor in [0, text.len() / 2, text.len()] {
        for turn in Turn::ALL {
            for turned in turn.read(&text, RawSpan { start: anchor, end: anchor }) {
                maps(&turned, &text);
            }
        }
    }
}

fn readings(text: &str) -> Survey {
    let mut clean = View::default();
    clean_into(&mut clean, text);
    let mut folded = View::default();
    Folder::default().fold_into(&mut folded, text);
    for view in [&clean, &folded] {
        assert!(std::str::from_utf8(view.bytes()).is_ok());
        let whole = ViewSpan { start: 0, end: view.bytes().len() };
        let raw = view.raw_span(whole, text);
        assert!(raw.is_none_or(|raw| text.get(raw.start..raw.end).is_some()));
    }
    survey(text)
}

fn decoded(text: &str, below: Option<&Decoded>, depth: usize, read: &mut usize) {
    let within = below.map(|below| below.parts.as_slice());
    if depth == 0 {
        let mut any = false;
        decode(text, within, |_| {
            any = true;
            ControlFlow::Break(())
        });
        assert!(any || !decodes(text, within));
        return;
    }
    let mut last = 0;
    decode(text, within, |window| {
        *read += window.view.bytes().len();
        assert!(window.coded.end > last, "windows move on");
        last = window.coded.end;
        maps(&window, text);
        readings(window.view.text());
        decoded(window.view.text(), Some(&window), depth - 1, read);
        ControlFlow::Continue(())
    });
    for hidden in hidden(text) {
        maps(&hidden.decoded, text);
    }
}

/// Each character of a decoded text leads to whole characters of the text below, in order but
/// for a line read backwards, and inside the window.
fn maps(decoded: &Decoded, text: &str) {
    let bytes = decoded.view.bytes();
    assert!(std::str::from_utf8(bytes).is_ok());
    let mut places: Vec<RawSpan> = (0..bytes.len())
        .step_by(1 + bytes.len() / 512)
        .map(|at| {
            let span = whole_chars(RawSpan { start: at, end: at + 1 }, decoded.view.text());
            decoded.below(span, text).expect("the character is there")
        })
        .collect();
    if places.first() > places.last() {
        places.reverse();
    }
    assert!(
        places.iter().all(|raw| text.get(raw.start..raw.end).is_some_and(|raw| !raw.is_empty()))
    );
    assert!(places.is_sorted_by_key(|raw| raw.start), "{places:?}");
    let window = decoded.window;
    assert!(places.iter().all(|raw| window.start <= raw.start && raw.end <= window.end));
    let mut end = 0;
    for part in &decoded.parts {
        assert!(end <= part.view.start && part.view.start < part.view.end, "{part:?}");
        assert!(text.get(part.run.start..part.run.end).is_some(), "{part:?}");
        end = part.view.end;
    }
    assert!(end <= bytes.len());
}
