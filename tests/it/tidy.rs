//! The shape of the tree, held by tests: layers, purity of the core, file headers.

use std::path::{Path, PathBuf};

/// Modules from the bottom up. A module may use those before it and itself.
const LAYERS: &[&str] = &[
    "digest",
    "event",
    "finding",
    "text",
    "validate",
    "patterns",
    "state",
    "engine",
    "baseline",
    "detect",
    "policy",
    "redact",
    "alert",
    "audit",
    "inspect",
    "wire",
    "clock",
    "telemetry",
    "classify",
    "config",
    "pipeline",
    "cli",
];

/// The pure part ends here: it and all before it do no I/O, read no clock and spawn nothing.
const LAST_PURE: &str = "inspect";

/// What the pure part may not name, with the reason shown on failure.
const IMPURE: &[(&str, &str)] = &[
    ("std::fs", "files are read at the edge and handed in"),
    ("std::net", "the core does not talk to anybody"),
    ("std::env", "settings are arguments"),
    ("std::thread", "the edge decides what runs where"),
    ("std::process", "the core starts nothing"),
    ("Instant::now", "time is an argument"),
    ("SystemTime", "time is an argument"),
    ("tokio::", "the core is synchronous"),
    ("rdkafka::", "the log belongs to `pipeline`"),
    ("tracing::", "telemetry belongs to the edge"),
];

fn sources(under: &str) -> Vec<(PathBuf, String)> {
    fn walk(dir: &Path, into: &mut Vec<PathBuf>) {
        let mut entries: Vec<_> =
            std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
        entries.sort();
        for path in entries {
            if path.is_dir() {
                walk(&path, into);
            } else if path.extension().is_some_and(|ext| ext == "rs") {
                into.push(path);
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths = Vec::new();
    walk(&root.join(under), &mut paths);
    assert!(!paths.is_empty(), "{under} holds no Rust file");
    paths
        .into_iter()
        .map(|path| {
            let text = std::fs::read_to_string(&path).unwrap();
            (path.strip_prefix(root).unwrap().to_path_buf(), text)
        })
        .collect()
}

/// The top-level module of a file under `src`; `None` for `lib.rs` and `main.rs`.
fn module_of(path: &Path) -> Option<String> {
    let mut parts = path.components().skip(1);
    let first = parts.next()?.as_os_str().to_str()?.trim_end_matches(".rs").to_owned();
    (first != "lib" && first != "main").then_some(first)
}

fn layer(module: &str) -> usize {
    LAYERS
        .iter()
        .position(|name| *name == module)
        .unwrap_or_else(|| panic!("module `{module}` has no layer: add it to LAYERS and to lib.rs"))
}

/// Code lines before the file's unit tests, comments cut off.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines()
        .enumerate()
        .take_while(|(_, line)| line.trim() != "#[cfg(test)]")
        .map(|(index, line)| (index + 1, line.split("//").next().unwrap_or_default()))
}

#[test]
fn a_module_knows_only_what_stands_above_it() {
    let mut wrong = Vec::new();
    for (path, text) in sources("src") {
        let Some(module) = module_of(&path) else { continue };
        let own = layer(&module);
        for (line, code) in code(&text) {
            for used in code.split("crate::").skip(1) {
                let used: String =
                    used.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
                let is_module = LAYERS.contains(&used.as_str());
                if is_module && layer(&used) > own {
                    wrong.push(format!("{}:{line}: `{module}` uses `{used}`", path.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "a lower layer uses a higher one:\n{}", wrong.join("\n"));
}

#[test]
fn the_core_does_no_io_and_reads_no_clock() {
    let mut wrong = Vec::new();
    for (path, text) in sources("src") {
        let Some(module) = module_of(&path) else { continue };
        if layer(&module) > layer(LAST_PURE) {
            continue;
        }
        for (line, code) in code(&text) {
            for (name, reason) in IMPURE {
                if code.contains(name) {
                    wrong.push(format!("{}:{line}: `{name}`: {reason}", path.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "the core must stay pure:\n{}", wrong.join("\n"));
}

#[test]
fn every_file_says_what_it_is_for() {
    for root in ["src", "tests"] {
        for (path, text) in sources(root) {
            assert!(
                text.starts_with("//!"),
                "{} does not open with a `//!` header",
                path.display()
            );
        }
    }
}

#[test]
fn nothing_is_left_to_do_in_the_code() {
    // Spelled apart so that this file does not find itself.
    let marks = [
        concat!("to", "do!("),
        concat!("unimple", "mented!("),
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
    ];
    for root in ["src", "tests"] {
        for (path, text) in sources(root) {
            for mark in marks {
                assert!(!text.contains(mark), "{} holds `{mark}`", path.display());
            }
        }
    }
}

#[test]
fn the_layers_are_those_of_lib_rs() {
    let lib =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs")).unwrap();
    let declared: Vec<&str> = lib
        .lines()
        .filter_map(|line| line.trim().strip_prefix("pub mod ")?.strip_suffix(';'))
        .collect();
    assert_eq!(declared, LAYERS, "lib.rs lists modules from the bottom up");
}

#[test]
fn every_test_file_is_part_of_its_crate() {
    for (krate, main) in
        [("it", include_str!("main.rs")), ("kafka", include_str!("../kafka/main.rs"))]
    {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(krate);
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_stem().unwrap().to_str().unwrap();
            if path.extension().is_some_and(|ext| ext == "rs") && name != "main" {
                let line = format!("mod {name};");
                assert!(
                    main.lines().any(|l| l.trim() == line),
                    "tests/{krate}/main.rs lacks `{line}`"
                );
            }
        }
    }
}
