//! Callbacks (wire-contract 6, ADR 10). A server receives addresses of the edges in place of those
//! of the application. A callback that arrives there is verified and rewritten for the application.

mod identity;
mod receive;

use std::borrow::Cow;

use url::Url;
use usher_bbb::{
    parse::{MetadataChange, changed_metadata},
    query::{EditedParameters, ParameterEdit, compared_name},
};
use usher_model::{
    callback::{CallbackKey, CallbackKind, CallbackState, OwnAddress, PATH, ShownAddress},
    id::{ServerId, TenantId},
    meeting::MeetingKey,
};

pub use identity::delivery_id;
pub use receive::{CallbackForm, CallbackRejection, CallbackRequest, ReceivedCallback, bearer, receive};

/// The parameter that makes a server report the end of a meeting. Every create gets it, even if the
/// application does not want the report, because the fleet does.
const ENDED: &str = "meetingEndedURL";

/// The addresses that servers receive in place of those of applications.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallbackAddresses {
    /// The URL that every address begins with.
    base: String,
    /// The edges' own address, to which no callback may be delivered; `None` if the public URL is
    /// not an address, which the configuration excludes.
    own: Option<OwnAddress>,
}

/// The facts that the addresses of one create are bound to (ADR 16).
#[derive(Debug, Clone, Copy)]
pub struct AddressBinding<'g> {
    /// The meeting, as the application knows it.
    pub meeting: &'g MeetingKey,
    /// The server that receives the addresses.
    pub server: &'g ServerId,
    /// The time after which the addresses are refused, in milliseconds since 1970.
    pub expires_ms: i64,
}

/// Returns the sealed state in the path of a request, or `None` if the path is not that of a
/// callback.
pub fn sealed(path: &str) -> Option<&str> {
    // A proxy in front of the edges may have added a prefix or removed one.
    path.rsplit_once(PATH).map(|(_, sealed)| sealed).filter(|sealed| !sealed.contains('/'))
}

impl CallbackAddresses {
    /// Makes addresses below the URL by which servers reach the edges.
    pub fn new(public_url: &str) -> Self {
        let base = format!("{}{PATH}", public_url.trim_end_matches('/'));
        Self { base, own: OwnAddress::parse(public_url) }
    }

    /// Replaces every callback address among the parameters of a create by an address of the edges. One
    /// more address is added, by which the fleet itself learns that the meeting has ended. `nonce`
    /// returns random bytes. Returns the number of addresses that were removed because they lead to the
    /// edges themselves.
    ///
    /// An address that leads to the edges, or to a host that belongs to a tenant according to
    /// `is_tenants`, is removed: a delivery to it would come in again as a callback. The create is
    /// not refused, because BBB accepts any text as such an address, and a meeting must not fail to
    /// start because of an address that is called only at its end.
    pub fn rewrite(
        &self,
        key: &CallbackKey,
        parameters: &mut EditedParameters<'_>,
        given: AddressBinding<'_>,
        is_tenants: impl Fn(&str) -> bool,
        mut nonce: impl FnMut() -> [u8; 12],
    ) -> usize {
        let mut seal = |kind, parameter: &str, url: Option<String>| {
            let state = CallbackState {
                meeting: given.meeting.clone(),
                server: given.server.clone(),
                kind,
                parameter: Some(parameter.to_owned()),
                url,
                expires_ms: given.expires_ms,
            };
            format!("{}{}", self.base, key.seal(&state, nonce()))
        };
        let (mut ended, mut dropped, mut edits) = (None, 0, Vec::new());
        for parameter in parameters.iter() {
            let Some(kind) = CallbackKind::of_parameter(parameter.name) else { continue };
            // Servers use the first of several values of one name.
            if !parameters.is_first(&parameter) {
                continue;
            }
            let url = &*parameter.value;
            let leads_here = self.own.as_ref().is_some_and(|own| own.is_led_to_by(url, &is_tenants));
            dropped += usize::from(leads_here);
            let name = || parameter.name.to_owned().into();
            match (kind, is_web_address(url)) {
                (CallbackKind::Ended, is_good) => {
                    ended = Some(url.to_owned()).filter(|_| is_good && !leads_here);
                }
                // A server ignores a value that is not an address, too.
                (_, false) => {}
                (_, true) if leads_here => edits.push(ParameterEdit::Remove(name())),
                (_, true) => {
                    let address = seal(kind, &compared_name(parameter.name.into()), Some(url.to_owned()));
                    edits.push(ParameterEdit::Set(name(), address.into()));
                }
            }
        }
        let address = seal(CallbackKind::Ended, ENDED, ended);
        edits.push(ParameterEdit::Set(ENDED.into(), address.into()));
        parameters.apply(edits);
        dropped
    }

    /// Returns a server's answer in which the addresses of the edges are replaced by those of the
    /// application, as far as `open` opens them. In the place of a callback address, an address that
    /// does not open is removed: the key that sealed it is lost with its store, and the application
    /// must not take the address for its own.
    pub fn restore<'x>(
        &self,
        tenant: &TenantId,
        open: impl Fn(&str) -> Option<CallbackState>,
        xml: &'x str,
    ) -> Cow<'x, str> {
        if !xml.contains(PATH) {
            return Cow::Borrowed(xml);
        }
        let shown =
            |name: &str, value: &str| ShownAddress::read(tenant, self.own.as_ref(), &open, name, value);
        changed_metadata(xml, |name, value| match shown(name, value) {
            ShownAddress::Text => MetadataChange::Keep,
            ShownAddress::Application(url) => MetadataChange::Reword(url),
            ShownAddress::Lost => MetadataChange::Remove,
        })
    }
}

fn is_web_address(url: &str) -> bool {
    Url::parse(url).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
}

#[cfg(test)]
mod tests;
