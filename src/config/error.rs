//! What is wrong with a configuration: where, which key, why, and what would be right.

use std::fmt;

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Compiled in.
    Default,
    /// A line of the configuration file.
    File {
        /// As given.
        path: String,
        /// Counted from 1; 0 where it is not known.
        line: u64,
    },
    /// An environment variable.
    Env(String),
    /// `--set`.
    Set,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line: 0 } => f.write_str(path),
            Self::File { path, line } => write!(f, "{path}:{line}"),
            Self::Env(name) => f.write_str(name),
            Self::Set => f.write_str("--set"),
        }
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// Where.
    pub origin: Origin,
    /// The setting, as `kafka.group_id`; empty where the whole file is meant.
    pub key: String,
    /// What is wrong, without the value of anything secret.
    pub problem: String,
    /// What would be right; empty where there is no list.
    pub allowed: String,
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.origin)?;
        if !self.key.is_empty() {
            write!(f, "`{}`: ", self.key)?;
        }
        f.write_str(&self.problem)?;
        if !self.allowed.is_empty() {
            write!(f, "; allowed: {}", self.allowed)?;
        }
        Ok(())
    }
}

/// All that is wrong, in the order in which it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError(pub Vec<Wrong>);

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, wrong) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            wrong.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}
