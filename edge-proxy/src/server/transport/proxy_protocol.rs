//! PROXY protocol, versions 1 and 2 (HAProxy, `proxy-protocol.txt`), accepted from trusted networks only.
//! The header is read and removed. The client's address in it counts for the limits of an address alone: no
//! answer depends on it.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

use bytes::Buf;
use tokio::io::AsyncRead;

use super::rewound_stream::RewoundStream;

/// Signature of version 1.
const V1: &[u8] = b"PROXY ";
/// Longest version 1 header, line end included.
const V1_MAX: usize = 107;
/// Signature of version 2.
const V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// Length of the fixed part of a version 2 header.
const V2_HEAD: usize = 16;
/// Longest accepted part of a version 2 header after its fixed part. Addresses and the usual extensions
/// take a few hundred bytes.
const V2_MAX: usize = 4096;

/// The reasons why there is no header to remove. A trusted proxy always sends a valid one.
#[derive(Debug, thiserror::Error)]
pub(super) enum ProxyHeaderError {
    #[error("read the header")]
    Io(#[from] io::Error),
    #[error("there is no header")]
    Missing,
    #[error("the header is malformed")]
    Malformed,
}

/// A whole header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct ProxyHeader {
    /// Length, bytes.
    length: usize,
    /// Address of the client; `None` if the connection is the proxy's own, or the proxy does not know it.
    client: Option<IpAddr>,
}

/// The verdict on the beginning of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProxyHeaderVerdict {
    /// There is a whole header.
    Whole {
        /// Length, bytes.
        length: usize,
        /// Address of the client, if the header has it.
        client: Option<IpAddr>,
    },
    /// More bytes are needed.
    Incomplete,
    /// No header begins like this.
    Invalid,
}

/// Reads the header and removes it from the stream. Returns the address of the client, if the header has it.
///
/// # Errors
/// Returns an error if the stream does not begin with a valid header.
pub(super) async fn read_header<S: AsyncRead + Unpin>(
    stream: &mut RewoundStream<S>,
) -> Result<Option<IpAddr>, ProxyHeaderError> {
    loop {
        if let Some(header) = header(stream.ahead())? {
            stream.ahead().advance(header.length);
            return Ok(header.client);
        }
        if !stream.read_ahead().await? {
            return Err(ProxyHeaderError::Missing);
        }
    }
}

/// Returns the verdict on the beginning of a connection.
pub fn proxy_header(bytes: &[u8]) -> ProxyHeaderVerdict {
    match header(bytes) {
        Ok(Some(header)) => ProxyHeaderVerdict::Whole { length: header.length, client: header.client },
        Ok(None) => ProxyHeaderVerdict::Incomplete,
        Err(_) => ProxyHeaderVerdict::Invalid,
    }
}

/// Returns the header that `bytes` begins with; `None` if more bytes are needed.
fn header(bytes: &[u8]) -> Result<Option<ProxyHeader>, ProxyHeaderError> {
    if begins(bytes, V2) {
        return v2_header(bytes);
    }
    if begins(bytes, V1) {
        return v1_header(bytes);
    }
    Err(ProxyHeaderError::Missing)
}

/// Returns whether `bytes` agree with `signature`, as far as both go.
fn begins(bytes: &[u8], signature: &[u8]) -> bool {
    let length = bytes.len().min(signature.len());
    bytes[..length] == signature[..length]
}

fn v1_header(bytes: &[u8]) -> Result<Option<ProxyHeader>, ProxyHeaderError> {
    let Some(end) = bytes.iter().take(V1_MAX).position(|byte| *byte == b'\n') else {
        return if bytes.len() < V1_MAX { Ok(None) } else { Err(ProxyHeaderError::Malformed) };
    };
    let line = std::str::from_utf8(&bytes[..end]).map_err(|_| ProxyHeaderError::Malformed)?;
    let line = line.strip_suffix('\r').ok_or(ProxyHeaderError::Malformed)?;
    let mut words = line.split(' ').skip(1);
    let known = match words.next() {
        Some("UNKNOWN") => return Ok(Some(ProxyHeader { length: end + 1, client: None })),
        Some("TCP4" | "TCP6") => words,
        _ => return Err(ProxyHeaderError::Malformed),
    };
    let words: Vec<&str> = known.collect();
    let [source, target, source_port, target_port] = words[..] else {
        return Err(ProxyHeaderError::Malformed);
    };
    let [source, target] = [source, target].map(str::parse::<IpAddr>);
    let ports = [source_port, target_port].into_iter().all(|port| port.parse::<u16>().is_ok());
    match (source, target) {
        (Ok(source), Ok(_)) if ports => Ok(Some(ProxyHeader { length: end + 1, client: Some(source) })),
        _ => Err(ProxyHeaderError::Malformed),
    }
}

fn v2_header(bytes: &[u8]) -> Result<Option<ProxyHeader>, ProxyHeaderError> {
    let Some(head) = bytes.get(..V2_HEAD) else { return Ok(None) };
    let (version, command, family) = (head[12] >> 4, head[12] & 15, head[13] >> 4);
    let length = usize::from(u16::from_be_bytes([head[14], head[15]]));
    if version != 2 || command > 1 || length > V2_MAX {
        return Err(ProxyHeaderError::Malformed);
    }
    let Some(addresses) = bytes.get(V2_HEAD..V2_HEAD + length) else { return Ok(None) };
    // The source comes first. Command 0 is a connection of the proxy itself, such as a health check.
    let client = match (command, family) {
        (1, 1) => addresses.first_chunk().map(|source: &[u8; 4]| Ipv4Addr::from(*source).into()),
        (1, 2) => addresses.first_chunk().map(|source: &[u8; 16]| Ipv6Addr::from(*source).into()),
        _ => None,
    };
    Ok(Some(ProxyHeader { length: V2_HEAD + length, client }))
}

