//! What ships beside the binary, held against the binary: compose file, image, dashboard.
//!
//! None of it can be run where the tests run, so the tests read it as its tools would.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;
use weir::config::{Config, Layers};
use weir::telemetry::metrics::{DECLARED, Type, quantile_name};

fn read(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

fn yaml(path: &str) -> Value {
    serde_saphyr::from_str(&read(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn services() -> BTreeMap<String, Value> {
    let compose = yaml("docker-compose.yml");
    let Value::Object(services) = &compose["services"] else { panic!("no services") };
    services.iter().map(|(name, service)| (name.clone(), service.clone())).collect()
}

fn texts(list: &Value) -> Vec<String> {
    list.as_array().map_or_else(Vec::new, |list| {
        list.iter().map(|item| item.as_str().unwrap().to_owned()).collect()
    })
}

fn environment(service: &Value) -> Vec<(String, String)> {
    service["environment"].as_object().map_or_else(Vec::new, |members| {
        members
            .iter()
            .map(|(k, v)| {
                (k.clone(), v.as_str().unwrap_or_else(|| panic!("{k} must be text")).to_owned())
            })
            .collect()
    })
}

#[test]
fn every_image_is_pinned_and_every_port_is_on_loopback() {
    for (name, service) in services() {
        let image = service["image"].as_str().unwrap_or_else(|| panic!("{name} has no image"));
        let tag = image.rsplit_once(':').map(|(_, tag)| tag);
        assert!(tag.is_some_and(|tag| tag != "latest" && tag.contains('.')), "{name}: {image}");
        for port in texts(&service["ports"]) {
            assert!(port.starts_with("127.0.0.1:"), "{name} publishes {port}");
        }
    }
    assert_eq!(services()["weir"]["image"], format!("weir:{}", env!("CARGO_PKG_VERSION")));
}

#[test]
fn the_environment_of_weir_is_a_configuration_that_keeps_the_default_topics() {
    for name in ["weir", "topics"] {
        let layers = Layers { env: environment(&services()[name]), ..Layers::default() };
        let loaded = layers.load().unwrap_or_else(|error| panic!("{name}: {error}"));
        let default = Config::default();
        assert_eq!(loaded.config.topics, default.topics, "{name}");
        assert_eq!(loaded.config.kafka.group_id, default.kafka.group_id, "{name}");
        assert_eq!(loaded.config.delivery, default.delivery, "{name}");
        assert_eq!(loaded.config.mode, default.mode, "{name}");
        let broker = &services()["kafka"];
        let inside = format!("INSIDE://{}", loaded.config.kafka.bootstrap_servers);
        let advertised = &environment(broker).into_iter().collect::<BTreeMap<_, _>>()["KAFKA_ADVERTISED_LISTENERS"];
        assert!(advertised.contains(&inside), "{name} connects to {inside}, not to {advertised}");
    }
    let weir = &services()["weir"];
    assert!(
        texts(&weir["command"]) == ["run"]
            && texts(&services()["topics"]["command"])[..2] == ["topics", "create"]
    );
}

#[test]
fn ports_are_those_of_the_defaults() {
    let default = Config::default();
    let services = services();
    let kafka = format!("{0}:9092", default.kafka.bootstrap_servers);
    assert_eq!(texts(&services["kafka"]["ports"]), [kafka]);
    let (_, admin) = default.admin.listen.rsplit_once(':').unwrap();
    assert_eq!(texts(&services["weir"]["ports"]), [format!("127.0.0.1:{admin}:{admin}")]);
    assert_eq!(
        yaml("deploy/prometheus.yml")["scrape_configs"][0]["static_configs"][0]["targets"][0],
        format!("weir:{admin}")
    );
    assert!(read("Dockerfile").contains(&format!("EXPOSE {admin}\n")));
}

#[test]
fn one_broker_by_default_and_three_in_the_profile() {
    let services = services();
    let brokers: Vec<_> = services.iter().filter(|(name, _)| name.starts_with("kafka")).collect();
    assert_eq!(brokers.len(), 3);
    let always: Vec<_> = brokers
        .iter()
        .filter(|(_, service)| service["profiles"].is_null())
        .map(|(name, _)| *name)
        .collect();
    assert_eq!(always, ["kafka"]);
    let cluster = read("deploy/cluster.env");
    for (index, (name, service)) in brokers.iter().enumerate() {
        let environment: BTreeMap<_, _> = environment(service).into_iter().collect();
        assert_eq!(environment["KAFKA_AUTO_CREATE_TOPICS_ENABLE"], "false");
        assert_eq!(environment["KAFKA_NODE_ID"], (index + 1).to_string());
        assert!(cluster.contains(&format!("{}@{name}:9093", index + 1)), "{cluster}");
        assert_eq!(
            environment["KAFKA_CONTROLLER_QUORUM_VOTERS"],
            "${WEIR_QUORUM_VOTERS:-1@kafka:9093}"
        );
    }
}

#[test]
fn the_image_is_pinned_and_runs_as_an_ordinary_user() {
    let file = read("Dockerfile");
    let toolchain = read("rust-toolchain.toml");
    let version = toolchain.split('"').nth(1).unwrap();
    let from: Vec<&str> = file.lines().filter_map(|line| line.strip_prefix("FROM ")).collect();
    assert!(from[0].starts_with(&format!("rust:{version}")), "{from:?} against {version}");
    assert!(from.iter().all(|image| !image.contains("latest") && image.contains('.')), "{from:?}");
    // Cargo wants every target of the manifest to be there, also those that are not built.
    let manifest = read("Cargo.toml");
    for path in
        manifest.lines().filter_map(|line| line.strip_prefix("path = \"")?.strip_suffix('"'))
    {
        assert!(file.contains(path), "the image makes no `{path}`");
    }
    let last = file.rsplit("FROM ").next().unwrap();
    assert!(last.contains("\nUSER 10001\n") && file.contains("--locked"));
    for folder in file
        .lines()
        .filter_map(|line| line.strip_prefix("COPY "))
        .filter(|line| !line.starts_with("--"))
    {
        for part in folder.split(' ').take(folder.split(' ').count() - 1) {
            assert!(
                Path::new(env!("CARGO_MANIFEST_DIR")).join(part).exists(),
                "the image copies `{part}`, which is not there"
            );
        }
    }
}

#[test]
fn the_dashboard_and_the_documentation_know_the_metrics() {
    let mut known: Vec<String> = Vec::new();
    for metric in DECLARED {
        known.push(metric.name.to_owned());
        if metric.kind == Type::Timing {
            known.push(quantile_name(metric));
            known.extend(["_bucket", "_count", "_sum"].map(|end| format!("{}{end}", metric.name)));
        }
    }
    let dashboard: Value =
        serde_json::from_str(&read("deploy/grafana/dashboards/weir.json")).unwrap();
    let datasource = yaml("deploy/grafana/provisioning/datasources/prometheus.yml");
    let mut names = 0;
    for panel in dashboard["panels"].as_array().unwrap() {
        assert_eq!(panel["datasource"]["uid"], datasource["datasources"][0]["uid"]);
        for target in panel["targets"].as_array().unwrap() {
            let expression = target["expr"].as_str().unwrap();
            let words = expression.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            for name in words.filter(|word| word.starts_with("weir_")) {
                names += 1;
                assert!(known.iter().any(|known| known == name), "the dashboard asks for `{name}`");
            }
        }
    }
    assert!(names >= 15, "the dashboard shows {names} metrics");
    let docs = read("docs/operations.md");
    for metric in DECLARED {
        assert!(
            docs.contains(&format!("| `{}` |", metric.name)),
            "docs/operations.md lacks {}",
            metric.name
        );
    }
}
