//! Reads answers that are a flat list of texts.

use std::borrow::Cow;

use super::{
    element::{ElementWalk, UnreadableReply},
    outcome::ReplyHeader,
};

/// The children of `<response>` with their texts, and those of each `<error>`.
pub(super) struct ReplyFields<'a>(Vec<(&'a str, Cow<'a, str>)>);

impl<'a> ReplyFields<'a> {
    pub(super) fn read(body: &'a str) -> Result<Self, UnreadableReply> {
        let mut walk = ElementWalk::response(body)?;
        let mut fields = Vec::new();
        while let Some((name, _)) = walk.child(1)? {
            if name == "errors" {
                while let Some(("error", _)) = walk.child(2)? {
                    while let Some((name, _)) = walk.child(3)? {
                        fields.push((if name == "key" { "messageKey" } else { name }, walk.text()?));
                    }
                }
            } else {
                fields.push((name, walk.text()?));
            }
        }
        walk.finish()?;
        let fields = Self(fields);
        if fields.get("returncode").is_none() {
            return Err(UnreadableReply::Missing("returncode"));
        }
        Ok(fields)
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(field, _)| *field == name).map(|(_, text)| text.trim())
    }

    pub(super) fn take(&mut self, name: &str) -> Option<String> {
        let index = self.0.iter().position(|(field, _)| *field == name)?;
        Some(self.0.swap_remove(index).1.into_owned())
    }

    pub(super) fn take_required(&mut self, name: &'static str) -> Result<String, UnreadableReply> {
        self.take(name).filter(|text| !text.is_empty()).ok_or(UnreadableReply::Missing(name))
    }

    pub(super) fn outcome(&self) -> ReplyHeader {
        let text = |name| self.get(name).unwrap_or_default().to_owned();
        ReplyHeader {
            success: self.get("returncode") == Some("SUCCESS"),
            key: text("messageKey"),
            message: text("message"),
        }
    }
}
