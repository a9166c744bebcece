//! What the answers with lists have in common: a return code, a list, and the words of a failure.

use super::{Answer, Failure, Unreadable, element::Walk};

/// A list that was read to its end.
pub(super) struct Listing<T> {
    /// The entries; none where the answer has no such element.
    pub(super) entries: Option<Vec<T>>,
    /// The words that may stand beside a list, too.
    pub(super) said: Failure,
}

/// Reads the answer `body`, in which element `list` holds elements `entry`. `one` reads an entry that
/// begins at the byte it is given, `other` any other child of the response.
///
/// # Errors
/// The answer is none, or not a whole one.
pub(super) fn read<'a, T>(
    body: &'a str,
    (list, entry): (&str, &str),
    one: impl Fn(&mut Walk<'a>, usize) -> Result<T, Unreadable>,
    mut other: impl FnMut(&str, &mut Walk<'a>) -> Result<(), Unreadable>,
) -> Result<Answer<Listing<T>>, Unreadable> {
    let mut walk = Walk::response(body)?;
    let (mut success, mut entries, mut said) = (None, None, Failure::default());
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
    let success = success.ok_or(Unreadable::Missing("returncode"))?;
    Ok(if success { Answer::Success(Listing { entries, said }) } else { Answer::Failed(said) })
}
