//! How a command ends when it does not succeed.

use std::process::ExitCode;

/// The exit code for wrong arguments.
pub const USAGE: u8 = 2;

/// Why a command ends early.
#[derive(Debug, PartialEq, Eq)]
pub enum Failure {
    /// It failed: what, where, what to do. Exit code 1.
    Failed(String),
    /// It failed and has said so already. Exit code 1.
    Told,
    /// The arguments make no sense together. Exit code 2.
    Usage(String),
    /// Whoever read the output has enough: not a failure. Exit code 0.
    OutputClosed,
}

impl Failure {
    /// Says what went wrong and gives the exit code.
    pub fn report(self) -> ExitCode {
        match self {
            Self::Failed(message) => {
                complain(&message);
                ExitCode::FAILURE
            }
            Self::Told => ExitCode::FAILURE,
            Self::Usage(message) => {
                complain(&message);
                ExitCode::from(USAGE)
            }
            Self::OutputClosed => ExitCode::SUCCESS,
        }
    }

    /// A failure with an error's own words.
    pub fn of(error: impl std::fmt::Display) -> Self {
        Self::Failed(error.to_string())
    }
}

/// Writes an error to standard error.
pub fn complain(message: &str) {
    eprintln!("weir: error: {message}");
}
