//! What a group costs.

use super::folder::Calls;
use super::*;

const MINUTE: Duration = Duration::from_secs(60);

async fn in_a_minute(crowd: &mut Crowd, number: usize) -> Calls {
    let before = crowd.members[&number].group.calls();
    crowd.member(number).line.reads();
    crowd.pass(MINUTE).await;
    let after = crowd.members[&number].group.calls();
    Calls { lists: after.lists - before.lists, reads: after.reads - before.reads, puts: after.puts - before.puts }
}

#[tokio::test(start_paused = true)]
async fn one_that_is_alone_lists_and_renews_and_reads_nothing() {
    let mut crowd = Crowd::of(32, 1).await;
    crowd.pass(LEASE + Duration::from_millis(100)).await;
    let calls = in_a_minute(&mut crowd, 1).await;
    assert_eq!(calls, Calls { lists: 12, reads: 0, puts: 6 * 32 });
}

#[tokio::test(start_paused = true)]
async fn only_what_changed_is_read() {
    let mut crowd = Crowd::of(32, 2).await;
    crowd.pass(LEASE + Duration::from_millis(100)).await;
    let calls = in_a_minute(&mut crowd, 1).await;
    assert_eq!(calls, Calls { lists: 12, reads: 6 * 16, puts: 6 * 16 });
    let own: BTreeSet<String> =
        crowd.members[&1].owned.keys().map(|partition| layout().entry(Kind::Ownership, *partition)).collect();
    assert!(crowd.members[&1].line.reads().iter().all(|name| !own.contains(name)));
    // One more is written by somebody, and read once.
    crowd.write(Kind::Wish, 0, &layout::owned_by("")).await;
    let more = in_a_minute(&mut crowd, 1).await;
    assert_eq!(more.reads, calls.reads + 1);
}
