//! Faults in the notation of `POST /sim/faults`.

use std::time::Duration;

use usher_bbb::{call::ApiCall, query::RawQuery};

use super::{FaultKind, SimFault};

/// The default delay of a slow fault, and pause of a trickle.
const DELAY: Duration = Duration::from_millis(500);

/// The reason why a fault cannot be set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FaultSyntaxError {
    /// The kind does not exist.
    #[error("unknown fault `{0}`")]
    Kind(String),
    /// The call does not exist.
    #[error("unknown call `{0}`")]
    Call(String),
    /// The text is neither `500ms` nor `2s` nor `1m`.
    #[error("`{0}` is no duration such as 500ms, 2s or 1m")]
    Duration(String),
    /// The count is not a number.
    #[error("`{0}` is no count")]
    Count(String),
    /// A fault of connections was limited to a call.
    #[error("`{0}` concerns connections and knows no call")]
    OfConnections(&'static str),
    /// Refused connections cannot be counted.
    #[error("`refuse` cannot be counted")]
    Counted,
    /// The fault would also refuse the request that clears it.
    #[error("`{0}` also refuses the request that would clear it: give `for` a duration")]
    NeedsFor(&'static str),
}

impl SimFault {
    /// Parses a query such as `kind=…[&delay=…][&call=…][&count=…][&for=…]`.
    pub fn from_query(query: &str) -> Result<Self, FaultSyntaxError> {
        let query = RawQuery::new(query);
        let delay = query.first("delay").map(|text| duration(&text)).transpose()?.unwrap_or(DELAY);
        let fault = Self {
            kind: kind(&query.first("kind").unwrap_or_default(), delay)?,
            call: query
                .first("call")
                .map(|name| ApiCall::parse(&name).ok_or_else(|| FaultSyntaxError::Call(name.into_owned())))
                .transpose()?,
            count: query
                .first("count")
                .map(|text| text.parse().map_err(|_| FaultSyntaxError::Count(text.into_owned())))
                .transpose()?,
            lasts: query.first("for").map(|text| duration(&text)).transpose()?,
        };
        match fault.kind {
            kind if kind.is_of_connections() && fault.call.is_some() => {
                Err(FaultSyntaxError::OfConnections(kind.name()))
            }
            FaultKind::Refuse if fault.count.is_some() => Err(FaultSyntaxError::Counted),
            kind if kind.is_of_connections() && fault.lasts.is_none() && fault.count.is_none() => {
                Err(FaultSyntaxError::NeedsFor(kind.name()))
            }
            _ => Ok(fault),
        }
    }
}

fn kind(name: &str, delay: Duration) -> Result<FaultKind, FaultSyntaxError> {
    let kinds = [
        FaultKind::Refuse,
        FaultKind::HangOnAccept,
        FaultKind::Hang,
        FaultKind::Slow(delay),
        FaultKind::LostAnswer,
        FaultKind::Status500,
        FaultKind::Html,
        FaultKind::CutXml,
        FaultKind::EmptyBody,
        FaultKind::ChecksumError,
        FaultKind::FrozenList,
        FaultKind::EmptyList,
        FaultKind::Trickle(delay),
        FaultKind::NoHooks,
    ];
    kinds.into_iter().find(|kind| kind.name() == name).ok_or_else(|| FaultSyntaxError::Kind(name.to_owned()))
}

fn duration(text: &str) -> Result<Duration, FaultSyntaxError> {
    let bad = || FaultSyntaxError::Duration(text.to_owned());
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| bad())?;
    match unit {
        "ms" => Ok(Duration::from_millis(number)),
        "s" => Ok(Duration::from_secs(number)),
        "m" => Ok(Duration::from_secs(number.saturating_mul(60))),
        _ => Err(bad()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_read_from_a_query() {
        let fault = SimFault::from_query("kind=slow&delay=250ms&call=create&count=2&for=1m").unwrap();
        let slow = FaultKind::Slow(Duration::from_millis(250));
        assert_eq!(fault, SimFault::new(slow).on(ApiCall::Create).times(2).lasting(Duration::from_mins(1)));
        assert_eq!(SimFault::from_query("kind=html"), Ok(FaultKind::Html.into()));
    }

    #[test]
    fn invalid_faults_are_refused() {
        for (query, why) in [
            ("kind=melt", "melt"),
            ("kind=slow&delay=5", "duration"),
            ("kind=hang&call=Create", "Create"),
            ("kind=hang&count=x", "count"),
            ("kind=refuse", "for"),
            ("kind=refuse&for=1s&call=join", "connections"),
            ("kind=refuse&for=1s&count=1", "counted"),
        ] {
            let error = SimFault::from_query(query).unwrap_err().to_string();
            assert!(error.contains(why), "{query}: {error}");
        }
    }
}
