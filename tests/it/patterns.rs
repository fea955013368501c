//! Rule files: what is accepted, and how mistakes are told.

use std::path::{Path, PathBuf};

use weir::event::Carrier;
use weir::patterns::{Class, SourceFile, builtin, load, load_at};

fn file(path: &str, text: &str) -> SourceFile {
    SourceFile { path: path.to_owned(), text: text.to_owned() }
}

const WHOLE: &str = r#"
rules:
  - id: secrets.acme.token
    name: Acme API token
    family: secrets
    type: secret.acme_token
    severity: high
    confidence: medium
    on: [user, tool_result]
    views: [raw]
    regex: '\bacme_([a-z0-9]{20})\b'
    group: 1
    entropy: 2.5
    near: { words: ["api key", token*], before: 40, after: 10, need: false }
    not_near: { list: calm.txt }
    allow:
      - { value: 'a{20}', reason: the example of the vendor's page }
      - { value: 'b{20}', reason: test tenant, expires: 2026-01-31 }
    action: block
    tags: [CWE-798]
    references: ["https://acme.example/docs"]
    examples: ["acme_{{alnum:20}}"]
    negative_examples: ["acme_x"]
    message: an Acme token
  - id: injection.override.ignore
    family: injection
    type: injection.override
    severity: high
    confidence: high
    phrase:
      - ignore [all] {previous|prior} instructions
      - forget everything
    examples: [ignore previous instructions]
    negative_examples: [ignore the noise]
"#;

#[test]
fn a_rule_carries_all_its_fields() {
    let files = [file("secrets/acme.yml", WHOLE), file("lists/calm.txt", "sample\nplaceholder\n")];
    let set = load_at(&files, "2026-02-01").unwrap();
    assert_eq!(set.rules.len(), 2);
    let phrase = &set.rules[0];
    assert_eq!(phrase.source.rule, "injection.override.ignore");
    assert_eq!((phrase.class, phrase.exprs.len()), (Class::Phrase, 2));
    assert!(!phrase.carriers.contains(&Carrier::System));
    assert!(phrase.views.folded && !phrase.views.raw);
    let shape = &set.rules[1];
    assert_eq!((shape.line, shape.path.as_str()), (3, "secrets/acme.yml"));
    assert_eq!((shape.exprs[0].group, shape.exprs[0].max_len), (1, 25));
    assert_eq!(shape.carriers, [Carrier::User, Carrier::ToolResult]);
    assert_eq!(shape.near.as_ref().unwrap().before, 40);
    assert_eq!(shape.allow.len(), 1, "the second entry expired the day before");
    assert_eq!(load(&files).unwrap().rules[1].allow.len(), 2);
}

#[test]
fn a_pack_is_named_by_its_content() {
    let one = load(&[file("a.yml", "rules: []"), file("lists/x.txt", "b")]).unwrap();
    let turned = load(&[file("lists/x.txt", "b"), file("a.yml", "rules: []")]).unwrap();
    let other = load(&[file("a.yml", "rules: []"), file("lists/x.txt", "c")]).unwrap();
    assert_eq!(one.hash, turned.hash);
    assert_ne!(one.hash, other.hash);
    assert_eq!(one.hash.len(), 64);
}

#[test]
fn every_mistake_names_file_line_rule_and_remedy() {
    let base = "rules:\n  - id: a.b\n    family: lists\n    type: list.x\n    severity: low\n    confidence: low\n    phrase: hot word\n    examples: [hot word]\n    negative_examples: [cold]\n";
    assert!(load(&[file("a.yml", base)]).is_ok());
    for (from, to, expected) in [
        ("id: a.b", "id: AB", "a.yml:2: rule `AB`: `id: AB` is not dotted"),
        (
            "family: lists",
            "family: list",
            "a.yml:3: rule `a.b`: `family: list` is unknown; write one of injection, secrets",
        ),
        ("severity: low", "severity: huge", "a.yml:5: rule `a.b`: `severity: huge`"),
        ("phrase: hot word", "regex: 'x*'", "a.yml:7: rule `a.b`: the expression"),
        ("phrase: hot word", "regex: '[a-z]+x'", "bound its repeats"),
        ("phrase: hot word", "regex: '\\b[a-z&&[^x]]{4}'", "write the class out"),
        ("phrase: hot word", "phrase: 'hot {word'", "`}` is missing"),
        ("phrase: hot word", "words: gone.txt", "a.yml:7: rule `a.b`: there is no list `gone.txt`"),
        ("    phrase: hot word\n", "", "exactly one of `phrase`, `words` and `regex`"),
        (
            "phrase: hot word",
            "phrase: hot word\n    validator: nope",
            "there is no validator `nope`",
        ),
        ("phrase: hot word", "phrase: hot word\n    on: [nobody]", "`on: nobody` is unknown"),
        ("phrase: hot word", "phrase: hot word\n    views: [rot26]", "no view `rot26`"),
        ("phrase: hot word", "phrase: hot word\n    entropy: 9", "bits a byte"),
        ("phrase: hot word", "phrase: hot word\n    near: {before: 3}", "no words are given"),
        ("phrase: hot word", "phrase: hot word\n    near: {words: [a], before: 3000}", "too far"),
        ("phrase: hot word", "phrase: hot word\n    allow: [{value: x, reason: ''}]", "no reason"),
        (
            "phrase: hot word",
            "phrase: hot word\n    negative_exmaples: [x]",
            "a.yml:8: unknown field",
        ),
        ("examples: [hot word]", "examples: ['{{hex}}']", "needs a size"),
        ("    negative_examples: [cold]\n", "", "no `negative_examples`"),
        ("rules:", "rulez:", "a.yml:"),
        ("rules:", "rules: [", "a.yml:"),
    ] {
        let text = base.replace(from, to);
        assert_ne!(text, base, "{from}");
        let errors = load(&[file("a.yml", &text)]).unwrap_err();
        let told: Vec<String> = errors.iter().map(ToString::to_string).collect();
        assert!(told.iter().any(|line| line.contains(expected)), "{to:?}: {told:#?}");
    }
}

#[test]
fn mistakes_are_collected_over_files_and_ids_are_unique() {
    let rule = |id: &str, more: &str| {
        format!(
            "rules:\n  - id: {id}\n    family: lists\n    type: list.x\n    severity: low\n    confidence: low\n    phrase: hot word\n    examples: [a]\n    negative_examples: [b]\n{more}"
        )
    };
    let errors = load(&[
        file("a.yml", &rule("x.y", "    on: [me]\n    views: [none]\n")),
        file("b.yml", "- not a map"),
        file("c.yml", &rule("c.c", "")),
        file("d.yml", &rule("c.c", "")),
    ])
    .unwrap_err();
    let paths: Vec<&str> = errors.iter().map(|error| error.path.as_str()).collect();
    assert_eq!(paths, ["a.yml", "a.yml", "b.yml", "d.yml"]);
    assert!(errors[3].to_string().contains("the id is taken by c.yml:2"));
}

#[test]
fn every_file_of_the_folder_is_compiled_in_and_loads() {
    fn walk(dir: &Path, into: &mut Vec<PathBuf>) {
        let Ok(entries) = std::fs::read_dir(dir) else { return };
        for entry in entries {
            let path = entry.unwrap().path();
            if path.is_dir() { walk(&path, into) } else { into.push(path) }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("patterns");
    let mut found = Vec::new();
    walk(&root, &mut found);
    let mut found: Vec<String> = found
        .iter()
        .map(|path| path.strip_prefix(&root).unwrap().to_str().unwrap().replace('\\', "/"))
        .filter(|path| Path::new(path).extension().is_none_or(|end| end != "md"))
        .collect();
    found.sort();
    let shipped: Vec<String> = builtin().into_iter().map(|file| file.path).collect();
    assert_eq!(shipped, found, "src/patterns/builtin.rs lists what is in patterns/");
    let errors = load(&builtin()).err().unwrap_or_default();
    assert!(
        errors.is_empty(),
        "{}",
        errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    );
}
