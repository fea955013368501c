//! What stands for a classifier in a build without one: a type without values.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Instant;

use super::{About, Counters, Document, OpenError, Settings, Urgency};
use crate::event::Event;
use crate::inspect::{Scores, Thresholds};

/// There is none in this build.
#[derive(Debug)]
pub struct Classifier(Infallible);

/// There is none in this build.
#[derive(Debug)]
pub struct Ticket(Infallible);

impl Classifier {
    /// Says that this build has no classifier.
    ///
    /// # Errors
    /// Always.
    pub fn open(_settings: &Settings) -> Result<Self, OpenError> {
        Err(OpenError::NotBuilt)
    }

    /// What is known of the model.
    #[must_use]
    pub fn about(&self) -> &About {
        match self.0 {}
    }

    /// What scores mean.
    #[must_use]
    pub fn thresholds(&self) -> &Thresholds {
        match self.0 {}
    }

    /// First eight bytes of the model's hash.
    #[must_use]
    pub fn id(&self) -> u64 {
        match self.0 {}
    }

    /// What it has done so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        match self.0 {}
    }

    /// Hands texts over.
    #[must_use]
    pub fn submit(&self, _documents: &[Document], _urgency: Urgency) -> Arc<Ticket> {
        match self.0 {}
    }
}

impl Ticket {
    /// Whether every window has a score or never will have one.
    #[must_use]
    pub fn is_done(&self) -> bool {
        match self.0 {}
    }

    /// Waits until it is done, at most until `until`.
    pub fn wait(&self, _until: Option<Instant>) {
        match self.0 {}
    }

    /// The same without the places.
    #[must_use]
    pub fn seen(&self) -> crate::finding::Classified {
        match self.0 {}
    }

    /// What is known by now.
    #[must_use]
    pub fn scores(&self, _documents: &[Document], _event: &Event<'_>) -> Scores {
        match self.0 {}
    }
}
