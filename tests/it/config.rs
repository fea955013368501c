//! Configuration: layers, origins, and what each mistake is answered with.

use weir::config::{Config, Delivery, Layers, Loaded, Origin, SETTINGS};

fn layers(file: &str, env: &[(&str, &str)], sets: &[&str]) -> Layers {
    Layers {
        file: Some(("weir.yml".to_owned(), file.to_owned())),
        env: env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        sets: sets.iter().map(|set| (*set).to_owned()).collect(),
    }
}

fn load(file: &str, env: &[(&str, &str)], sets: &[&str]) -> Loaded {
    layers(file, env, sets).load().unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn without_anything_the_shipped_defaults_are_in_force() {
    let loaded = Layers::default().load().unwrap();
    assert_eq!(loaded.config, Config::default());
    assert!(loaded.in_force().all(|(_, _, origin)| *origin == Origin::Default));
    let shown: Vec<_> =
        loaded.in_force().map(|(setting, value, _)| (setting.path, value)).collect();
    for (path, value) in [
        ("kafka.bootstrap_servers", "\"127.0.0.1:9092\""),
        ("kafka.group_id", "\"weir\""),
        ("kafka.properties", "{}"),
        ("topics.events", "\"weir.events\""),
        ("topics.state", "\"weir.state\""),
        ("delivery", "exactly_once"),
        ("lanes", "1"),
        ("instance", "null"),
        ("mode", "enforce"),
        ("patterns", "[]"),
        ("policy", "null"),
        ("classifier.enabled", "auto"),
        ("classifier.model", "\"models/injection\""),
        ("classifier.when", "untrusted"),
        ("alerts.format", "ocsf"),
        ("keys.audit", "null"),
        ("admin.listen", "\"127.0.0.1:9465\""),
    ] {
        assert!(shown.contains(&(path, value.to_owned())), "{path} is not {value}: {shown:?}");
    }
}

#[test]
fn a_later_layer_wins_key_by_key_and_says_where_it_came_from() {
    let loaded = load(
        "kafka:\n  group_id: from-file\n  bootstrap_servers: a:1\ndelivery: at_least_once\nlanes: 2\n",
        &[("WEIR_KAFKA__GROUP_ID", "from-env"), ("WEIR_LANES", "3"), ("HOME", "/root")],
        &["lanes=4"],
    );
    let config = &loaded.config;
    assert_eq!(config.kafka.bootstrap_servers, "a:1");
    assert_eq!(config.kafka.group_id, "from-env");
    assert_eq!(config.lanes, 4);
    assert_eq!(config.delivery, Delivery::AtLeastOnce);
    let origin = |path: &str| loaded.origin(path).to_string();
    assert_eq!(origin("kafka.bootstrap_servers"), "weir.yml:3");
    assert_eq!(origin("kafka.group_id"), "WEIR_KAFKA__GROUP_ID");
    assert_eq!(origin("lanes"), "--set");
    assert_eq!(origin("mode"), "default");
}

#[test]
fn client_properties_come_from_every_layer_and_secrets_are_masked() {
    let loaded = load(
        "kafka:\n  properties:\n    security.protocol: SASL_SSL\n    sasl.username: weir\n    session.timeout.ms: 6000\n",
        &[("WEIR_KAFKA__PROPERTIES__SASL_PASSWORD", "hunter2")],
        &["kafka.properties.sasl.mechanism=SCRAM-SHA-512"],
    );
    let properties = &loaded.config.kafka.properties;
    assert_eq!(properties["sasl.password"], "hunter2");
    assert_eq!(properties["sasl.mechanism"], "SCRAM-SHA-512");
    assert_eq!(properties["session.timeout.ms"], "6000");
    let shown: String = loaded.in_force().map(|(_, value, _)| value).collect();
    assert!(shown.contains("sasl.password: ***") && !shown.contains("hunter2"), "{shown}");
}

#[test]
fn keys_come_from_files_and_the_environment_and_are_never_shown() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.key");
    std::fs::write(&path, "5a".repeat(32) + "\n").unwrap();
    let file = format!("keys: {{ audit: \"file:{}\" }}\n", path.display());
    let loaded = load(&file, &[("WEIR_KEYS__CONTROL", &"a5".repeat(32))], &[]);
    let keys = &loaded.config.keys;
    assert_eq!(keys.audit.as_ref().map(|key| key.bytes()[0]), Some(0x5a));
    assert_eq!(keys.control.as_ref().map(|key| key.bytes()[31]), Some(0xa5));
    let shown =
        format!("{:?}{:?}", loaded.config, loaded.in_force().map(|v| v.1).collect::<Vec<_>>());
    assert!(!shown.contains("5a5a") && !shown.contains("a5a5"), "{shown}");
}

