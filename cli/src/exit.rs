//! The failures of commands: their exit codes and their texts on standard error.

use std::{io, process::ExitCode};

use tonic::{Code, Status};
use tonic_types::StatusExt;
use usher_runtime::signals::StoppedAtOnce;

use crate::not_control_port::NotControlPort;

/// The reason why a command failed. `usher --help` documents the codes of [`CommandFailure::code`].
#[derive(Debug, thiserror::Error)]
pub enum CommandFailure {
    /// The control plane, a check or the operator refused the command, or the command failed.
    #[error("{0}")]
    Refused(String),
    /// The arguments or a file of the operator are malformed.
    #[error("{0}")]
    Usage(String),
    /// The control plane is unreachable or cannot serve the command now.
    #[error("{0}")]
    Unavailable(String),
    /// The token or password is missing or not accepted.
    #[error("{0}")]
    Denied(String),
    /// A signal stopped the process before the command was done.
    #[error(transparent)]
    Stopped(#[from] StoppedAtOnce),
    /// The output could not be written.
    #[error("write the output: {0}")]
    Output(#[from] io::Error),
    /// A part of Usher that runs in this process failed.
    #[error("{0:#}")]
    Part(#[from] anyhow::Error),
}

impl CommandFailure {
    /// Returns the exit code of the process, 0 to 4.
    pub fn code(&self) -> u8 {
        match self {
            // A reader that closes the pipe early has all the output that it wants: `usher … | head -1`.
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => 0,
            Self::Refused(_) | Self::Stopped(_) | Self::Output(_) | Self::Part(_) => 1,
            Self::Usage(_) => 2,
            Self::Unavailable(_) => 3,
            Self::Denied(_) => 4,
        }
    }

    /// Writes the failure to standard error and returns the exit code.
    pub fn report(&self) -> ExitCode {
        let code = self.code();
        if code != 0 {
            eprintln!("error: {self}");
        }
        ExitCode::from(code)
    }
}

impl From<Status> for CommandFailure {
    fn from(status: Status) -> Self {
        if let Some(foreign) = NotControlPort::in_causes_of(&status) {
            return Self::Usage(foreign.to_string());
        }
        let message = describe(&status);
        match status.code() {
            Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled => Self::Unavailable(message),
            Code::Unauthenticated | Code::PermissionDenied => {
                Self::Denied(format!("{message} (--token or USHER_TOKEN)"))
            }
            _ => Self::Refused(message),
        }
    }
}

/// Returns the message of a status, with a line for each field that its details name.
fn describe(status: &Status) -> String {
    let said =
        if status.message().is_empty() { status.code().to_string() } else { status.message().to_owned() };
    let mut lines = vec![said.clone()];
    let mut add = |field: String, problem: String| {
        if !said.contains(&problem) {
            lines.push(format!("  {field}: {problem}"));
        }
    };
    if let Some(bad) = status.get_details_bad_request() {
        bad.field_violations.into_iter().for_each(|field| add(field.field, field.description));
    }
    if let Some(failed) = status.get_details_precondition_failure() {
        failed.violations.into_iter().for_each(|violation| add(violation.subject, violation.description));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use tonic_types::ErrorDetails;

    use super::*;

    #[test]
    fn every_status_has_its_exit_code() {
        for (code, exit) in [
            (Code::NotFound, 1),
            (Code::FailedPrecondition, 1),
            (Code::InvalidArgument, 1),
            (Code::Internal, 1),
            (Code::Unavailable, 3),
            (Code::DeadlineExceeded, 3),
            (Code::Unauthenticated, 4),
            (Code::PermissionDenied, 4),
        ] {
            assert_eq!(CommandFailure::from(Status::new(code, "x")).code(), exit, "{code:?}");
        }
        assert_eq!(CommandFailure::Usage(String::new()).code(), 2);
        assert_eq!(CommandFailure::from(io::Error::from(io::ErrorKind::BrokenPipe)).code(), 0);
    }

    #[test]
    fn refused_fields_are_named() {
        let details = ErrorDetails::with_bad_request_violation("server.url", "is not a URL");
        let status = Status::with_error_details(Code::InvalidArgument, "the request is malformed", details);
        assert_eq!(
            CommandFailure::from(status).to_string(),
            "the request is malformed\n  server.url: is not a URL"
        );
    }
}
