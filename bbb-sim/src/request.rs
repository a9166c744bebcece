//! One API request as a server reads it: the parameters of query and form together, and the
//! checksum.

mod multipart;

use std::borrow::Cow;

use bytes::Bytes;
use http::Method;
use usher_bbb::{
    call::{ApiCall, BodyKind, CallSigning, ChecksumProblem},
    checksum::{ChecksumAlgorithm, verify},
    query::{ChecksumFault, RawQuery, decode, rebuilt_form},
    secret::Secret,
};

use crate::options::{BbbVersion, SimOptions};

/// A request to the API, read completely.
#[derive(Debug, Clone)]
pub(crate) struct ApiRequest {
    pub(crate) call: ApiCall,
    pub(crate) method: Method,
    /// The query as it arrived, checksum included.
    pub(crate) query: String,
    pub(crate) content_type: Option<String>,
    pub(crate) body: Bytes,
}

/// The reason why a request is refused before its parameters are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RequestRejection {
    ContentType,
    Checksum(ChecksumProblem),
}

impl ApiRequest {
    /// Checks content type and checksum; returns the parameters in order, those of the query first.
    pub(crate) fn check(&self, options: &SimOptions) -> Result<ApiParams, RequestRejection> {
        let kind = self.body_kind(options.version)?;
        let body = String::from_utf8_lossy(&self.body);
        let params = self.params();
        if self.call.is_signed() {
            self.check_checksum(options, &params, kind, &body).map_err(RequestRejection::Checksum)?;
        }
        Ok(params)
    }

    /// Returns the parameters in order, those of the query first, without any check.
    pub(crate) fn params(&self) -> ApiParams {
        let content_type = self.content_type.as_deref().unwrap_or_default();
        let form = match BodyKind::parse(content_type).filter(|_| self.method == Method::POST) {
            Some(BodyKind::Form) => pairs(&String::from_utf8_lossy(&self.body)),
            Some(BodyKind::Multipart) => multipart::fields(content_type, &self.body),
            _ => Vec::new(),
        };
        let mut params = pairs(&self.query);
        params.extend(form);
        ApiParams(params)
    }

    /// Returns the text of an uploaded file.
    pub(crate) fn file(&self, name: &str) -> Option<String> {
        multipart::file(self.content_type.as_deref()?, &self.body, name)
    }

    /// Returns the body, if the version reads it as XML. Up to 2.5 each body that is no form is
    /// read so.
    pub(crate) fn xml(&self, version: BbbVersion) -> Option<Cow<'_, str>> {
        let kind = self.content_type.as_deref().and_then(BodyKind::parse);
        let is_xml = match kind {
            Some(BodyKind::Form | BodyKind::Multipart) => false,
            _ => kind == Some(BodyKind::Xml) || version <= BbbVersion::V2_5,
        };
        (is_xml && !self.body.is_empty()).then(|| String::from_utf8_lossy(&self.body))
    }

    /// Returns the kind of the body. BBB ignores the `Content-Type` of a GET and of a request
    /// without a body, because many clients always send the header. Up to 2.5 it refuses no kind.
    fn body_kind(&self, version: BbbVersion) -> Result<Option<BodyKind>, RequestRejection> {
        if self.method != Method::POST || self.body.is_empty() {
            return Ok(None);
        }
        let kind = self.content_type.as_deref().and_then(BodyKind::parse);
        if version <= BbbVersion::V2_5 {
            return Ok(kind);
        }
        let kind = kind.ok_or(RequestRejection::ContentType)?;
        if self.call.accepts_body(kind) { Ok(Some(kind)) } else { Err(RequestRejection::ContentType) }
    }

    fn check_checksum(
        &self,
        options: &SimOptions,
        params: &ApiParams,
        kind: Option<BodyKind>,
        body: &str,
    ) -> Result<(), ChecksumProblem> {
        let version = options.version;
        let given: Vec<_> = params.all("checksum").collect();
        let given = match given.as_slice() {
            [] | [""] => return Err(ChecksumProblem::Missing),
            [one] => one.trim(),
            // Before 3.0 equal repetitions are removed together.
            [first, rest @ ..] if version < BbbVersion::V3_0 && rest.iter().all(|other| other == first) => {
                first
            }
            _ => return Err(ChecksumProblem::Mismatch),
        };
        let algorithm = ChecksumAlgorithm::from_hex_len(given.len()).ok_or(ChecksumProblem::Mismatch)?;
        let exact = version > BbbVersion::V2_5 || !given.bytes().any(|byte| byte.is_ascii_uppercase());
        let known = options.algorithms.contains(&algorithm) && version.algorithms().contains(&algorithm);
        // A genuine 2.5 refuses the rebuilt string of a form with characters beyond ASCII.
        let rebuilt = version <= BbbVersion::V2_5
            && self.query.is_empty()
            && self.call.signing() == CallSigning::Meeting
            && kind == Some(BodyKind::Form)
            && (version == BbbVersion::V2_4 || pairs(body).iter().all(|(_, value)| value.is_ascii()));
        let signed = match RawQuery::new(&self.query).take_checksum() {
            Ok(signed) => signed.query,
            Err(ChecksumFault::Repeated) => Cow::Owned(
                self.query
                    .replace(&format!("&checksum={given}"), "")
                    .replace(&format!("checksum={given}&"), "")
                    .replace(&format!("checksum={given}"), ""),
            ),
            Err(ChecksumFault::Missing) if rebuilt => Cow::Owned(rebuilt_form(body)),
            Err(ChecksumFault::Missing) => Cow::Borrowed(self.query.as_str()),
        };
        let secrets: [&Secret; 1] = [&options.secret];
        if known && exact && verify(self.call.name(), &signed, given, secrets) {
            Ok(())
        } else {
            Err(ChecksumProblem::Mismatch)
        }
    }
}

fn pairs(text: &str) -> Vec<(String, String)> {
    RawQuery::new(text)
        .pairs()
        .map(|pair| (decode(pair.name).into_owned(), decode(pair.value).into_owned()))
        .collect()
}

/// The decoded parameters of a request.
#[derive(Debug, Clone)]
pub(crate) struct ApiParams(Vec<(String, String)>);

impl ApiParams {
    /// Returns the first value; BBB ignores repetitions.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Returns the first value, if it is not empty.
    pub(crate) fn given(&self, name: &str) -> Option<&str> {
        self.get(name).filter(|value| !value.is_empty())
    }

    /// Returns whether the first value is `true` in any case; all other values mean false.
    pub(crate) fn is_true(&self, name: &str) -> bool {
        self.get(name).is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    /// Returns the first value as a number, or zero if it is not one.
    pub(crate) fn number<N: std::str::FromStr + Default>(&self, name: &str) -> N {
        self.get(name).and_then(|value| value.parse().ok()).unwrap_or_default()
    }

    /// Returns the name without `prefix`, and the value, of each parameter whose name begins with
    /// `prefix`.
    pub(crate) fn with_prefix<'p>(&'p self, prefix: &'p str) -> impl Iterator<Item = (&'p str, &'p str)> {
        self.0.iter().filter_map(move |(key, value)| Some((key.strip_prefix(prefix)?, value.as_str())))
    }

    fn all<'p>(&'p self, name: &'p str) -> impl Iterator<Item = &'p str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}
