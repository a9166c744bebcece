//! The error of an address at which another program answers.

/// The program that answered is no control plane, or this is not its control port.
#[derive(Debug, thiserror::Error)]
#[error(
    "{url} is no control port: it answered HTTP {status} with `{content}` instead of gRPC; the control port is \
     the setting `control` of a control plane, 9090 by default, and not the port of the BBB API"
)]
pub struct NotControlPort {
    /// The address that was called.
    pub url: String,
    /// The HTTP status of the answer.
    pub status: u16,
    /// The content type of the answer.
    pub content: String,
}

impl NotControlPort {
    /// Finds the error in the causes of another one.
    pub fn in_causes_of<'e>(error: &'e (dyn std::error::Error + 'static)) -> Option<&'e Self> {
        let causes = std::iter::successors(Some(error), |error| error.source());
        causes.into_iter().find_map(|error| error.downcast_ref())
    }
}
