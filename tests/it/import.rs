//! `weir patterns import`: small files of other scanners' formats, through the real binary.

use crate::program::{text, weir};

/// Imports files written to a folder; gives what was told and the pack that was written,
/// which passes lint and its own tests.
fn import(files: &[(&str, &str)], arguments: &[&str]) -> (String, String, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let mut all = vec!["patterns", "import"];
    all.extend(arguments);
    all.extend(["--out", "pack", "--name", "acme"]);
    let output = weir(folder.path(), &all, "");
    let told = text(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{told}");
    let pack = std::fs::read_to_string(folder.path().join("pack/secrets/acme.yml")).unwrap();
    for command in ["lint", "test"] {
        let output = weir(folder.path(), &["patterns", command, "pack"], "");
        assert_eq!(output.status.code(), Some(0), "{command}: {}\n{pack}", text(&output.stdout));
    }
    (told, pack, folder)
}

/// Ids of the rules found in a text.
fn found(folder: &tempfile::TempDir, text_to_scan: &str) -> Vec<String> {
    let line = serde_json::json!({ "id": "x", "text": text_to_scan, "kind": "tool_result" });
    let path = folder.path().join("scan.jsonl");
    std::fs::write(&path, format!("{line}\n")).unwrap();
    let arguments =
        ["scan", "--patterns", "pack", "--input", "jsonl", "--output", "jsonl", "scan.jsonl"];
    let output = weir(folder.path(), &arguments, "");
    let json: serde_json::Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", text(&output.stderr)));
    let rules = json["findings"].as_array().unwrap().iter();
    rules.map(|finding| finding["rule"].as_str().unwrap().to_owned()).collect()
}

/// Random letters, the same each time, so that no token stands in this file.
fn random(recipe: &str) -> String {
    weir::patterns::generate::expand(recipe, 5).unwrap()
}

const GITLEAKS: &str = r#"
title = "house rules"

[allowlist]
description = "never real"
paths = ['''\.lock$''']
regexes = ['''^hush''']
stopwords = ["sample"]

[[rules]]
id = "acme-token"
description = "An Acme token."
regex = '''(?i)[\w.-]{0,50}?(?:acme)(?:[ \t\w.-]{0,20})[\s'"]{0,3}(?:=|:)[\x60'"\s=]{0,5}([a-z0-9]{24})(?:[\x60'"\s;]|\\[nr]|$)'''
entropy = 2.5
keywords = ["acme"]

[[rules]]
id = "acme.pair"
regex = '''\bacme_id_([0-9]{8})\b|\bacme_key_([[:alnum:]]{30})\b'''
secretGroup = 0
tags = ["house", "key"]
    [[rules.allowlists]]
    regexTarget = "match"
    regexes = ['''acme_key_x''']
    [[rules.allowlists]]
    condition = "AND"
    regexes = ['''0000''']
    paths = ['''test''']

[[rules]]
id = "ticket"
description = "A ticket, where files speak of the desk"
regex = '''\b(tk[a-z0-9]{18})\b'''
keywords = ["helpdesk"]

[[rules]]
id = "in-config"
regex = '''conf_key=\${([A-Z]{12,})}'''
path = '''\.ini$'''

[[rules]]
id = "keystore"
path = '''\.p12$'''

[[rules]]
id = "greek"
regex = '''\p{Greek}{20}'''

[[rules]]
id = "nothing"
regex = '''x?'''
colour = "blue"
"#;

#[test]
fn a_file_of_gitleaks_becomes_a_pack_and_tells_what_is_lost() {
    let (told, pack, folder) = import(&[("house.toml", GITLEAKS)], &["house.toml"]);
    for line in [
        "7 rules: 1 carried over whole, 3 changed, 3 left out",
        "  acme.pair: its secret stands in a group of each branch: 2 rules were made of it",
        "  acme.pair: 1 expression allowed where they are in the whole match, not the secret: left out",
        "  acme.pair: an allow list asks for a file or commit as well, and is left out",
        "  ticket: its keywords are not in the expression: one must stand within 256 characters",
        "  in-config: it was for certain files (`path`), and reads all texts here: confidence low",
        "  keystore: it looks at names of files only",
        "  greek: it names a class of Unicode",
        "  nothing: the expression matches the empty string",
        "  `colour` of nothing: not known to this import",
    ] {
        assert!(told.contains(line), "{line}\n{told}");
        assert!(pack.contains(line), "{line} is missing in the pack's head");
    }
    assert!(!pack.contains("acme-token:"), "it is carried over whole: {pack}");
    assert!(pack.contains("tags: ['house', 'key']") && pack.contains("name: 'An Acme token'"));

    let secret = random("{{alnum:24}}");
    let quoted = format!("my_acme_key = \"{secret}\"");
    assert_eq!(found(&folder, &quoted), ["secrets.acme.acme_token"]);
    let plain = format!("acme = {}", "ab".repeat(12));
    assert!(found(&folder, &plain).is_empty(), "entropy");
    let hushed = format!("acme = hush{}", random("{{alnum:20}}"));
    assert!(found(&folder, &hushed).is_empty(), "allowed in all rules");
    let sample = format!("acme = x{}Sample{}", random("{{alnum:8}}"), random("{{alnum:9}}"));
    assert!(found(&folder, &sample).is_empty(), "a stopword of all rules");

    let key = format!("acme_key_{}", random("{{base62:30}}"));
    assert_eq!(found(&folder, &key), ["secrets.acme.acme_pair_2"]);
    assert_eq!(found(&folder, "acme_id_20261121"), ["secrets.acme.acme_pair"]);

    let ticket = random("tk{{alnum:18}}");
    assert!(found(&folder, &format!("see {ticket}")).is_empty());
    assert_eq!(
        found(&folder, &format!("the helpdesks say: see {ticket}")),
        ["secrets.acme.ticket"]
    );
}

const BETTERLEAKS: &str = r#"
minVersion = "v8.25.0"
prefilter = '''matchesAny(attributes["path"], [`\.png$`])'''
filter = '''
matchesAny(finding["secret"], [`^x+$`]) || containsAny(finding["secret"], ["EXAMPLE"])
'''

[[rules]]
id = "bolt-key"
regex = '''\b(bolt_[A-Za-z0-9]{28})(?:\\?['"\x60]|[\s;]|\\[nr]|$)'''
keywords = ["bolt_"]
validate = '''let r = http.get("https://bolt.example/me", {}); r.status == 200 ? {"result": "valid"} : validate.unknown(r)'''
filter = '''
entropy(finding["secret"]) <= 3.2 || failsTokenEfficiency(finding["secret"])
'''

[[rules]]
id = "bolt-id"
regex = '''\bbid_[0-9]{9}\b'''
skipReport = true

[[rules]]
id = "bolt-secret"
regex = '''\bbsec_[a-f0-9]{32}\b'''
tokenEfficiency = true
[[rules.required]]
id = "bolt-id"
withinLines = 5
"#;

#[test]
fn a_file_of_betterleaks_keeps_what_its_filters_say_of_the_secret() {
    let (told, pack, folder) = import(&[("b.toml", BETTERLEAKS)], &["b.toml"]);
    for line in [
        "3 rules: 0 carried over whole, 2 changed, 1 left out",
        "  bolt-key: a part of its filter is not read: failsTokenEfficiency(finding[\"secret\"])",
        "  bolt-id: it is reported only as a part of another rule",
        "  bolt-secret: it was reported only near a finding of bolt-id, and is on its own here",
        "  bolt-secret: `tokenEfficiency` is not read",
        "  `validate` of bolt-key: Weir asks no vendor whether a secret is live",
        "  `prefilter` of the file as a whole: it goes by files and commits",
    ] {
        assert!(told.contains(line), "{line}\n{told}");
    }
    assert!(pack.contains("entropy: 3.2"), "{pack}");
    let key = random("bolt_{{base62:28}}");
    assert_eq!(found(&folder, &format!("use {key};")), ["secrets.acme.bolt_key"]);
    let example = format!("use bolt_EXAMPLE{};", random("{{base62:21}}"));
    assert!(found(&folder, &example).is_empty());
}

#[test]
fn files_that_extend_others_are_joined() {
    let base = "[[rules]]\nid='a'\nregex='''aaa_[a-z]{9}'''\n[[rules]]\nid='b'\nregex='''bbb_[a-z]{9}'''\n";
    let top = "[extend]\nuseDefault=true\ndisabledRules=['b']\n[[rules]]\nid='a'\ndescription='ours'\nentropy=1\n";
    let (told, pack, _) =
        import(&[("base.toml", base), ("top.toml", top)], &["base.toml", "top.toml"]);
    assert!(told.contains("1 rule: 1 carried over whole"), "{told}");
    assert!(pack.contains("name: 'ours'") && pack.contains("entropy: 1\n"), "{pack}");

    let (told, ..) = import(&[("top.toml", top)], &["top.toml"]);
    assert!(told.contains("extends the default rules of its scanner"), "{told}");
    assert!(told.contains("  a: it has no expression"), "{told}");

    let by_path = top.replace("useDefault=true", "path='base.toml'");
    let (told, ..) = import(&[("base.toml", base), ("top.toml", &by_path)], &["top.toml"]);
    assert!(told.contains("1 rule: 1 carried over whole"), "{told}");
}

#[test]
fn a_file_that_is_none_is_told_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("x.toml"), "[[rules]]\nid = \"a\"\nregex = \n").unwrap();
    let output = weir(folder.path(), &["patterns", "import", "x.toml"], "");
    let told = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{told}");
    assert!(told.contains("x.toml: line 3") && told.contains("hint:"), "{told}");
    assert!(output.stdout.is_empty());
}
