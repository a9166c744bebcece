//! One contract for four stores: the promises of `ports::Store` hold in memory, in a file, on one
//! etcd node and on three.

mod committing;
mod leading;
mod reading;
mod subject;
mod watching;

/// Runs every check of the contract on one kind of store.
macro_rules! holds_on {
    ($name:ident, $kind:expr, $($group:ident: [$($check:ident),+ $(,)?]),+ $(,)?) => {
        mod $name {
            use crate::subject::{Kind, Subject};

            $($(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $check() {
                    let subject = Subject::start($kind).await;
                    crate::$group::$check(&subject).await;
                }
            )+)+
        }
    };
}

macro_rules! contract {
    ($($name:ident: $kind:expr),+ $(,)?) => {
        $(holds_on! {
            $name,
            $kind,
            reading: [
                an_empty_store_lists_nothing,
                an_empty_store_hands_out_a_part_that_tells_its_revision,
                entries_are_listed_with_the_revisions_that_made_them,
                a_prefix_lists_what_starts_with_it_and_nothing_else,
                a_large_listing_is_complete,
                the_parts_of_a_listing_are_its_entries_at_one_revision,
                handles_of_one_cluster_agree_on_its_id,
            ],
            committing: [
                guards_decide,
                transactions_of_one_commit_are_decided_on_their_own_at_one_revision,
                more_than_one_request_holds_is_committed_all_the_same,
                what_writes_nothing_makes_no_revision,
                s15_of_many_that_create_one_key_one_wins,
                increments_by_concurrent_writers_are_never_lost,
                the_committer_commits_each_once_and_together,
            ],
            watching: [
                whole_revisions_arrive_in_order_from_a_past_one,
                a_watch_sees_its_prefix_alone,
                a_watch_of_the_future_starts_there,
                i9_watchers_fold_to_what_is_stored_under_concurrent_writers,
                history_that_is_gone_is_told_and_a_new_listing_goes_on,
            ],
            leading: [
                one_candidate_leads_until_it_resigns,
                x3_a_deposed_leaders_writes_fail,
                a_kept_lease_outlives_its_time_and_a_waiting_candidate_keeps_its_place,
                a_campaign_given_up_leaves_a_lease_that_runs_out,
                a_fence_is_the_key_as_it_was_created,
            ],
        })+
    };
}

contract! {
    memory: Kind::Memory,
    file: Kind::File,
    etcd_one_node: Kind::Etcd { nodes: 1 },
    etcd_three_nodes: Kind::Etcd { nodes: 3 },
}
