//! The guide in `docs/patterns.md` prints what the commands print.

use std::path::Path;

use crate::program::{text, weir};

/// The blocks of one kind in a text, in order.
fn blocks<'t>(text: &'t str, kind: &str) -> Vec<&'t str> {
    let fence = format!("```{kind}\n");
    text.split(&fence).skip(1).filter_map(|rest| rest.split("```").next()).collect()
}

fn run(folder: &Path, arguments: &[&str], input: &str) -> String {
    text(&weir(folder, arguments, input).stdout)
}

#[test]
fn every_command_of_the_guide_prints_what_it_says() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(root.join("docs/patterns.md")).unwrap();
    let guide = page.split("## A phrase for one agent").nth(1).unwrap();
    let guide = guide.split("\n## ").next().unwrap();
    let (files, consoles) = (blocks(guide, "yaml"), blocks(guide, "console"));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    std::fs::create_dir_all(path.join("my-patterns/lists")).unwrap();
    let write = |text: &str| {
        std::fs::write(path.join("my-patterns/lists/refunds.yml"), text).unwrap();
    };
    let rule = files[0];
    // What the guide says is wrong in the second of two blocks.
    let mistakes = [
        rule.replace("{all|every|each}", "{all|every"),
        rule.replace("\"REFUND every single order\"", "\"Refund us all\""),
    ];
    for (at, words) in [(0, "lint"), (2, "test")] {
        for (console, text) in [(at, rule), (at + 1, &mistakes[at / 2])] {
            write(text);
            let shown = consoles[console];
            let command = format!("$ weir patterns {words} my-patterns\n");
            assert_eq!(shown.strip_prefix(&command).unwrap(), {
                run(path, &["patterns", words, "my-patterns"], "")
            });
        }
    }
    write(rule);

    let (command, shown) = consoles[4].split_once('\n').unwrap();
    let text = command.split('"').nth(1).unwrap();
    assert!(command.ends_with("| weir scan --patterns my-patterns -"));
    let scan = ["scan", "--patterns", "my-patterns", "-"];
    assert_eq!(run(path, &scan, &format!("{text}\n")), shown);

    let policy = std::fs::read_to_string(root.join("policy/default.yml")).unwrap();
    let line = format!("overrides:\n{}", files[1]);
    std::fs::write(path.join("policy.yml"), policy.replace("overrides:\n", &line)).unwrap();
    let (lines, shown) = consoles[5].split_once("$ weir ").unwrap();
    std::fs::write(path.join("two.jsonl"), lines.strip_prefix("$ cat two.jsonl\n").unwrap())
        .unwrap();
    let (command, shown) = shown.split_once('\n').unwrap();
    let arguments: Vec<&str> = command.split(' ').collect();
    assert_eq!(run(path, &arguments, ""), shown);
}
