//! One line per case: expressions, text, and the matches as (spec, start, end).

use weir::engine::Spec;

use super::{agree, specs};

#[track_caller]
fn check(regexes: &[&str], haystack: &str, expected: &[(u32, usize, usize)]) {
    let found: Vec<_> = agree(&specs(regexes), haystack.as_bytes())
        .iter()
        .map(|found| (found.spec, found.start, found.end))
        .collect();
    assert_eq!(found, expected, "{regexes:?} in {haystack:?}");
}

#[test]
fn literals_and_classes() {
    check(&["qxz"], "", &[]);
    check(&["qxz"], "qxz", &[(0, 0, 3)]);
    check(&["qxz"], "qxqxzqxz", &[(0, 2, 5), (0, 5, 8)]);
    check(&["(?i)qxz"], "QxZ qXz", &[(0, 0, 3), (0, 4, 7)]);
    check(&["qx[a-c]z", "x[a-c]z9"], "qxbz9", &[(0, 0, 4), (1, 1, 5)]);
    check(&[r"qx\x00z"], "qx\0z", &[(0, 0, 4)]);
    check(&["(?-u)qx\\xffz"], "qx\u{ff}z", &[]);
}

#[test]
fn the_first_of_overlapping_matches_wins() {
    check(&["qxqx"], "qxqxqxqx", &[(0, 0, 4), (0, 4, 8)]);
    check(&["qxqx"], "qxqxqx", &[(0, 0, 4)]);
    check(&["qxz|qxzjk"], "qxzjk", &[(0, 0, 3)]);
    check(&["qxzjk|qxz"], "qxzjk qxz", &[(0, 0, 5), (0, 6, 9)]);
    check(&["zq[ab]{1,3}?x?"], "zqaab", &[(0, 0, 3)]);
}

#[test]
fn a_match_is_not_cut_at_the_place_that_named_it() {
    check(&["qxz[0-9]{4,}"], "qxz0123456789", &[(0, 0, 13)]);
    check(&["qxz[0-9]{4,9}"], "qxz0123456789", &[(0, 0, 12)]);
    check(&["qxz=[^\n]*;y"], "qxz=1;y;y\nqxz=;y", &[(0, 0, 9), (0, 10, 16)]);
    check(&["(?s)-----QXZ.*?-----END"], "-----QXZ aa -----END -----END", &[(0, 0, 20)]);
}

#[test]
fn a_match_longer_than_its_max_len_is_found_whole() {
    let long = format!("qxz={}", "a".repeat(5_000));
    check(&["qxz=[a-z]+"], &long, &[(0, 0, 5_004)]);
    let late = format!("{}@qxz", "a".repeat(5_000));
    check(&["[a-z]+@qxz"], &late, &[(0, 0, 5_004)]);
}

#[test]
fn assertions_see_the_text_around_the_window() {
    check(&[r"\bqxz\b"], "qxz aqxz qxza qxz", &[(0, 0, 3), (0, 14, 17)]);
    check(&["^qxz"], "qxz qxz", &[(0, 0, 3)]);
    check(&["(?m)^qxz$"], "qxz\nqxz a\nqxz", &[(0, 0, 3), (0, 10, 13)]);
    check(&["qxz$"], "qxz qxz", &[(0, 4, 7)]);
    check(&[r"qxz\B[a-z]{2}\b"], "qxzab qxzabc", &[(0, 0, 5)]);
    check(&["qxz(?:[0-9]|$)"], "qxz qxz1 qxz", &[(0, 4, 8), (0, 9, 12)]);
}

