//! Log lines on standard error, for people or for machines.
//!
//! The filter is `log.filter` of the configuration, in the syntax of `RUST_LOG`, which
//! wins where it is set. Nothing logs a payload: fields are ids, counts, offsets and names.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

/// How a log line looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// For people.
    #[default]
    Human,
    /// One JSON object a line.
    Json,
}

/// A filter that cannot be read, or logging that runs already.
#[derive(Debug, thiserror::Error)]
#[error("cannot set up logging: {0}")]
pub struct LogSetupError(String);

/// Whether the text is a filter.
///
/// # Errors
/// Says what is wrong with it.
pub fn check_filter(filter: &str) -> Result<(), String> {
    EnvFilter::try_new(filter).map(drop).map_err(|error| error.to_string())
}

/// Begins to log; once in a process.
///
/// # Errors
/// [`LogSetupError`] where the filter cannot be read or something logs already.
pub fn start(format: Format, filter: &str) -> Result<(), LogSetupError> {
    let from_env = std::env::var("RUST_LOG").ok().filter(|text| !text.is_empty());
    let filter = EnvFilter::try_new(from_env.as_deref().unwrap_or(filter))
        .map_err(|error| LogSetupError(error.to_string()))?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let done = match format {
        Format::Json => builder.json().flatten_event(true).try_init(),
        Format::Human => {
            let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
            builder.with_ansi(colour).with_target(false).try_init()
        }
    };
    done.map_err(|error| LogSetupError(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_checked_before_they_are_used() {
        assert_eq!(check_filter("info,weir::pipeline=debug"), Ok(()));
        assert!(check_filter("weir=louder").is_err());
    }
}
