//! The visibility of stored secrets in answers (I14).

/// Whether an answer contains the secrets of a server or tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SecretVisibility {
    /// The answer leaves the secrets out.
    Masked,
    /// The operator requested the secrets by the resource's view.
    Revealed,
}