#[test]
fn a_failed_beginning_does_not_hide_a_later_match() {
    check(&["qxz[ab]{1,30}c"], "qxzaaaqxzabc", &[(0, 6, 12)]);
    check(&["qxz.{0,40}jk"], "qxz qxz jk jk", &[(0, 0, 13)]);
    check(&["(?:qxz){1,8}j"], "qxzqxzqxz qxzqxzj", &[(0, 10, 17)]);
    check(&["[a-z]{1,8}@q[0-9]{2}"], "abcdefghijk@q1 abcdefghijk@q12", &[(0, 18, 30)]);
    check(&["[a-z]{1,4}@q@?"], "aa@qbb@q@cc@q", &[(0, 0, 4), (0, 4, 9), (0, 9, 13)]);
}

#[test]
fn many_candidates_in_one_window() {
    check(
        &["@q[a-z]{0,9}"],
        "@q@q@q@q@q@q",
        &[(0, 0, 2), (0, 2, 4), (0, 4, 6), (0, 6, 8), (0, 8, 10), (0, 10, 12)],
    );
    check(&["[a-c]{1,3}@q"], "a@qb@qc@qabcabc@q", &[(0, 0, 3), (0, 3, 6), (0, 6, 9), (0, 12, 17)]);
    check(&["qxz[a-z@]{3,20}!"], "qxzqxzqxzqxzqxzqxz!", &[(0, 0, 19)]);
}

#[test]
fn expressions_without_a_rare_part_run_everywhere() {
    check(&["[a-z]+", "x*"], "ab", &[(0, 0, 2), (1, 0, 0), (1, 1, 1), (1, 2, 2)]);
    check(&["[a-z]+", "qxz"], "aqxz b", &[(0, 0, 4), (0, 5, 6), (1, 1, 4)]);
    check(&[r"\b", ""], "a", &[(0, 0, 0), (0, 1, 1), (1, 0, 0), (1, 1, 1)]);
    check(&["qxz|[a-z]"], "qxza", &[(0, 0, 3), (0, 3, 4)]);
}

#[test]
fn what_stands_before_a_word_may_be_absent() {
    let regex = r"(?i) (?:as|is|was|for|=) (?:my )?(?:[a-z]{2,12} )?imei";
    check(&[regex], "no = Imei 3", &[(0, 2, 9)]);
    check(&[regex], "it is my new imei", &[(0, 2, 17)]);
    check(&[regex], "imei = imeis", &[(0, 4, 11)]);
}

#[test]
fn any_gap_stands_between_words() {
    let regex = r"(?i)(?:\b|_)(act[ \t.,_-]{1,8}as)(?:\b|_)".to_owned();
    let specs = [Spec { regex, max_len: 14, group: 1, words: true }];
    for (text, at) in [("act as", 0), ("ACT...as", 0), ("x act, \t as_", 2), ("_Act_as", 1)] {
        let found = agree(&specs, text.as_bytes());
        assert_eq!(found.iter().map(|one| one.group_start).collect::<Vec<_>>(), [at], "{text:?}");
    }
    for text in ["acts as", "act          as", "fact as", "act;as", "act asp"] {
        assert_eq!(agree(&specs, text.as_bytes()), [], "{text:?}");
    }
}

#[test]
fn an_expression_that_can_never_match_matches_nothing() {
    check(&[r"[a&&b]qxz", "qxz"], "aqxz", &[(1, 1, 4)]);
    check(&["qxz^a"], "qxza", &[]);
}

#[test]
fn groups_are_reported_and_fall_back_to_the_whole_match() {
    let mut specs = specs(&["qxz=([0-9]+)(?:;([a-z]+))?"]);
    specs[0].group = 2;
    let found = agree(&specs, b"qxz=12;ab qxz=3");
    let groups: Vec<_> = found.iter().map(|found| (found.group_start, found.group_end)).collect();
    assert_eq!(groups, [(7, 9), (10, 15)]);
}

#[test]
fn unicode_asked_for_inside_an_expression_is_kept() {
    check(&["qxz(?u:é)"], "qxzé", &[(0, 0, 5)]);
    check(&["(?u:[à-ü])qxz", r"(?u)\bqxz\b"], "éqxz qxz", &[(0, 0, 5), (1, 6, 9)]);
}
