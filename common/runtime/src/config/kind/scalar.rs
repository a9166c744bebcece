//! The kinds of single values: texts, paths, secrets, addresses, numbers, switches and choices.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
};

use toml::Value;

use usher_bbb::{checksum::ChecksumAlgorithm, secret::Secret};
use usher_model::{
    settings::{AdoptPolicy, LogFormat, PublishPolicy, StoreKind, ZombiePolicy},
    voice::{VoiceRange, VoiceRangeError},
};

use super::{MASK, ScalarKind, ValueProblem};

fn filled(text: &str) -> Result<&str, ValueProblem> {
    if text.trim().is_empty() {
        return Err(ValueProblem::new("is empty", "give it a value or leave it out"));
    }
    Ok(text)
}

impl ScalarKind for String {
    fn parse(text: &str) -> Result<Self, ValueProblem> {
        filled(text).map(|text| text.trim().to_owned())
    }

    fn show(&self) -> Value {
        Value::String(self.clone())
    }
}

impl ScalarKind for PathBuf {
    fn parse(text: &str) -> Result<Self, ValueProblem> {
        filled(text).map(Self::from)
    }

    fn show(&self) -> Value {
        Value::String(self.to_string_lossy().into_owned())
    }
}

impl ScalarKind for Secret {
    fn parse(text: &str) -> Result<Self, ValueProblem> {
        if text.trim().is_empty() {
            return Err(ValueProblem::new(
                "is empty",
                "an empty secret would let everybody in: choose a long random one",
            ));
        }
        Ok(Self::new(text))
    }

    fn show(&self) -> Value {
        Value::String(MASK.into())
    }
}

impl ScalarKind for VoiceRange {
    fn parse(text: &str) -> Result<Self, ValueProblem> {
        text.parse().map_err(|error: VoiceRangeError| {
            ValueProblem::new(format!("is no range of numbers: {error}"), "write it as 10000-19999")
        })
    }

    fn show(&self) -> Value {
        Value::String(self.to_string())
    }
}

impl ScalarKind for SocketAddr {
    fn parse(text: &str) -> Result<Self, ValueProblem> {
        let text = text.trim();
        if let Ok(addr) = text.parse() {
            return Ok(addr);
        }
        let remedy = "write IP:PORT, as in 127.0.0.1:8080, 0.0.0.0:8080 for every interface, or [::1]:8080";
        let Some((host, port)) = text.rsplit_once(':') else {
            return Err(ValueProblem::new("has no port", remedy));
        };
        let Ok(port) = port.parse::<u16>() else {
            return Err(ValueProblem::new("has no valid port (0 to 65535)", remedy));
        };
        match host {
            "localhost" => Ok(Self::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)),
            "" => Err(ValueProblem::new("has no address", remedy)),
            _ => Err(ValueProblem::new("is not an IP address", remedy)),
        }
    }

    fn show(&self) -> Value {
        Value::String(self.to_string())
    }
}

impl ScalarKind for u32 {
    const TEXTUAL: bool = false;

    fn parse(text: &str) -> Result<Self, ValueProblem> {
        let remedy = "write a whole number from 0 to 4294967295";
        text.trim().parse().map_err(|_| ValueProblem::new("is not a whole number", remedy))
    }

    fn show(&self) -> Value {
        Value::Integer((*self).into())
    }
}

impl ScalarKind for f64 {
    const TEXTUAL: bool = false;

    fn parse(text: &str) -> Result<Self, ValueProblem> {
        let number: Option<Self> = text.trim().parse().ok();
        number
            .filter(|number| number.is_finite())
            .ok_or_else(|| ValueProblem::new("is not a number", "write it as 0.5"))
    }

    fn show(&self) -> Value {
        Value::Float(*self)
    }
}

impl ScalarKind for bool {
    const TEXTUAL: bool = false;

    fn parse(text: &str) -> Result<Self, ValueProblem> {
        match text.trim().to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => Ok(true),
            "false" | "0" | "no" | "off" => Ok(false),
            _ => Err(ValueProblem::new("is not a switch", "write true or false")),
        }
    }

    fn show(&self) -> Value {
        Value::Boolean(*self)
    }
}

macro_rules! choice {
    ($type:ident { $($name:literal => $variant:ident),+ }) => {
        impl ScalarKind for $type {
            fn parse(text: &str) -> Result<Self, ValueProblem> {
                match text.trim().to_ascii_lowercase().as_str() {
                    $($name => Ok(Self::$variant),)+
                    _ => Err(ValueProblem::new("is not one of the choices", concat!("write", $(" `", $name, "`"),+))),
                }
            }

            fn show(&self) -> Value {
                Value::String(match self { $(Self::$variant => $name,)+ }.to_owned())
            }
        }
    };
}

choice!(ChecksumAlgorithm { "sha1" => Sha1, "sha256" => Sha256, "sha384" => Sha384, "sha512" => Sha512 });
choice!(StoreKind { "etcd" => Etcd, "embedded" => Embedded });
choice!(AdoptPolicy { "tagged" => Tagged, "none" => None, "all" => All });
choice!(PublishPolicy { "server" => Server, "yes" => Yes, "no" => No });
choice!(ZombiePolicy { "restore" => Restore, "end" => End });
choice!(LogFormat { "text" => Text, "json" => Json });
