//! Reads the common parts of answers with lists: a return code, a list, and the key and text of a failure.

use super::{
    element::{ElementWalk, UnreadableReply},
    outcome::{FailedReply, ServerReply},
};

/// A list that was read completely.
pub(super) struct ParsedList<T> {
    /// Entries of the list; `None` if the answer has no list element.
    pub(super) entries: Option<Vec<T>>,
    /// Key and text, which an answer may have beside a list too.
    pub(super) said: FailedReply,
}

/// Reads the answer `body`, whose element `list` has elements `entry`. `one` reads an entry that begins at the given
/// byte, `other` any other child of the response.
///
/// # Errors
/// The body is not a complete answer.
pub(super) fn read<'a, T>(
    body: &'a str,
    (list, entry): (&str, &str),
    one: impl Fn(&mut ElementWalk<'a>, usize) -> Result<T, UnreadableReply>,
    mut other: impl FnMut(&str, &mut ElementWalk<'a>) -> Result<(), UnreadableReply>,
) -> Result<ServerReply<ParsedList<T>>, UnreadableReply> {
    let mut walk = ElementWalk::response(body)?;
    let (mut success, mut entries, mut said) = (None, None, FailedReply::default());
    while let Some((name, _)) = walk.child(1)? {
        match name {
            "returncode" => success = Some(walk.text()?.trim() == "SUCCESS"),
            "messageKey" => said.key = walk.text()?.into_owned(),
            "message" => said.message = walk.text()?.into_owned(),
            name if name == list => {
                let entries = entries.get_or_insert_with(Vec::new);
                while let Some((name, at)) = walk.child(2)? {
                    if name == entry {
                        entries.push(one(&mut walk, at)?);
                    }
                }
            }
            name => other(name, &mut walk)?,
        }
    }
    walk.finish()?;
    let success = success.ok_or(UnreadableReply::Missing("returncode"))?;
    Ok(if success { ServerReply::Success(ParsedList { entries, said }) } else { ServerReply::Failed(said) })
}
