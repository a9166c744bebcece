//! Changes of a parameter list that are collected, read as if they were made, and written in one pass at the end. All
//! other parameters keep their bytes and their order (ADR 26).

use std::borrow::Cow;

use smallvec::{SmallVec, smallvec};

use super::{
    edit::QueryEdit,
    encoding::push_encoded,
    pair::same_name,
    parameters::{FEW, ParameterList},
};
use crate::work;

/// The room for `&checksum=` and the longest checksum that a written list has, bytes.
const ROOM_FOR_CHECKSUM: usize = 138;

/// One change of a parameter list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ParameterEdit<'e> {
    /// Sets a parameter to one value, at its first position or else at the end. The value is not encoded yet.
    Set(Cow<'e, str>, Cow<'e, str>),
    /// Removes every occurrence of a parameter.
    Remove(Cow<'e, str>),
}

impl<'e> From<QueryEdit<'e>> for ParameterEdit<'e> {
    fn from(edit: QueryEdit<'e>) -> Self {
        match edit {
            QueryEdit::Set(name, value) => Self::Set(name.into(), value.into()),
            QueryEdit::Remove(name) => Self::Remove(name.into()),
        }
    }
}

/// The change of one parameter.
#[derive(Debug, Clone)]
struct ParameterChange<'e> {
    name: Cow<'e, str>,
    /// The only value after the change; `None` if the parameter is removed.
    value: Option<Cow<'e, str>>,
    place: ChangePlace,
    /// The step that gave it its place.
    placed: u32,
    /// The last step that changed it.
    step: u32,
}

/// The place of a changed parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ChangePlace {
    /// That of the first occurrence, by its position in the list.
    Listed(u32),
    /// Behind the list, in this order.
    Appended(u32),
}

/// The changes of one list, without the list.
#[derive(Debug, Clone, Default)]
pub struct ParameterEdits<'e> {
    changes: Vec<ParameterChange<'e>>,
    /// For each parameter of the list, the position of its change plus one, or 0; empty without changes of listed ones.
    listed: SmallVec<[u32; FEW]>,
    /// The number of steps, each of which sees the list as the one before it has left it.
    steps: u32,
    /// The number of places behind the list.
    appended: u32,
}

/// A parameter list together with changes of it.
#[derive(Debug, Clone)]
pub struct EditedParameters<'l> {
    list: &'l ParameterList<'l>,
    edits: ParameterEdits<'l>,
}

/// One parameter of [`EditedParameters`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EditedParameter<'p> {
    /// The decoded name.
    pub name: &'p str,
    /// The decoded value.
    pub value: Cow<'p, str>,
    /// The position in the list; `None` if the parameter is set by a change.
    at: Option<usize>,
}

impl ParameterList<'_> {
    /// Returns the list with no edit yet.
    pub fn edited(&self) -> EditedParameters<'_> {
        EditedParameters::new(self)
    }
}

impl ParameterEdits<'_> {
    /// Returns the changes with their own texts.
    fn into_owned(self) -> ParameterEdits<'static> {
        let owned = |text: Cow<'_, str>| Cow::Owned(text.into_owned());
        let changes = self.changes.into_iter().map(|change| ParameterChange {
            name: owned(change.name),
            value: change.value.map(owned),
            place: change.place,
            placed: change.placed,
            step: change.step,
        });
        ParameterEdits {
            changes: changes.collect(),
            listed: self.listed,
            steps: self.steps,
            appended: self.appended,
        }
    }
}

impl<'l> EditedParameters<'l> {
    /// Returns `list` without a change.
    pub(super) fn new(list: &'l ParameterList<'l>) -> Self {
        Self { list, edits: ParameterEdits::default() }
    }

    /// Returns `list` with changes of the same list, which [`EditedParameters::into_edits`] has kept.
    pub fn resumed(list: &'l ParameterList<'l>, edits: &ParameterEdits<'l>) -> Self {
        Self { list, edits: edits.clone() }
    }

