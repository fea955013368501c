//! The right word for a wrong one: what an error suggests.

/// The one of `words` that is nearest to what was written, if any is near: at most a third
/// of the letters differ, or half where both begin alike, or one begins with the other.
pub(crate) fn nearest<'w>(
    written: &str,
    words: impl IntoIterator<Item = &'w str>,
) -> Option<&'w str> {
    let written = written.to_lowercase();
    words
        .into_iter()
        .map(|word| (distance(&written, &word.to_lowercase()), word))
        .filter(|(distance, word)| {
            let longest = word.chars().count().max(written.chars().count());
            let alike = written.chars().zip(word.chars()).take(3).filter(|(a, b)| a == b).count();
            distance * 3 <= longest
                || (alike == 3 && distance * 2 <= longest)
                || (written.len() > 2 && (word.starts_with(&written) || written.starts_with(word)))
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word)
}

/// ` (did you mean …?)`, or nothing.
pub(crate) fn suggestion<'w>(written: &str, words: impl IntoIterator<Item = &'w str>) -> String {
    nearest(written, words).map_or(String::new(), |word| format!(" (did you mean `{word}`?)"))
}

/// Letters to put in, take out, change, or swap with their neighbour.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, &from) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, &to) in b.iter().enumerate() {
            let mut best = (last[j] + usize::from(from != to)).min(last[j + 1] + 1).min(row[j] + 1);
            let swapped = i > 0 && j > 0 && a[i - 1] == to && b[j - 1] == from;
            if swapped {
                best = best.min(before[j - 1] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    last.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_recognised_and_another_word_is_not() {
        let words = ["allow", "alert", "redact", "replace", "retry", "block"];
        for (written, expected) in [
            ("blok", Some("block")),
            ("Block", Some("block")),
            ("redcat", Some("redact")),
            ("allowed", Some("allow")),
            ("deny", None),
            ("", None),
        ] {
            assert_eq!(nearest(written, words), expected, "{written}");
        }
        assert_eq!(suggestion("retyr", words), " (did you mean `retry`?)");
        assert_eq!(suggestion("x", words), "");
    }
}
