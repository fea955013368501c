//! From options and configuration to an opened classifier, or to a reason why there is none.

use std::path::{Path, PathBuf};
#[cfg(feature = "kafka")]
use std::time::Duration;

use clap::Args;

use crate::classify::{Classifier, OpenError, Settings, Urgency, When, documents, unasked};
#[cfg(feature = "kafka")]
use crate::config::ClassifierUse;
use crate::config::Config;
use crate::detect::Scan;
use crate::event::Event;
use crate::finding::Scoring;
use crate::inspect::{Scores, join};
#[cfg(feature = "kafka")]
use crate::pipeline::asking::Asking;
use crate::policy::Policy;

use super::failure::Failure;

/// Where packages and images put models.
const SHARED: &str = "/usr/share/weir";

/// The classifier of commands that read files.
#[derive(Args)]
pub(super) struct ClassifierArgs {
    /// Whether a model scores texts beside the rules, all of each: on, off, or the model's folder
    ///
    /// `on` takes the model and thresholds that the configuration names. It needs the ONNX Runtime
    /// library (`make onnxruntime`), and what is wrong with either ends the command.
    #[arg(long, value_name = "on|off|DIR", default_value = "off")]
    classifier: String,
}

impl ClassifierArgs {
    /// The classifier that was asked for.
    pub(super) fn open(&self, config: &Config) -> Result<Option<Scorer>, Failure> {
        let mut settings = config.classifier.settings();
        match self.classifier.as_str() {
            "off" => return Ok(None),
            "on" => {}
            folder => settings.model = PathBuf::from(folder),
        }
        let classifier = open(&settings).map_err(|error| failure(&error))?;
        Ok(Some(Scorer { classifier, when: config.classifier.when }))
    }
}

/// What went wrong, with a hint where the remedy is known.
pub(super) fn failure(error: &OpenError) -> Failure {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(below) = cause {
        text = format!("{text}: {below}");
        cause = below.source();
    }
    Failure::usage(anyhow::anyhow!("the classifier cannot be used: {text}"))
}

/// Opens a model; a relative folder that is not here is looked for where packages put models.
pub(super) fn open(settings: &Settings) -> Result<Classifier, OpenError> {
    let packaged = Path::new(SHARED).join(&settings.model);
    if settings.model.is_relative() && !settings.model.is_dir() && packaged.is_dir() {
        return Classifier::open(&Settings { model: packaged, ..settings.clone() });
    }
    Classifier::open(settings)
}

/// The classifier of `weir run`; none where it may be missing and is, which the log says.
#[cfg(feature = "kafka")]
pub(super) fn asking(config: &Config) -> Result<Option<Asking>, Failure> {
    let wanted = &config.classifier;
    let opened = match wanted.enabled {
        ClassifierUse::Off => {
            tracing::info!("classifier: off, as configured");
            return Ok(None);
        }
        ClassifierUse::On => open(&wanted.settings()).map_err(|error| failure(&error))?,
        ClassifierUse::Auto => match open(&wanted.settings()) {
            Ok(classifier) => classifier,
            Err(error) => {
                tracing::warn!(reason = %failure(&error), "classifier: off");
                return Ok(None);
            }
        },
    };
    let about = opened.about();
    tracing::info!(
        model = %about.path.display(),
        sha256 = about.sha256,
        pinned = about.pinned,
        library = %about.library.display(),
        classes = about.positive.join(","),
        threads = about.threads,
        calibrated = about.calibrated,
        acts_from = about.thresholds.medium.probability(),
        "classifier: on"
    );
    let deadline = Duration::from_millis(wanted.deadline_ms);
    Ok(Some(Asking::new(opened, wanted.when, deadline, wanted.second_look.is_on())))
}

/// A classifier, and which events it is asked about.
pub(super) struct Scorer {
    pub(super) classifier: Classifier,
    pub(super) when: When,
}

impl Scorer {
    /// Scores all of an event and joins that to its scan.
    pub(super) fn join(&self, event: &Event<'_>, scan: &mut Scan, policy: &Policy) {
        let scores = self.scores(event, scan);
        join(scan, &scores, self.classifier.thresholds(), policy);
    }

    fn scores(&self, event: &Event<'_>, scan: &Scan) -> Scores {
        match documents(event, scan, self.when) {
            None => unasked(Scoring::Skipped, self.classifier.id()),
            Some(documents) => {
                let ticket = self.classifier.submit(&documents, Urgency::Patient);
                ticket.wait(None);
                ticket.scores(&documents, event)
            }
        }
    }
}
