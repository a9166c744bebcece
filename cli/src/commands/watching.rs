//! Follows a watch of the control plane: it begins, goes on at another endpoint after a break, and
//! begins anew where it cannot go on.

use std::time::Duration;

use tonic::{Code, Response, Status, Streaming};

use crate::{exit::CommandFailure, printer::OutputPrinter};

/// The pause before a watch that broke goes on.
const PAUSE: Duration = Duration::from_secs(1);

/// The reason why a watch did not go on.
enum WatchBreak {
    /// It may go on at the last revision.
    Passing,
    /// It must begin anew.
    Outdated,
}

/// Reads messages until a signal ends the process. `begin` opens the watch, and `tell` takes a message;
/// with the argument true, `begin` must forget the revision at which it would go on.
///
/// # Errors
/// The control plane refuses the watch, or the output cannot be written.
pub(super) async fn follow<M>(
    printer: &mut OutputPrinter,
    mut begin: impl AsyncFnMut(bool) -> Result<Response<Streaming<M>>, Status>,
    mut tell: impl FnMut(&mut OutputPrinter, M) -> Result<(), CommandFailure>,
) -> Result<(), CommandFailure> {
    let (mut is_anew, mut was_open) = (true, false);
    loop {
        let status = match begin(is_anew).await {
            Err(status) => status,
            Ok(stream) => {
                (is_anew, was_open) = (false, true);
                read(printer, stream.into_inner(), &mut tell).await?
            }
        };
        match passing(&status) {
            // The first attempt fails as any other command does.
            Some(WatchBreak::Passing) if was_open => {
                printer.note(&format!("watch broken: {}", status.message()));
            }
            Some(WatchBreak::Outdated) => {
                printer.note(&format!("the watch begins anew: {}", status.message()));
                is_anew = true;
            }
            _ => return Err(status.into()),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Reads a stream to its end and returns the reason of the end.
async fn read<M>(
    printer: &mut OutputPrinter,
    mut stream: Streaming<M>,
    tell: &mut impl FnMut(&mut OutputPrinter, M) -> Result<(), CommandFailure>,
) -> Result<Status, CommandFailure> {
    loop {
        match stream.message().await {
            Ok(Some(message)) => tell(printer, message)?,
            Ok(None) => return Ok(Status::unavailable("the control plane ended it")),
            Err(status) => return Ok(status),
        }
    }
}

/// Returns how a watch goes on after its end; `None` if it does not.
fn passing(status: &Status) -> Option<WatchBreak> {
    match status.code() {
        Code::OutOfRange => Some(WatchBreak::Outdated),
        Code::InvalidArgument
        | Code::NotFound
        | Code::Unauthenticated
        | Code::PermissionDenied
        | Code::Unimplemented
        | Code::FailedPrecondition => None,
        _ => Some(WatchBreak::Passing),
    }
}
