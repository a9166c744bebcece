//! The addresses that applications are shown in the metadata of their meetings.

use super::{CallbackKind, CallbackState, OwnAddress, PATH};
use crate::id::TenantId;

/// A value of metadata, as far as it is an address of the edges.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ShownAddress {
    /// The value is text of the application and stays.
    Text,
    /// The value is an address of the edges. The application is shown its own one, which may be empty.
    Application(String),
    /// The value is an address of the edges in the place of a callback address, and it does not open: the key
    /// that sealed it was lost, or it is not for this tenant and parameter. The application is shown no address.
    Lost,
}

impl ShownAddress {
    /// Reads the metadata `name` with `value` for `tenant`. `own` is the address of the edges, and `open` opens
    /// a sealed state by every known key.
    ///
    /// An address is opened only for the tenant and the parameter that it was sealed for, because any client
    /// that obtains an address can put it into any text.
    pub fn read(
        tenant: &TenantId,
        own: Option<&OwnAddress>,
        open: impl FnOnce(&str) -> Option<CallbackState>,
        name: &str,
        value: &str,
    ) -> Self {
        let Some((_, sealed)) = value.rsplit_once(PATH) else { return Self::Text };
        let parameter = format!("meta_{name}");
        if let Some(state) = open(sealed).filter(|state| state.is_for(tenant, &parameter)) {
            return Self::Application(state.url.unwrap_or_default());
        }
        let is_callback = CallbackKind::of_parameter(&parameter).is_some();
        if is_callback && own.is_some_and(|own| own.is_led_to_by(value, |_| false)) {
            return Self::Lost;
        }
        Self::Text
    }
}
