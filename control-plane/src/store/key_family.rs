//! The description of a family of stored values.

use prost::Message;

use super::{key_error::KeyPartError, value_error::ValueError};

/// A family of stored values, described by the type of its values. All of its keys begin with its
/// name, and every value is an encoded message. The families are listed in `core/families.rs`.
pub(crate) trait KeyFamily: Sized {
    /// First part of the keys.
    const NAME: &'static str;
    /// Largest field number of the message that this version knows.
    const KNOWN_FIELDS: u32;
    /// Names a value within the family.
    type Key;
    /// The stored form of a value.
    type Message: Message + Default;

    /// Returns the path of a value below the name of the family.
    fn path(key: &Self::Key) -> String;

    /// Reads the parts of a path below the name of the family.
    ///
    /// # Errors
    /// The parts name no value. A form that [`KeyFamily::path`] does not write may be accepted; the
    /// caller refuses it.
    fn parse(parts: &[&str]) -> Result<Self::Key, KeyPartError>;

    /// Returns the stored form of the value.
    fn to_message(&self) -> Self::Message;

    /// Reads a stored value.
    ///
    /// # Errors
    /// A field has a value outside its range, or of a newer version.
    fn from_message(key: &Self::Key, message: Self::Message) -> Result<Self, ValueError>;
}