    /// Returns the changes without the list.
    pub fn into_edits(self) -> ParameterEdits<'static> {
        self.edits.into_owned()
    }

    /// Makes changes in one step. If several changes of one step have one name, the last one counts. A parameter that
    /// an earlier step has removed is set at the end, as if the list had been written between the steps.
    pub fn apply<E: Into<ParameterEdit<'l>>>(&mut self, edits: impl IntoIterator<Item = E>) {
        self.edits.steps += 1;
        for edit in edits {
            match edit.into() {
                ParameterEdit::Set(name, value) => self.set(name, value),
                ParameterEdit::Remove(name) => self.remove(name),
            }
        }
    }

    /// Returns the first value of a parameter, decoded.
    pub fn first(&self, name: &str) -> Option<Cow<'_, str>> {
        match self.change_of(name) {
            Some(change) => change.value.as_deref().map(Cow::Borrowed),
            None => self.list.first(name),
        }
    }

    /// Returns whether a parameter occurs more than once.
    pub fn is_repeated(&self, name: &str) -> bool {
        self.change_of(name).is_none() && self.list.is_repeated(name)
    }

    /// Returns every value of a parameter, decoded and in order.
    pub fn values(&self, name: &str) -> impl Iterator<Item = Cow<'_, str>> {
        let change = self.change_of(name);
        let listed = change.is_none().then(|| self.list.positions(name)).into_iter().flatten();
        let set = change.and_then(|change| change.value.as_deref()).map(Cow::Borrowed);
        set.into_iter().chain(listed.map(|at| self.list.get(at).value()))
    }

    /// Returns every parameter in order.
    pub fn iter(&self) -> impl Iterator<Item = EditedParameter<'_>> {
        let listed = self.list.iter().filter_map(|given| match self.change_at(given.at) {
            None => Some(EditedParameter { name: given.name, value: given.value(), at: Some(given.at) }),
            Some(change) => set_parameter(change, ChangePlace::Listed(given.at as u32)),
        });
        listed.chain(self.appended().into_iter().filter_map(|change| set_parameter(change, change.place)))
    }

    /// Returns whether no earlier parameter has the name of this one: servers use the first of several values.
    pub fn is_first(&self, parameter: &EditedParameter<'_>) -> bool {
        parameter.at.is_none_or(|at| self.list.position(parameter.name) == Some(at))
    }

    /// Returns the changed parameters, with room for the checksum that follows.
    pub fn to_text(&self) -> String {
        let mut out = String::with_capacity(self.length_max() + ROOM_FOR_CHECKSUM);
        self.push_to(&mut out);
        out
    }

    /// Returns the length that the text certainly does not exceed, bytes.
    pub fn length_max(&self) -> usize {
        let growth = |change: &ParameterChange<'_>| {
            change.value.as_ref().map_or(0, |value| 3 * (change.name.len() + value.len()) + 2)
        };
        self.list.text().len() + self.edits.changes.iter().map(growth).sum::<usize>()
    }

    /// Appends the changed parameters to `out`.
    pub fn push_to(&self, out: &mut String) {
        let begin = out.len();
        let (text, edits) = (self.list.text(), &self.edits);
        if edits.listed.is_empty() {
            out.push_str(text);
        } else {
            self.push_listed(out);
        }
        for change in self.appended() {
            if let Some(value) = &change.value {
                if out.len() > begin {
                    out.push('&');
                }
                push_pair(out, &change.name, value);
            }
        }
        work::count(out.len() - begin);
    }

    /// Appends the parameters of the list. Unchanged ones that stand together are copied together, and with them the
    /// empty texts between `&`, which a checksum covers too.
    fn push_listed(&self, out: &mut String) {
        let text = self.list.text();
        // The text from `kept` on is not copied yet. A piece is copied with the `&` before it, unless it is the first.
        let (mut kept, mut is_first) = (0, true);
        let keep = |out: &mut String, from: usize, until: usize, is_first: &mut bool| {
            // The text ends before the `&` of the changed parameter, or is empty if that one begins the text.
            if let Some(pieces) = until.checked_sub(1).and_then(|end| text.get(from..end)) {
                if !std::mem::replace(is_first, false) {
                    out.push('&');
                }
                out.push_str(pieces);
            }
        };
        for (at, span) in self.list.spans.iter().enumerate() {
            let Some(change) = self.change_at(at) else { continue };
            keep(out, kept, span.start as usize, &mut is_first);
            kept = span.end as usize + 1;
            if let (Some(value), ChangePlace::Listed(place)) = (&change.value, change.place)
                && place as usize == at
            {
                if !std::mem::replace(&mut is_first, false) {
                    out.push('&');
                }
                push_pair(out, &change.name, value);
            }
        }
        keep(out, kept, text.len() + 1, &mut is_first);
    }

    fn set(&mut self, name: Cow<'l, str>, value: Cow<'l, str>) {
        let step = self.edits.steps;
        let Some(at) = self.change_index(&name) else {
            let place = match self.list.position(&name) {
                Some(at) => ChangePlace::Listed(at as u32),
                None => self.next_place(),
            };
            self.push_change(ParameterChange { name, value: Some(value), place, placed: step, step });
            return;
        };
        let ParameterChange { place, placed, value: ref old, step: last, .. } = self.edits.changes[at];
        let was_removed = old.is_none() && last != step;
        // In one step the last change of a name decides its place behind the list, too.
        let is_again = matches!(place, ChangePlace::Appended(_)) && placed == step;
        let (place, placed) =
            if was_removed || is_again { (self.next_place(), step) } else { (place, placed) };
        self.edits.changes[at] = ParameterChange { name, value: Some(value), place, placed, step };
    }

    fn remove(&mut self, name: Cow<'l, str>) {
        let step = self.edits.steps;
        if let Some(at) = self.change_index(&name) {
            let change = &mut self.edits.changes[at];
            // Only a parameter that is still there is removed by this step.
            if change.value.take().is_some() {
                change.step = step;
            }
        } else if let Some(at) = self.list.position(&name) {
            let place = ChangePlace::Listed(at as u32);
            self.push_change(ParameterChange { name, value: None, place, placed: step, step });
        }
    }

    fn next_place(&mut self) -> ChangePlace {
        self.edits.appended += 1;
        ChangePlace::Appended(self.edits.appended)
    }

    /// Adds the first change of a parameter.
    fn push_change(&mut self, change: ParameterChange<'l>) {
        let number = self.edits.changes.len() as u32 + 1;
        if matches!(change.place, ChangePlace::Listed(_)) {
            if self.edits.listed.is_empty() {
                self.edits.listed = smallvec![0; self.list.len()];
            }
            for at in self.list.positions(&change.name) {
                self.edits.listed[at] = number;
            }
        }
        self.edits.changes.push(change);
    }

    fn change_at(&self, at: usize) -> Option<&ParameterChange<'l>> {
        let number = *self.edits.listed.get(at)? as usize;
        self.edits.changes.get(number.checked_sub(1)?)
    }

    fn change_of(&self, name: &str) -> Option<&ParameterChange<'l>> {
        self.change_index(name).map(|at| &self.edits.changes[at])
    }

    /// Returns the position of the change of a parameter. A parameter of the list is found by its place there. The
    /// others come from rules and not from callers, so that there are few.
    fn change_index(&self, name: &str) -> Option<usize> {
        if self.edits.changes.is_empty() {
            return None;
        }
        if let Some(at) = self.list.position(name) {
            return (*self.edits.listed.get(at)? as usize).checked_sub(1);
        }
        let is_same = |change: &ParameterChange<'_>| {
            work::count(1);
            same_name(&change.name, name)
        };
        self.edits.changes.iter().position(is_same)
    }

    /// Returns the changes whose place is behind the list, in their order.
    fn appended(&self) -> SmallVec<[&ParameterChange<'l>; 4]> {
        let place = |change: &&ParameterChange<'_>| match change.place {
            ChangePlace::Appended(place) => Some(place),
            ChangePlace::Listed(_) => None,
        };
        let mut appended: SmallVec<[_; 4]> =
            self.edits.changes.iter().filter(|change| place(change).is_some()).collect();
        appended.sort_unstable_by_key(place);
        appended
    }
}

/// Returns a set parameter if it is shown at `place`.
fn set_parameter<'p>(change: &'p ParameterChange<'_>, place: ChangePlace) -> Option<EditedParameter<'p>> {
    let value = change.value.as_deref().filter(|_| change.place == place)?;
    Some(EditedParameter { name: &change.name, value: Cow::Borrowed(value), at: None })
}

fn push_pair(out: &mut String, name: &str, value: &str) {
    push_encoded(out, name);
    out.push('=');
    push_encoded(out, value);
}

#[cfg(test)]
mod tests;
