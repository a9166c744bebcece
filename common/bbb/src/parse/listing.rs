//! What the answers with lists have in common: a return code, a list, and the words of a failure.

use super::{FailedReply, ServerReply, UnreadableReply, element::ElementWalk};

/// A list that was read to its end.
pub(super) struct ParsedList<T> {
    /// The entries; none where the answer has no such element.
    pub(super) entries: Option<Vec<T>>,
    /// The words that may stand beside a list, too.
    pub(super) said: FailedReply,
}

/// Reads the answer `body`, in which element `list` holds elements `entry`. `one` reads an entry that
/// begins at the byte it is given, `other` any other child of the response.
///
/// # Errors
/// The answer is none, or not a whole one.
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
