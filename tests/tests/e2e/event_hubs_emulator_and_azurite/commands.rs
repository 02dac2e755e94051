//! Commands on topics in Event Hubs.

use super::{copying, hub};
use crate::hosts::{topics_are_listed, what_is_sent_comes_back};

#[tokio::test]
async fn what_is_sent_comes_back_as_it_was() {
    let (copying, _) = copying("sent").await;
    what_is_sent_comes_back(&copying.lockgate).await;
}

#[tokio::test]
async fn topics_are_listed_by_their_names_in_the_spec_with_where_they_end() {
    let (copying, _) = copying("listed").await;
    topics_are_listed(&copying).await;
}

#[tokio::test]
async fn hubs_and_groups_that_are_missing_are_named_at_the_start_all_at_once() {
    let (mut copying, namespace) = copying("missing").await;
    namespace.add(&hub("missing", "groupless"), 1, &[]).await.unwrap();
    for (topic, name) in [("work", "missing-groupless"), ("made", "nowhere"), ("dlq", "nowhere-else")] {
        copying.lockgate.sets.push(format!("transports.bus.topics.{topic}.name={name}"));
    }
    let answer = copying.lockgate.answer(&["run", "--until-idle"]).await.unwrap();
    assert_eq!((answer.code, answer.output.as_str()), (Some(1), ""), "{}", answer.errors);
    for what in
        ["topic `work` of transport bus has no consumer group `copy`", "has no topic `made`", "has no topic `dlq`"]
    {
        assert!(answer.errors.contains(what), "{what} is not in\n{}", answer.errors);
    }
}
