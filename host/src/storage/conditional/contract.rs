//! What all keepers of entries promise, one fact a function. Run against real stores, never against a stand-in.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "test code: a broken promise ends the test")]

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::future::join_all;

use super::{Conditional, Fields};

/// Checks every promise, on one store as two processes have it open.
pub async fn run(one: &Arc<dyn Conditional>, other: &Arc<dyn Conditional>) {
    what_is_put_is_read(one, other).await;
    only_who_has_seen_the_last_version_changes_it(one, other).await;
    a_folder_lists_what_is_below_it_and_nothing_else(one).await;
    a_change_shows_in_the_listing(one).await;
    of_many_at_once_one_wins(one, other).await;
    values_may_be_long_and_odd(one).await;
}

fn fields(owner: &str) -> Fields {
    Fields::from([("ownerid".to_owned(), owner.to_owned())])
}

fn folder() -> String {
    format!("f{:016x}", rand::random::<u64>())
}

async fn what_is_put_is_read(one: &Arc<dyn Conditional>, other: &Arc<dyn Conditional>) {
    let name = format!("{}/$default/ownership/0", folder());
    assert_eq!(one.read(&name).await.unwrap(), None);
    let version = one.put(&name, &fields("a"), None).await.unwrap().unwrap();
    let entry = other.read(&name).await.unwrap().unwrap();
    assert_eq!((entry.version, entry.fields), (version, fields("a")));
    let released = other.put(&name, &fields(""), Some(&one.read(&name).await.unwrap().unwrap().version)).await.unwrap();
    assert!(released.is_some());
    assert_eq!(one.read(&name).await.unwrap().unwrap().fields, fields(""));
}

async fn only_who_has_seen_the_last_version_changes_it(one: &Arc<dyn Conditional>, other: &Arc<dyn Conditional>) {
    let name = format!("{}/x", folder());
    let first = one.put(&name, &fields("a"), None).await.unwrap().unwrap();
    assert_eq!(other.put(&name, &fields("b"), None).await.unwrap(), None, "something stands there");
    let second = other.put(&name, &fields("b"), Some(&first)).await.unwrap().unwrap();
    assert_ne!(first, second);
    assert_eq!(one.put(&name, &fields("a"), Some(&first)).await.unwrap(), None, "it has not seen the change");
    assert_eq!(one.read(&name).await.unwrap().unwrap().fields, fields("b"));
    let same = one.put(&name, &fields("b"), Some(&second)).await.unwrap().unwrap();
    assert_ne!(same, second, "a change without a difference is a change");
    let nowhere = format!("{}/x", folder());
    assert_eq!(one.put(&nowhere, &fields("a"), Some(&second)).await.unwrap(), None, "nothing stands there");
    assert_eq!(one.read(&nowhere).await.unwrap(), None);
}

async fn a_folder_lists_what_is_below_it_and_nothing_else(one: &Arc<dyn Conditional>) {
    let folder = folder();
    for name in ["g/ownership/0", "g/ownership/1", "g/ownership2/0", "g/ownership", "h/ownership/0"] {
        one.put(&format!("{folder}/{name}"), &fields("a"), None).await.unwrap().unwrap();
    }
    let listed = one.list(&format!("{folder}/g/ownership")).await.unwrap();
    let names: BTreeSet<String> = listed.into_iter().map(|listed| listed.name).collect();
    assert_eq!(names, ["0", "1"].map(|index| format!("{folder}/g/ownership/{index}")).into());
    assert_eq!(one.list(&format!("{folder}/nothing")).await.unwrap(), []);
}

async fn a_change_shows_in_the_listing(one: &Arc<dyn Conditional>) {
    let folder = folder();
    let name = format!("{folder}/x");
    let first = one.put(&name, &fields("a"), None).await.unwrap().unwrap();
    let listed = async || one.list(&folder).await.unwrap().pop().unwrap();
    assert_eq!(listed().await.version, first);
    let second = one.put(&name, &fields("b"), Some(&first)).await.unwrap().unwrap();
    assert_eq!(listed().await.version, second);
    assert_eq!(listed().await.modified, one.read(&name).await.unwrap().unwrap().modified);
}

async fn of_many_at_once_one_wins(one: &Arc<dyn Conditional>, other: &Arc<dyn Conditional>) {
    let name = format!("{}/x", folder());
    let mut seen = None;
    for round in 0..5 {
        let puts = (0..10).map(|number| {
            let store = if number % 2 == 0 { one } else { other };
            let (name, seen, owner) = (&name, seen.as_ref(), format!("{round}-{number}"));
            async move { store.put(name, &fields(&owner), seen).await.unwrap().map(|version| (owner, version)) }
        });
        let mut won: Vec<_> = join_all(puts).await.into_iter().flatten().collect();
        assert_eq!(won.len(), 1, "{won:?}");
        let (owner, version) = won.remove(0);
        let entry = one.read(&name).await.unwrap().unwrap();
        assert_eq!((&entry.version, entry.fields), (&version, fields(&owner)));
        seen = Some(version);
    }
}

async fn values_may_be_long_and_odd(one: &Arc<dyn Conditional>) {
    let name = format!("{}/x", folder());
    let fields = Fields::from([
        ("empty".to_owned(), String::new()),
        ("long".to_owned(), "x".repeat(4096)),
        ("lockgate_settled".to_owned(), "lg1:+/ ~!\"#$%&'()*=;,".to_owned()),
    ]);
    one.put(&name, &fields, None).await.unwrap().unwrap();
    assert_eq!(one.read(&name).await.unwrap().unwrap().fields, fields);
}
