//! Several hosts in one group of Kafka's, while messages come.

use super::copying;
use crate::hosts::of_three_under_load_one_is_added_one_stopped_and_one_killed;

#[tokio::test]
async fn of_three_hosts_under_load_one_is_added_one_stopped_and_one_killed_and_only_the_killed_one_repeats() {
    let (copying, _) = copying("three").await;
    of_three_under_load_one_is_added_one_stopped_and_one_killed(copying).await;
}
