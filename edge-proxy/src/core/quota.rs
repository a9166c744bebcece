//! The limit of simultaneous users of a tenant, as far as one edge can enforce it.
//!
//! Polls count the users, and the control plane sends the number to the edges. Between two polls an
//! edge adds the people that it redirected. A person is a `userID` of a meeting, or a name where the
//! application sends none: a link that one person clicks three times takes one place. The edge
//! remembers the latest people, so that one of them who loads the page again needs no free place;
//! polls count that person already.
//!
//! The edge does not know the joins at other edges. With several edges the limit may therefore be
//! exceeded until the next poll, by the people that the other edges admit.

use std::{
    hash::BuildHasher,
    time::{Duration, Instant},
};

use foldhash::{HashSet, quality::RandomState};
use usher_bbb::query::ParameterList;

/// The time after which a redirected user is either counted by polls or did not arrive.
const ARRIVAL: Duration = Duration::from_secs(20);
/// The largest number of people of one generation that are remembered, eight bytes each.
const PEOPLE_MAX: usize = 1 << 16;

/// The people that this edge redirected to the meetings of one tenant.
#[derive(Debug, Clone, Default)]
pub struct SentPeople {
    hasher: RandomState,
    /// The latest number from polls.
    counted: u32,
    /// The number of new people since `counted` changed.
    uncounted: u32,
    since: Option<Instant>,
    /// The people, in two generations: when the newer one is as long as the limit, it replaces the older
    /// one. So the last people are always known, as many as the limit.
    newer: HashSet<u64>,
    older: HashSet<u64>,
}

impl SentPeople {
    /// Returns whether a join by `parameters` may be redirected without exceeding `limit`, and
    /// counts the person. `meeting` is the tenant's id of the meeting, `counted` the latest number
    /// from polls.
    pub fn admit(
        &mut self,
        (meeting, parameters): (&str, &ParameterList<'_>),
        counted: u32,
        limit: u32,
        now: Instant,
    ) -> bool {
        let over = self.since.is_none_or(|since| now.saturating_duration_since(since) > ARRIVAL);
        if over || counted != self.counted {
            (self.counted, self.uncounted, self.since) = (counted, 0, Some(now));
        }
        let person = self.person(meeting, parameters);
        let expected = counted.saturating_add(self.uncounted);
        let is_known = self.newer.contains(&person) || self.older.contains(&person);
        // A known person is among the expected ones, or has left. The second case cannot be told from
        // the first, so that it exceeds the limit until the next poll, and not longer: once polls count
        // more than the limit, known people are refused too.
        let admitted = if is_known { expected <= limit } else { expected < limit };
        if admitted {
            self.uncounted += u32::from(!is_known);
            self.remember(person, limit);
        }
        admitted
    }

    fn person(&self, meeting: &str, parameters: &ParameterList<'_>) -> u64 {
        let given = |name| parameters.first(name).filter(|value| !value.trim().is_empty());
        match given("userID") {
            Some(id) => self.hasher.hash_one((meeting, "userID", id.trim())),
            None => self.hasher.hash_one((meeting, "fullName", given("fullName").unwrap_or_default().trim())),
        }
    }

    fn remember(&mut self, person: u64, limit: u32) {
        let most = usize::try_from(limit).unwrap_or(PEOPLE_MAX).clamp(1, PEOPLE_MAX);
        if self.newer.len() >= most && !self.newer.contains(&person) {
            self.older = std::mem::take(&mut self.newer);
        }
        self.newer.insert(person);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(parameters: &str) -> ParameterList<'_> {
        ParameterList::parse(parameters, 9).unwrap()
    }

    fn admit(sent: &mut SentPeople, person: &str, (counted, limit): (u32, u32), now: Instant) -> bool {
        let parameters = format!("meetingID=room&fullName=Ada&userID={person}");
        sent.admit(("room", &list(&parameters)), counted, limit, now)
    }

    #[test]
    fn people_count_until_polls_do() {
        let (mut sent, start) = (SentPeople::default(), Instant::now());
        for (person, expected) in [("a", true), ("b", true), ("c", false), ("d", false)] {
            assert_eq!(admit(&mut sent, person, (8, 10), start), expected);
        }
        assert!(!admit(&mut sent, "c", (10, 10), start), "polls count them now");
        assert!(admit(&mut sent, "c", (9, 10), start), "one has left");
        assert!(!admit(&mut sent, "d", (9, 10), start + ARRIVAL));
        assert!(admit(&mut sent, "d", (9, 10), start + ARRIVAL + Duration::from_secs(1)), "nobody came");
    }

    #[test]
    fn a_person_takes_one_place_however_often_the_link_is_clicked() {
        let (mut sent, start) = (SentPeople::default(), Instant::now());
        for click in 0..50 {
            assert!(admit(&mut sent, "a", (0, 2), start), "click {click}");
        }
        assert!(admit(&mut sent, "b", (0, 2), start) && !admit(&mut sent, "c", (0, 2), start));
        let later = start + Duration::from_mins(30);
        assert!(admit(&mut sent, "a", (2, 2), later), "polls list this person");
        assert!(!admit(&mut sent, "c", (2, 2), later));
        assert!(!admit(&mut sent, "a", (3, 2), later), "the limit is exceeded");
    }

    #[test]
    fn people_are_told_apart_by_meeting_and_by_id_else_by_name() {
        let (mut sent, now) = (SentPeople::default(), Instant::now());
        let mut admits =
            |meeting: &str, parameters: &str| sent.admit((meeting, &list(parameters)), 0, 4, now);
        for _ in 0..2 {
            assert!(admits("room", "fullName=Ada&userID=1"));
            assert!(admits("room", "userID=2&fullName=Ada"));
            assert!(admits("room", "fullName=Ada&userID="), "known by the name");
            assert!(admits("hall", "fullName=Ada&userID=1"));
        }
        assert!(!admits("hall", "fullName=Ada"));
        assert!(admits("room", "fullName=%41da"));
    }

    #[test]
    fn the_latest_people_are_remembered_and_no_more_than_twice_the_limit() {
        let (mut sent, now) = (SentPeople::default(), Instant::now());
        for person in 0..10_000_u32 {
            assert!(admit(&mut sent, &person.to_string(), (person % 2, 5), now));
        }
        assert!(sent.newer.len() + sent.older.len() <= 10);
        assert!((9_995..10_000).all(|person| admit(&mut sent, &person.to_string(), (5, 5), now)));
        assert!(!admit(&mut sent, "1", (5, 5), now));
        assert!(admit(&mut sent, "new", (0, u32::MAX), now));
    }
}
