//! Callbacks: a server is given addresses of ours instead of the application's, and what it says
//! there is checked and turned into what the application is to hear (BBB API, section 6).

mod receive;

use std::borrow::Cow;

use url::Url;
use usher_common::{
    bbb::{
        query::{Edit, RawQuery, decode, rewrite},
        reply::xml::push_escaped,
    },
    callback::{CallbackKey, CallbackKind, CallbackState, PATH},
    id::ServerId,
    meeting::MeetingKey,
};

pub use receive::{Form, Incoming, Received, Rejected, bearer, receive};

/// Asks a server to tell that a meeting is over, whether the application wants to know or not.
const ENDED: &str = "meetingEndedURL";

/// The addresses that servers are given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addresses {
    /// What every one begins with.
    base: String,
}

/// What goes into the addresses of one create beside what the application asks for.
#[derive(Debug, Clone, Copy)]
pub struct Given<'g> {
    /// The meeting, as the application knows it.
    pub meeting: &'g MeetingKey,
    /// The server that gets them.
    pub server: &'g ServerId,
    /// Milliseconds since 1970 after which they are no good.
    pub expires_ms: i64,
}

/// Returns the sealed state in the path of a request, if it is to an address of ours.
pub fn sealed(path: &str) -> Option<&str> {
    // A proxy in front may have put something before it, or left it out.
    path.rsplit_once(PATH).map(|(_, sealed)| sealed).filter(|sealed| !sealed.contains('/'))
}

impl Addresses {
    /// Returns addresses below the URL by which servers reach the edges.
    pub fn new(public_url: &str) -> Self {
        Self { base: format!("{}{PATH}", public_url.trim_end_matches('/')) }
    }

    /// Returns the parameters of a create with every address for a callback replaced by one of ours,
    /// and one added by which the fleet itself hears that the meeting is over. `nonce` is random.
    pub fn rewrite(
        &self,
        key: &CallbackKey,
        parameters: &str,
        given: Given<'_>,
        mut nonce: impl FnMut() -> [u8; 12],
    ) -> String {
        let query = RawQuery::new(parameters);
        let wanted = query.pairs().filter_map(|pair| {
            let name = decode(pair.name);
            let kind = CallbackKind::of_parameter(&name)?;
            Some((name, kind))
        });
        let own = (Cow::Borrowed(ENDED), CallbackKind::Ended);
        let mut addresses: Vec<(Cow<'_, str>, String)> = Vec::new();
        for (name, kind) in wanted.chain([own]) {
            if addresses.iter().any(|(done, _)| *done == name) {
                continue;
            }
            let url = query.first(&name).map(Cow::into_owned).filter(|url| is_web_address(url));
            // What is no address is none for the server either; ours are left to whoever made them.
            let is_ours = url.as_ref().is_some_and(|url| url.starts_with(&self.base));
            if kind != CallbackKind::Ended && (url.is_none() || is_ours) {
                continue;
            }
            let state = CallbackState {
                meeting: given.meeting.clone(),
                server: given.server.clone(),
                kind,
                url: url.filter(|_| !is_ours),
                expires_ms: given.expires_ms,
            };
            let address = format!("{}{}", self.base, key.seal(&state, nonce()));
            addresses.push((name, address));
        }
        let edits: Vec<Edit<'_>> = addresses.iter().map(|(name, address)| Edit::Set(name, address)).collect();
        rewrite(parameters, &edits)
    }

    /// Returns a server's answer with the applications' own addresses where ours stand that `open` opens.
    pub fn restore<'x>(&self, open: impl Fn(&str) -> Option<CallbackState>, xml: &'x str) -> Cow<'x, str> {
        let mut parts = xml.split(&self.base);
        let mut out = match (parts.next(), xml.contains(&self.base)) {
            (Some(first), true) => String::from(first),
            _ => return Cow::Borrowed(xml),
        };
        for part in parts {
            let end = part.bytes().position(|b| !is_sealed_byte(b)).unwrap_or(part.len());
            match open(&part[..end]).map(|state| state.url) {
                Some(url) => push_escaped(&mut out, &url.unwrap_or_default()),
                None => {
                    out.push_str(&self.base);
                    out.push_str(&part[..end]);
                }
            }
            out.push_str(&part[end..]);
        }
        Cow::Owned(out)
    }
}

fn is_sealed_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

fn is_web_address(url: &str) -> bool {
    Url::parse(url).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
}

#[cfg(test)]
mod tests;
