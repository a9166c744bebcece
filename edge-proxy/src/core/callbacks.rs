//! Callbacks: a server is given addresses of ours instead of the application's, and what it says
//! there is checked and turned into what the application is to hear (wire-contract 6).

mod identity;
mod receive;

use std::{borrow::Cow, collections::HashSet};

use url::Url;
use usher_bbb::{
    parse::reworded_metadata,
    query::{QueryEdit, RawQuery, compared_name, decode, rewrite},
};
use usher_model::{
    callback::{CallbackKey, CallbackKind, CallbackState, OwnAddress, PATH},
    id::{ServerId, TenantId},
    meeting::MeetingKey,
};

pub use identity::delivery_id;
pub use receive::{CallbackForm, CallbackRejection, CallbackRequest, ReceivedCallback, bearer, receive};

/// Asks a server to tell that a meeting is over, whether the application wants to know or not.
const ENDED: &str = "meetingEndedURL";
/// What metadata begins with in parameters, and not in answers.
const META: &str = "meta_";

/// The addresses that servers are given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallbackAddresses {
    /// What every one begins with.
    base: String,
    /// Where nothing may be delivered to; none where the URL is no address, which the configuration excludes.
    own: Option<OwnAddress>,
}

/// What goes into the addresses of one create beside what the application asks for.
#[derive(Debug, Clone, Copy)]
pub struct AddressBinding<'g> {
    /// The meeting, as the application knows it.
    pub meeting: &'g MeetingKey,
    /// The server that gets them.
    pub server: &'g ServerId,
    /// Milliseconds since 1970 after which they are no good.
    pub expires_ms: i64,
}

/// The parameters of a create as a server gets them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RewrittenParameters {
    /// The parameters.
    pub parameters: String,
    /// Addresses that were taken out because they lead to the edges themselves.
    pub dropped: usize,
}

/// Returns the sealed state in the path of a request, if it is to an address of ours.
pub fn sealed(path: &str) -> Option<&str> {
    // A proxy in front may have put something before it, or left it out.
    path.rsplit_once(PATH).map(|(_, sealed)| sealed).filter(|sealed| !sealed.contains('/'))
}

impl CallbackAddresses {
    /// Returns addresses below the URL by which servers reach the edges.
    pub fn new(public_url: &str) -> Self {
        let base = format!("{}{PATH}", public_url.trim_end_matches('/'));
        Self { base, own: OwnAddress::parse(public_url) }
    }

    /// Returns the parameters of a create with every address for a callback replaced by one of ours,
    /// and one added by which the fleet itself hears that the meeting is over. `nonce` is random.
    ///
    /// Addresses that lead to the edges, or to a host that `is_tenants` says a tenant has, are taken out: what
    /// is delivered there comes in again as a callback. Refused they are not. BBB takes any text for one of
    /// these, and a room must not stay closed for an address that nobody calls before it ends.
    pub fn rewrite(
        &self,
        key: &CallbackKey,
        parameters: &str,
        given: AddressBinding<'_>,
        is_tenants: impl Fn(&str) -> bool,
        mut nonce: impl FnMut() -> [u8; 12],
    ) -> RewrittenParameters {
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
        let (mut seen, mut ended, mut dropped) = (HashSet::new(), None, 0);
        let mut addresses: Vec<(Cow<'_, str>, Option<String>)> = Vec::new();
        // Of several for one name servers take the first.
        for pair in RawQuery::new(parameters).pairs() {
            let name = decode(pair.name);
            let Some(kind) = CallbackKind::of_parameter(&name) else { continue };
            let parameter = compared_name(name.clone()).into_owned();
            if !seen.insert(parameter.clone()) {
                continue;
            }
            let url = decode(pair.value).into_owned();
            let leads_here = self.own.as_ref().is_some_and(|own| own.is_led_to_by(&url, &is_tenants));
            dropped += usize::from(leads_here);
            match (kind, is_web_address(&url)) {
                (CallbackKind::Ended, is_good) => ended = Some(url).filter(|_| is_good && !leads_here),
                // What is no address is none for the server either.
                (_, false) => {}
                (_, true) if leads_here => addresses.push((name, None)),
                (_, true) => {
                    let address = seal(kind, &parameter, Some(url));
                    addresses.push((name, Some(address)));
                }
            }
        }
        addresses.push((ENDED.into(), Some(seal(CallbackKind::Ended, ENDED, ended))));
        let edits = addresses.iter().map(|(name, address)| match address {
            Some(address) => QueryEdit::Set(name, address),
            None => QueryEdit::Remove(name),
        });
        let edits: Vec<QueryEdit<'_>> = edits.collect();
        RewrittenParameters { parameters: rewrite(parameters, &edits), dropped }
    }
}

/// Returns a server's answer to `tenant` with its application's own addresses where ours stand, as far as
/// `open` opens them. An address is opened only for the tenant and the parameter it was sealed for: anybody
/// may have come by it, and put it into any text.
pub fn restore<'x>(
    tenant: &TenantId,
    open: impl Fn(&str) -> Option<CallbackState>,
    xml: &'x str,
) -> Cow<'x, str> {
    if !xml.contains(PATH) {
        return Cow::Borrowed(xml);
    }
    reworded_metadata(xml, |name, value| {
        let (_, sealed) = value.rsplit_once(PATH)?;
        let state = open(sealed)?;
        state.is_for(tenant, &format!("{META}{name}")).then(|| state.url.unwrap_or_default())
    })
}

fn is_web_address(url: &str) -> bool {
    Url::parse(url).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
}

#[cfg(test)]
mod tests;