/// A text that is not a network in CIDR notation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no network such as 10.0.0.0/8")]
pub struct IpNetworkError(String);

/// The addresses that share a prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct IpNetwork {
    base: IpAddr,
    bits: u8,
}

impl IpNetwork {
    /// Returns whether `address` belongs to the network.
    pub(super) fn contains(&self, address: IpAddr) -> bool {
        match (self.base, address) {
            (IpAddr::V4(base), IpAddr::V4(address)) => {
                let differ = base.to_bits() ^ address.to_bits();
                differ.leading_zeros() >= u32::from(self.bits)
            }
            (IpAddr::V6(base), IpAddr::V6(address)) => {
                let differ = base.to_bits() ^ address.to_bits();
                differ.leading_zeros() >= u32::from(self.bits)
            }
            _ => false,
        }
    }
}

impl FromStr for IpNetwork {
    type Err = IpNetworkError;

    fn from_str(text: &str) -> Result<Self, IpNetworkError> {
        let wrong = || IpNetworkError(text.to_owned());
        let (base, bits) = text.split_once('/').map_or((text, None), |(base, bits)| (base, Some(bits)));
        let base: IpAddr = base.trim().parse().map_err(|_| wrong())?;
        let most = if base.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Ok(most), |bits| bits.trim().parse()).map_err(|_| wrong())?;
        if bits > most { Err(wrong()) } else { Ok(Self { base, bits }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn length(bytes: &[u8]) -> Option<usize> {
        header(bytes).ok().flatten().map(|header| header.length)
    }

    fn client(bytes: &[u8]) -> Option<IpAddr> {
        header(bytes).ok().flatten()?.client
    }

    #[test]
    fn the_address_of_the_client_is_the_source() {
        let address = |text: &str| text.parse::<IpAddr>().ok();
        assert_eq!(client(b"PROXY TCP4 192.0.2.1 192.0.2.2 5 80\r\n"), address("192.0.2.1"));
        assert_eq!(client(b"PROXY TCP6 2001:db8::1 2001:db8::2 5 80\r\n"), address("2001:db8::1"));
        assert_eq!(client(b"PROXY UNKNOWN\r\n"), None);
        let v2 = |command: u8, family: u8, addresses: &[u8]| {
            let length = u16::try_from(addresses.len()).unwrap().to_be_bytes();
            client(&[V2, &[0x20 | command, family << 4 | 1], &length, addresses].concat())
        };
        let (short, long) = ([192, 0, 2, 1, 192, 0, 2, 2, 0, 5, 0, 80], [0x20; 36]);
        assert_eq!(v2(1, 1, &short), address("192.0.2.1"));
        assert_eq!(v2(1, 2, &long), address("2020:2020:2020:2020:2020:2020:2020:2020"));
        assert_eq!((v2(0, 1, &short), v2(1, 0, &short), v2(1, 2, &short)), (None, None, None));
    }

    #[test]
    fn headers_of_both_versions_are_measured_and_other_bytes_are_none() {
        let v1 = b"PROXY TCP4 192.0.2.1 192.0.2.2 5 80\r\n";
        assert_eq!(length(v1), Some(v1.len()));
        assert_eq!(length(b"PROXY UNKNOWN\r\nGET"), Some(15));
        let mut v2 = V2.to_vec();
        v2.extend([0x21, 0x11, 0, 12, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
        assert_eq!(length(&v2), Some(28));
        v2.extend(b"GET /");
        assert_eq!(length(&v2), Some(28));
        for cut in 0..v1.len() - 1 {
            assert!(matches!(header(&v1[..cut]), Ok(None)), "{cut}");
        }
        for cut in 0..28 {
            assert!(matches!(header(&v2[..cut]), Ok(None)), "{cut}");
        }
        for wrong in [
            &b"GET / HTTP/1.1\r\n"[..],
            b"PROXY TCP4 192.0.2.1 192.0.2.2 5\r\n",
            b"PROXY TCP4 nowhere 192.0.2.2 5 80\r\n",
            b"PROXY TCP4 192.0.2.1 192.0.2.2 5 99999\r\n",
            b"PROXY TCP4 192.0.2.1 192.0.2.2 5 80\n",
        ] {
            assert!(header(wrong).is_err(), "{}", wrong.escape_ascii());
        }
        assert!(header(&[b"PROXY ".as_slice(), &[b'x'; 200]].concat()).is_err());
    }

    #[test]
    fn networks_hold_their_own_addresses_only() {
        let of = |network: &str, address: &str| {
            network.parse::<IpNetwork>().map(|network| network.contains(address.parse().unwrap()))
        };
        assert_eq!(of("10.0.0.0/8", "10.255.1.2"), Ok(true));
        assert_eq!(of("10.0.0.0/8", "11.0.0.1"), Ok(false));
        assert_eq!(of("0.0.0.0/0", "11.0.0.1"), Ok(true));
        assert_eq!(of("192.0.2.7", "192.0.2.7"), Ok(true));
        assert_eq!(of("2001:db8::/32", "2001:db8:1::1"), Ok(true));
        assert_eq!(of("2001:db8::/32", "10.0.0.1"), Ok(false));
        for wrong in ["", "10.0.0.0/33", "bbb.test", "10.0.0/8"] {
            assert!(wrong.parse::<IpNetwork>().is_err(), "{wrong}");
        }
    }
}
