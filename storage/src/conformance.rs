//! What every backend of [`Store`](crate::Store) does: one suite, and each backend passes all of it.
//!
//! [`store_conformance!`] turns each check into a test of the backend whose fresh store it is given.
//! Nothing here knows a backend.

pub(crate) mod attempts;
pub(crate) mod claims;
pub(crate) mod jobs;
pub(crate) mod keys;
pub(crate) mod lists;
pub(crate) mod pruned;
pub(crate) mod sample;
pub(crate) mod uploads;

/// One test a check; `$fresh` makes something that dereferences to an empty store.
macro_rules! store_conformance {
    ($fresh:expr) => {
        $crate::conformance::store_conformance! { @tests $fresh,
            uploads: an_upload_is_there_once_it_has_begun
            uploads: a_taken_upload_id_is_a_conflict
            uploads: a_reserved_job_id_is_taken
            uploads: an_upload_advances_and_keeps_its_multipart
            uploads: what_is_not_known_is_not_found
            uploads: a_complete_upload_is_a_queued_job
            uploads: several_files_land_together
            uploads: one_bad_file_lets_none_land
            uploads: an_upload_named_twice_lets_none_land
            uploads: a_job_with_another_id_than_the_reserved_one_does_not_land
            uploads: an_upload_becomes_complete_only_with_its_job
            uploads: receiving_and_abandoned_are_listed_in_order
            uploads: only_an_abandoned_upload_is_forgotten
            jobs: a_whole_life_is_as_the_model_has_it
            jobs: a_job_reads_back_as_it_was_returned
            jobs: a_refused_event_changes_nothing
            jobs: cancel_in_each_phase_ends_job_and_attempt
            jobs: a_terminal_job_never_changes
            jobs: an_ended_job_is_done_again_on_its_upload
            jobs: a_job_that_has_not_ended_is_not_done_again
            jobs: events_are_bounded
            jobs: words_are_bounded
            jobs: an_outcome_is_kept_with_its_outputs
            claims: fifty_claims_have_one_winner
            claims: fifty_adoptions_have_one_winner
            claims: a_stale_owner_can_do_nothing
            claims: an_expired_lease_is_adopted_and_a_held_one_is_not
            claims: the_lock_adopts_without_a_lease
            claims: who_leaves_is_followed_at_once_and_did_not_crash
            claims: a_pause_is_waited_for
            claims: a_cancel_and_a_commit_at_once_have_one_winner
            keys: a_key_is_claimed_with_an_upload_and_done_with_its_jobs
            keys: a_claimed_key_is_one_requests_alone
            keys: an_abandoned_upload_frees_its_key
            keys: a_request_that_lands_nothing_settles_nothing
            keys: fifty_claims_of_a_key_have_one_winner
            keys: old_keys_are_forgotten_and_claimed_ones_are_not
            lists: newest_first_and_page_by_page
            lists: every_filter_narrows
            lists: the_queue_is_in_order_and_leaves_out_what_is_not_due
            lists: a_pause_from_a_clock_that_was_ahead_is_over
            lists: who_waits_too_long_is_found
            lists: running_jobs_are_listed
            attempts: an_attempt_follows_its_job
            attempts: each_claim_has_its_own_attempt
            attempts: an_attempt_is_listed_until_it_is_removed
            attempts: what_a_job_decides_is_refused_to_an_attempt_alone
            attempts: what_a_program_gives_is_kept_and_ends_with_its_exit
            attempts: a_log_of_an_older_owner_is_refused
            attempts: multiparts_are_remembered_until_removal
            pruned: an_ended_job_goes_with_all_that_is_its
            pruned: what_has_not_ended_long_ago_stays
            pruned: who_has_an_attempt_to_clean_up_stays_until_then
            pruned: the_longest_ended_goes_first
            pruned: an_input_goes_with_the_last_job_that_has_it
            pruned: a_key_goes_with_the_first_of_its_jobs
            pruned: a_rerun_and_its_pruning_at_once_leave_no_job_without_its_input
        }
    };
    (@tests $fresh:expr, $($file:ident : $check:ident)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $check() {
            let store = ($fresh)();
            $crate::conformance::$file::$check(&*store).await;
        }
    )*};
}

pub(crate) use store_conformance;
