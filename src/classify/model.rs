//! A model's folder: its files, their hashes, and what `config.json` says.
//!
//! Nothing is assumed of a foreign model that its own files can tell. What Weir's own
//! training adds stands in a block `weir` of `config.json`; each value may be overridden.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::{OpenError, Settings};
use crate::audit::hex;
use crate::finding::Score;
use crate::inspect::Thresholds;

/// Names of classes that count as an injection where nobody says which one does, in capitals.
const KNOWN_POSITIVES: &[&str] = &["INJECTION", "JAILBREAK", "MALICIOUS", "UNSAFE", "ATTACK"];

/// What thresholds are where nobody has calibrated any: a convention, see docs/classifier.md.
const CONVENTION: [(&str, f64); 3] = [("fpr_2", 0.5), ("fpr_1", 0.9), ("fpr_0_5", 0.98)];

/// Positions of most encoders, where `config.json` does not say.
const POSITIONS: usize = 512;

/// A model that was read but not yet opened.
pub(super) struct Model {
    /// `model.onnx`.
    pub(super) path: PathBuf,
    pub(super) graph: Vec<u8>,
    pub(super) sha256: String,
    pub(super) pinned: bool,
    /// `tokenizer.json`.
    pub(super) tokenizer_path: PathBuf,
    pub(super) tokenizer: Vec<u8>,
    /// `config.json`.
    pub(super) config_path: PathBuf,
    /// Class names by number; empty where the configuration names none.
    pub(super) labels: Vec<String>,
    /// Numbers of the classes that count.
    pub(super) positive: Vec<usize>,
    /// Longest window that the model has positions for.
    pub(super) positions: usize,
    /// Tokens of a window, and from one to the next; 0 where nobody says.
    pub(super) window: usize,
    pub(super) stride: usize,
    pub(super) temperature: f64,
    pub(super) thresholds: Thresholds,
    pub(super) calibrated: bool,
    pub(super) respace: bool,
}

#[derive(Deserialize)]
struct ConfigFile {
    #[serde(default)]
    max_position_embeddings: Option<usize>,
    #[serde(default)]
    id2label: BTreeMap<String, String>,
    #[serde(default)]
    weir: Option<Block>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct Block {
    positive: Option<String>,
    window_tokens: Option<usize>,
    stride_tokens: Option<usize>,
    temperature: Option<f64>,
    #[serde(default)]
    thresholds: BTreeMap<String, f64>,
    #[serde(default)]
    respace: bool,
}

impl Model {
    /// Reads and checks the files of a folder.
    pub(super) fn read(settings: &Settings) -> Result<Self, OpenError> {
        let folder = &settings.model;
        let path = placed(folder, "model.onnx");
        let graph = bytes(&path)?;
        let sha256 = hex(&Sha256::digest(&graph));
        let tokenizer_path = placed(folder, "tokenizer.json");
        let tokenizer = bytes(&tokenizer_path)?;
        let config_path = placed(folder, "config.json");
        let config = bytes(&config_path)?;
        let mut pinned = false;
        if let Some(pin) = &settings.sha256 {
            if !pin.eq_ignore_ascii_case(&sha256) {
                return Err(OpenError::Hash {
                    path,
                    found: sha256,
                    pinned: pin.clone(),
                    by: "`classifier.sha256`",
                });
            }
            pinned = true;
        }
        let files = [(&path, &graph), (&tokenizer_path, &tokenizer), (&config_path, &config)];
        pinned |= check_sums(folder, &files)?;

        let wrong = |reason: String| OpenError::Model { path: config_path.clone(), reason };
        let file: ConfigFile = serde_json::from_slice(&config)
            .map_err(|error| wrong(format!("not a model's configuration: {error}")))?;
        let labels = labels(&file.id2label).map_err(&wrong)?;
        let block = file.weir.unwrap_or_default();
        let named = settings.positive.as_ref().or(block.positive.as_ref());
        let positive = positive(&labels, named.map(String::as_str)).map_err(&wrong)?;
        let temperature = block.temperature.unwrap_or(1.0);
        if !(temperature.is_finite() && temperature > 0.0) {
            return Err(wrong(format!(
                "`weir.temperature` is {temperature}, which divides nothing"
            )));
        }
        let calibrated = !block.thresholds.is_empty();
        let thresholds = thresholds(settings, &block.thresholds).map_err(&wrong)?;
        let chosen = |setting: usize, own: Option<usize>| match setting {
            0 => own.unwrap_or(0),
            set => set,
        };
        Ok(Self {
            positions: file.max_position_embeddings.unwrap_or(POSITIONS),
            window: chosen(settings.window_tokens, block.window_tokens),
            stride: chosen(settings.stride_tokens, block.stride_tokens),
            respace: settings.respace.unwrap_or(block.respace),
            path,
            graph,
            sha256,
            pinned,
            tokenizer_path,
            tokenizer,
            config_path,
            labels,
            positive,
            temperature,
            thresholds,
            calibrated,
        })
    }

