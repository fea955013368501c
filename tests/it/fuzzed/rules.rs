//! What holds of a rule file of any bytes, and of texts that are redacted by its rules. Also
//! the body of the fuzz target `rules`, so it knows nothing but the library.
//!
//! The text that is scanned is the file itself, which holds examples of its rules.

use weir::detect::{EngineKind, Rules, ScanLimits};
use weir::event::{Carrier, Event, Kind, Millis};
use weir::patterns::{RuleSet, SourceFile, load};
use weir::redact::{Cut, apply, plan};

/// More than this to compile is left to other tests: the fuzzer would do nothing else.
const EXPRESSIONS_LEN: usize = 2_000;

/// Loads the bytes as rules and redacts them by themselves. Says whether they are rules.
pub(crate) fn check(data: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(data) else { return false };
    let file = SourceFile { path: "fuzzed.yml".to_owned(), text: text.to_owned() };
    let set = match load(&[file]) {
        Ok(set) => set,
        Err(errors) => {
            assert!(!errors.is_empty(), "a refusal without a reason");
            // A carriage return ends a line of YAML, too.
            let lines = text.matches(['\n', '\r']).count() + 1;
            for error in errors {
                assert!(error.line as usize <= lines, "{error}");
                assert!(!error.what.is_empty() && !error.help.is_empty(), "{error}");
            }
            return false;
        }
    };
    if is_small(&set) {
        redact(set, text);
    }
    true
}

fn is_small(set: &RuleSet) -> bool {
    let exprs = set.rules.iter().flat_map(|rule| &rule.exprs);
    // Counted repeats of counted repeats take seconds to compile in any engine.
    exprs.clone().map(|expr| expr.regex.len()).sum::<usize>() < EXPRESSIONS_LEN
        && exprs.into_iter().all(|expr| expr.max_len < 4_096)
}

fn redact(set: RuleSet, text: &str) {
    let Ok(rules) = Rules::compile(set, ScanLimits::default(), EngineKind::Rust) else { return };
    let mut event = Event::new(Kind::Prompt, "e".into(), "a".into(), Millis(0));
    event.push_text("text".into(), text.into(), Carrier::User);
    let scan = rules.scratch().scan(&event);
    assert_eq!(scan, rules.scratch().scan(&event), "the same text gives the same findings");
    let mut cuts: Vec<Cut<'_>> = scan
        .findings
        .iter()
        .filter_map(|finding| {
            assert!(text.get(finding.span.start..finding.span.end).is_some(), "{finding:?}");
            Some(Cut {
                field: finding.field?,
                span: finding.span,
                kind: &finding.source.kind,
                severity: finding.source.severity,
                confidence: finding.confidence,
            })
        })
        .collect();
    let spans: Vec<_> = cuts.iter().map(|cut| cut.span).collect();
    let edits = plan(&mut cuts, |_| Some(text), |_, _| "█".to_owned());
    let mut kept = String::new();
    let mut from = 0;
    for edit in &edits {
        assert!(from <= edit.span.start && edit.span.start <= edit.span.end, "{edits:?}");
        kept.push_str(text.get(from..edit.span.start).expect("edits do not overlap"));
        kept.push_str(&edit.with);
        from = edit.span.end;
    }
    kept.push_str(text.get(from..).expect("an edit ends at a boundary"));
    assert_eq!(apply(text, &edits), kept, "what was not found stays as it is");
    for span in spans {
        let inside =
            |edit: &&weir::redact::Edit| edit.span.start <= span.start && span.end <= edit.span.end;
        assert!(edits.iter().any(|edit| inside(&edit)), "{span:?} is not cut whole: {edits:?}");
    }
}
