//! Several hosts in one consumer group, while messages come.

use super::copying;
use crate::hosts::{
    of_three_under_load_one_is_added_one_stopped_and_one_killed, of_twenty_two_fail_and_the_host_is_killed,
};

#[tokio::test]
async fn of_three_hosts_under_load_one_is_added_one_stopped_and_one_killed_and_only_the_killed_one_repeats() {
    let (copying, _) = copying("three").await;
    of_three_under_load_one_is_added_one_stopped_and_one_killed(copying).await;
}

#[tokio::test]
async fn of_twenty_of_which_two_fail_eighteen_run_once_and_two_again_though_the_host_is_killed_between() {
    let (copying, _) = copying("twenty").await;
    of_twenty_two_fail_and_the_host_is_killed(copying).await;
}