    /// The probability that a row of logits gives to the classes that count; `None` where it is no number.
    pub(super) fn probability(
        positive: &[usize],
        temperature: f64,
        logits: &[f32],
    ) -> Option<Score> {
        let scaled = || logits.iter().map(|&logit| f64::from(logit) / temperature);
        let largest = scaled().fold(f64::NEG_INFINITY, f64::max);
        let weights: Vec<f64> = scaled().map(|logit| (logit - largest).exp()).collect();
        let all: f64 = weights.iter().sum();
        let ours: f64 = positive.iter().filter_map(|&class| weights.get(class)).sum();
        // A sum of rounded shares may pass one by the last digit.
        let share = ours / all;
        Score::new(if share > 1.0 { 1.0 } else { share })
    }
}

/// The file of that name in the folder, or where exports for ONNX put it.
fn placed(folder: &Path, name: &str) -> PathBuf {
    let (here, below) = (folder.join(name), folder.join("onnx").join(name));
    if !here.is_file() && below.is_file() { below } else { here }
}

fn bytes(path: &Path) -> Result<Vec<u8>, OpenError> {
    std::fs::read(path).map_err(|source| OpenError::File { path: path.to_path_buf(), source })
}

/// Compares files with a folder's `SHA256SUMS`, where there is one that names the graph.
fn check_sums(folder: &Path, files: &[(&PathBuf, &Vec<u8>)]) -> Result<bool, OpenError> {
    let path = folder.join("SHA256SUMS");
    let Ok(sums) = std::fs::read_to_string(&path) else { return Ok(false) };
    let mut graph = false;
    for (file, bytes) in files {
        let known = file.strip_prefix(folder).unwrap_or(file);
        let line = sums.lines().find_map(|line| {
            let (hash, name) = line.split_once(char::is_whitespace)?;
            let name = name.trim_start().trim_start_matches('*').trim_start_matches("./");
            (Path::new(name) == known).then_some(hash)
        });
        let Some(pinned) = line else { continue };
        let found = hex(&Sha256::digest(bytes));
        if !pinned.eq_ignore_ascii_case(&found) {
            return Err(OpenError::Hash {
                path: (*file).clone(),
                found,
                pinned: pinned.to_owned(),
                by: "its `SHA256SUMS`",
            });
        }
        graph |= known.extension().is_some_and(|end| end == "onnx");
    }
    Ok(graph)
}

fn labels(by_number: &BTreeMap<String, String>) -> Result<Vec<String>, String> {
    let mut labels = vec![String::new(); by_number.len()];
    for (number, label) in by_number {
        let slot = number.parse::<usize>().ok().and_then(|number| labels.get_mut(number));
        let slot = slot.ok_or_else(|| {
            format!("`id2label` has a class `{number}`, but its classes must be 0, 1, 2…")
        })?;
        slot.clone_from(label);
    }
    Ok(labels)
}

/// Numbers of the classes that count: those named, else those of a known name.
fn positive(labels: &[String], named: Option<&str>) -> Result<Vec<usize>, String> {
    let of =
        |wanted: &str| labels.iter().position(|label| label.eq_ignore_ascii_case(wanted.trim()));
    let known = labels.join(", ");
    let Some(named) = named else {
        let found: Vec<usize> = KNOWN_POSITIVES.iter().filter_map(|name| of(name)).collect();
        return match (found.is_empty(), of("LABEL_1"), labels.len()) {
            (false, ..) => Ok(found),
            // Exports that lost their names: of two classes the second is the one.
            (true, Some(class), 2) => Ok(vec![class]),
            _ => Err(format!(
                "none of its classes ({known}) is known to mean an injection; name it in `classifier.positive`"
            )),
        };
    };
    named
        .split(',')
        .map(|name| {
            of(name)
                .ok_or_else(|| format!("there is no class `{}`; there are: {known}", name.trim()))
        })
        .collect()
}

fn thresholds(settings: &Settings, own: &BTreeMap<String, f64>) -> Result<Thresholds, String> {
    let of = |key: &str, value: &str| {
        let number = value.parse::<f64>().ok().or_else(|| own.get(value).copied()).or_else(|| {
            let conventional = CONVENTION.iter().find(|(name, _)| *name == value);
            conventional.filter(|_| own.is_empty()).map(|(_, number)| *number)
        });
        number.and_then(Score::new).ok_or_else(|| {
            let names: Vec<&str> = own.keys().map(String::as_str).collect();
            format!(
                "`classifier.{key}` is `{value}`, which is neither a probability from 0 to 1 nor one of the model's thresholds ({})",
                names.join(", ")
            )
        })
    };
    let low = of("low", &settings.low)?;
    let medium = of("medium", &settings.medium)?;
    let high = of("high", &settings.high)?;
    if low > medium || medium > high {
        return Err(format!(
            "thresholds must not fall from low to high, but they are {}, {} and {}",
            low.probability(),
            medium.probability(),
            high.probability()
        ));
    }
    Ok(Thresholds { low, medium, high })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(list: &[&str]) -> Vec<String> {
        list.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn the_class_that_counts_is_named_or_known() {
        type Case<'c> = (&'c [&'c str], Option<&'c str>, Result<&'c [usize], &'c str>);
        let cases: &[Case<'_>] = &[
            (&["SAFE", "INJECTION"], None, Ok(&[1])),
            (&["injection", "benign"], None, Ok(&[0])),
            (&["BENIGN", "INJECTION", "JAILBREAK"], None, Ok(&[1, 2])),
            (&["BENIGN", "INJECTION", "JAILBREAK"], Some("jailbreak"), Ok(&[2])),
            (&["BENIGN", "INJECTION", "JAILBREAK"], Some("JAILBREAK, INJECTION"), Ok(&[2, 1])),
            (&["LABEL_0", "LABEL_1"], None, Ok(&[1])),
            (&["LABEL_0", "LABEL_1", "LABEL_2"], None, Err("classifier.positive")),
            (&["good", "bad"], None, Err("(good, bad)")),
            (&["good", "bad"], Some("evil"), Err("no class `evil`")),
            (&[], None, Err("classifier.positive")),
        ];
        for (labels, named, expected) in cases {
            let found = positive(&names(labels), *named);
            match expected {
                Ok(classes) => assert_eq!(found.as_deref(), Ok(*classes), "{labels:?}"),
                Err(part) => assert!(found.unwrap_err().contains(part), "{labels:?}"),
            }
        }
    }

    #[test]
    fn thresholds_are_numbers_or_names_and_do_not_fall() {
        let own = BTreeMap::from([
            ("fpr_0_5".to_owned(), 0.9),
            ("fpr_1".to_owned(), 0.8),
            ("fpr_2".to_owned(), 0.7),
        ]);
        let settings = Settings::default();
        let read = thresholds(&settings, &own).unwrap();
        assert_eq!((read.low, read.high), (Score::new(0.7).unwrap(), Score::new(0.9).unwrap()));
        assert_eq!(
            thresholds(&settings, &BTreeMap::new()).unwrap().medium,
            Score::new(0.9).unwrap()
        );
        let set = |medium: &str| Settings { medium: medium.to_owned(), ..Settings::default() };
        assert_eq!(thresholds(&set("0.75"), &own).unwrap().medium, Score::new(0.75).unwrap());
        assert!(thresholds(&set("0.95"), &own).unwrap_err().contains("must not fall"));
        for wrong in ["fpr_3", "1.5", "NaN", ""] {
            let said = thresholds(&set(wrong), &own).unwrap_err();
            assert!(said.contains("classifier.medium") && said.contains("fpr_1"), "{said}");
        }
    }

    #[test]
    fn what_is_no_number_is_no_score() {
        let of = |logits: &[f32]| Model::probability(&[1], 1.0, logits).map(Score::millionths);
        assert_eq!(of(&[0.0, 0.0]), Some(500_000));
        assert_eq!(of(&[0.0, 4.0]), Some(982_014));
        assert_eq!(of(&[-1e30, 1e30]), Some(1_000_000));
        for wrong in
            [[f32::NAN, 0.0], [0.0, f32::NAN], [f32::INFINITY, 0.0], [f32::NEG_INFINITY; 2]]
        {
            assert_eq!(of(&wrong), None, "{wrong:?}");
        }
        let warm = Model::probability(&[1], 4.0, &[0.0, 4.0]).unwrap();
        assert_eq!(warm.millionths(), 731_059);
        assert_eq!(
            Model::probability(&[0, 1], 1.0, &[3.0, 4.0]).map(Score::millionths),
            Some(1_000_000)
        );
    }
}