#[test]
fn a_field_map_reads_pointers_constants_and_renamed_values() {
    let loaded = load(
        "field_map:\n  id: /request/uuid\n  ts: /at\n  kind: { at: /type, values: { user_message: prompt } }\n  agent.id: { const: support-bot }\n",
        &[],
        &[],
    );
    assert!(!loaded.config.field_map().unwrap().is_empty());
}

/// File, environment, `--set`; then what the message must hold.
type Mistake<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a [&'a str], &'a [&'a str]);

#[test]
fn every_mistake_names_place_key_and_what_would_be_right() {
    let hex = "00".repeat(32);
    let literal = format!("keys:\n  audit: \"{hex}\"\n");
    let set_key = format!("keys.audit={hex}");
    let cases: &[Mistake<'_>] = &[
        (
            "delivry: exactly_once\n",
            &[],
            &[],
            &[
                "weir.yml:1: `delivry`",
                "did you mean `delivery`?",
                "allowed: kafka, topics, repartition, delivery",
            ],
        ),
        (
            "kafka:\n  group_id: g\n  brokers: x\n",
            &[],
            &[],
            &[
                "weir.yml:3: `kafka.brokers`: unknown key",
                "allowed: bootstrap_servers, group_id, properties",
            ],
        ),
        (
            "\n\ndelivery: twice\n",
            &[],
            &[],
            &[
                "weir.yml:3: `delivery`: unknown value `twice`",
                "allowed: exactly_once, at_least_once",
            ],
        ),
        (
            "mode: [enforce]\n",
            &[],
            &[],
            &["weir.yml:1: `mode`", "not a list", "allowed: enforce, shadow"],
        ),
        (
            "lanes: many\n",
            &[],
            &[],
            &["weir.yml:1: `lanes`: must be a whole number, not text", "allowed: 1 to 256"],
        ),
        ("lanes: 0\n", &[], &[], &["`lanes`: `0` is out of range", "1 to 256"]),
        ("lanes: 1.5\n", &[], &[], &["`lanes`: `1.5` is out of range"]),
        (
            "topics: weir\n",
            &[],
            &[],
            &[
                "weir.yml:1: `topics`: must be a group of keys, not text",
                "allowed: events, verdicts",
            ],
        ),
        (
            "topics:\n  dlq: weir.events\n",
            &[],
            &[],
            &["weir.yml:2: `topics.dlq`: `weir.events` is already `topics.events`"],
        ),
        (
            "topics:\n  dlq: 'no spaces'\n",
            &[],
            &[],
            &["weir.yml:2: `topics.dlq`", "is not a topic's name"],
        ),
        (
            "kafka:\n  group_id: 7\n",
            &[],
            &[],
            &["`kafka.group_id`: must be text; put it in quotation marks"],
        ),
        (
            "kafka: { bootstrap_servers: localhost }\n",
            &[],
            &[],
            &["weir.yml:1: `kafka.bootstrap_servers`: `localhost` is not an address", "host:port"],
        ),
        (
            "kafka:\n  properties:\n    isolation.level: read_uncommitted\n",
            &[],
            &[],
            &["weir.yml:2: `kafka.properties`: `isolation.level`", "committed records only"],
        ),
        (
            "kafka:\n  properties: [a]\n",
            &[],
            &[],
            &["weir.yml:2: `kafka.properties`: must be a group of keys, not a list"],
        ),
        ("instance: 'a b'\n", &[], &[], &["`instance`", "transactional id"]),
        ("admin: { listen: nowhere }\n", &[], &[], &["`admin.listen`", "host:port"]),
        ("log: { filter: 'weir=louder' }\n", &[], &[], &["`log.filter`"]),
        (
            "classifier: { sha256: abc }\n",
            &[],
            &[],
            &["weir.yml:1: `classifier.sha256`: is no SHA-256", "64 hexadecimal digits"],
        ),
        (
            &literal,
            &[],
            &[],
            &["weir.yml:2: `keys.audit`: a key itself must not stand here", "file:PATH, env:NAME"],
        ),
        ("", &[], &[&set_key], &["--set: `keys.audit`: a key itself must not stand here"]),
        (
            "keys: { audit: 'file:/nowhere/at/all' }\n",
            &[],
            &[],
            &["weir.yml:1: `keys.audit`: cannot read key file `/nowhere/at/all`"],
        ),
        (
            "",
            &[("WEIR_KEYS__AUDIT", "short")],
            &[],
            &[
                "WEIR_KEYS__AUDIT: `keys.audit`: the value does not hold a key",
                "64 hexadecimal digits",
            ],
        ),
        ("field_map: { kind: /k }\n", &[], &[], &["weir.yml:1: `field_map`", "is missing"]),
        (
            "field_map: { id: { const: a, at: /b } }\n",
            &[],
            &[],
            &["`field_map`: `id` must have either `at` or `const`"],
        ),
        (
            "limits:\n  json_depth: 2\n",
            &[],
            &[],
            &["weir.yml:2: `limits.json_depth`: `2` is out of range", "allowed: 4 to"],
        ),
        ("a: 1\na: 2\n", &[], &[], &["weir.yml:2"]),
        ("just text\n", &[], &[], &["weir.yml:1: must be a group of keys"]),
        ("", &[("WEIR_KAFKA__GRUOP_ID", "x")], &[], &["WEIR_KAFKA__GRUOP_ID", "unknown key"]),
        ("", &[("WEIR_DELIVRY", "x")], &[], &["WEIR_DELIVRY", "did you mean `delivery`?"]),
        ("", &[], &["lanes"], &["--set: `lanes` has no `=`", "KEY=VALUE"]),
        (
            "",
            &[],
            &["kafka.grup_id=x"],
            &["--set: `kafka.grup_id`: unknown key; did you mean `group_id`?"],
        ),
    ];
    for (file, env, sets, parts) in cases {
        let error = match layers(file, env, sets).load() {
            Ok(_) => panic!("accepted: {file:?} {env:?} {sets:?}"),
            Err(error) => error.to_string(),
        };
        for part in *parts {
            assert!(
                error.contains(part),
                "for {file:?} {env:?} {sets:?}:\n{error}\nlacks `{part}`"
            );
        }
        assert!(!error.contains(&hex) && !error.contains("short`"), "a key is shown: {error}");
    }
}

#[test]
fn all_mistakes_are_told_at_once() {
    let error = layers("delivery: twice\nlanes: 0\nx: 1\n", &[], &[]).load().unwrap_err();
    assert_eq!(error.0.len(), 3, "{error}");
}

#[test]
fn variables_that_others_set_are_left_alone() {
    load("", &[("WEIR_SERVICE_HOST", "10.0.0.1"), ("WEIR_PORT", "tcp://10.0.0.1:9465")], &[]);
}

#[test]
fn what_is_in_force_reads_back_as_a_configuration() {
    let shown: Vec<String> = Layers::default()
        .load()
        .unwrap()
        .in_force()
        .map(|(setting, value, _)| format!("{}={value}", setting.path))
        .collect();
    for set in shown {
        let (path, value) = set.split_once('=').unwrap();
        let nested = path
            .split('.')
            .rev()
            .fold(value.to_owned(), |inner, key| format!("{{ {key}: {inner} }}"));
        let loaded = load(&nested, &[], &[]);
        assert_eq!(loaded.config, Config::default(), "{nested}");
    }
}

#[test]
fn the_example_and_the_documentation_hold_every_setting_with_its_default() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let example = std::fs::read_to_string(root.join("examples/weir.yml")).unwrap();
    assert_eq!(
        load(&example, &[], &[]).config,
        Config::default(),
        "the example states the defaults"
    );
    let loaded = load(&example, &[], &[]);
    let docs = std::fs::read_to_string(root.join("docs/configuration.md")).unwrap();
    for setting in SETTINGS {
        assert!(
            matches!(loaded.origin(setting.path), Origin::File { .. }),
            "examples/weir.yml lacks `{}`",
            setting.path
        );
        let row = format!("| `{}` |", setting.path);
        assert!(docs.contains(&row), "docs/configuration.md lacks a row `{row}`");
        assert!(
            docs.contains(setting.about),
            "docs/configuration.md does not say: {}",
            setting.about
        );
    }
}
