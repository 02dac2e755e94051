use super::*;

const LEASE: Duration = Duration::from_secs(30);

/// Standing: partition, version, owner.
type Table<'a> = &'a [(u32, u32, &'a str)];

/// A member, and when it began.
struct Watcher {
    owners: Owners,
    start: Instant,
}

impl Watcher {
    fn new() -> Self {
        Self { owners: Owners::new("lockgate-b", LEASE), start: Instant::now() }
    }

    /// It looks, at a second.
    fn look(&mut self, second: u64, ownerships: Table<'_>, wishes: Table<'_>) -> &mut Self {
        let at = self.start + Duration::from_secs(second);
        let looked = Looked { ownerships: entries(ownerships), wishes: entries(wishes), begun: at, ended: at };
        self.owners.see(looked, &BTreeSet::new());
        self
    }

    /// It sees the same every five seconds from one second to another.
    fn watch(&mut self, from: u64, to: u64, ownerships: Table<'_>, wishes: Table<'_>) -> &mut Self {
        for second in (from..=to).step_by(5) {
            self.look(second, ownerships, wishes);
        }
        self
    }

    fn claims(&self, partitions: u32) -> Vec<u32> {
        self.owners.step(partitions).claim.iter().map(|claim| claim.partition).collect()
    }

    fn asks(&self, partitions: u32) -> Vec<u32> {
        self.owners.step(partitions).ask.iter().map(|(partition, _)| *partition).collect()
    }
}

fn entries(table: Table<'_>) -> Standing {
    let stands = |(partition, version, owner): &(u32, u32, &str)| {
        let owner = Some((*owner).to_owned()).filter(|owner| !owner.is_empty());
        (*partition, Stands { version: Version::of(*version), owner })
    };
    table.iter().map(stands).collect()
}

/// So many partitions of one owner.
fn all(owner: &str, count: u32, version: u32) -> Vec<(u32, u32, &str)> {
    (0..count).map(|partition| (partition, version, owner)).collect()
}

const NOTHING: [u32; 0] = [];

#[test]
fn one_that_is_alone_takes_everything_at_once() {
    let mut watcher = Watcher::new();
    watcher.look(0, &[], &[]);
    assert_eq!((watcher.claims(4), watcher.asks(4)), (vec![0, 1, 2, 3], vec![]));
    let released = Watcher::new().look(0, &[(0, 7, "")], &[]).owners.step(1).claim;
    assert_eq!(released, [Claim { partition: 0, version: Some(Version::of(7)), from: None }]);
}

#[test]
fn one_of_our_kind_is_asked_for_its_surplus_and_not_robbed() {
    let mut watcher = Watcher::new();
    let theirs = all("lockgate-a", 4, 1);
    watcher.look(0, &theirs, &[]);
    let asks = watcher.asks(4);
    assert_eq!((watcher.claims(4), asks.len()), (vec![], 2));
    let wished: Vec<(u32, u32, &str)> = asks.iter().map(|partition| (*partition, 1, "lockgate-b")).collect();
    watcher.look(1, &theirs, &wished);
    assert_eq!((watcher.claims(4), watcher.asks(4)), (vec![], vec![]), "it waits");
    assert_eq!(watcher.owners.wishing().count(), 2);
}

#[test]
fn what_is_released_to_the_one_that_asked_is_claimed_and_the_wish_taken_back() {
    let mut watcher = Watcher::new();
    watcher.look(0, &[(0, 1, "lockgate-a"), (1, 2, "")], &[(1, 1, "lockgate-b")]);
    assert_eq!((watcher.claims(2), watcher.asks(2)), (vec![1], vec![]));
    watcher.owners.owned(1, Some(Stands { version: Version::of(3), owner: Some("lockgate-b".into()) }));
    let step = watcher.owners.step(2);
    assert_eq!((step.claim, step.granted), (vec![], vec![(1, Version::of(1))]));
}

#[test]
fn what_is_released_to_another_is_left_to_it_while_it_lives() {
    let (free, wish) = ([(0, 1, "lockgate-b"), (1, 2, "")], [(1, 1, "lockgate-c")]);
    let mut watcher = Watcher::new();
    assert_eq!(watcher.watch(0, 25, &free, &wish).claims(2), NOTHING);
    assert_eq!(watcher.look(30, &free, &wish).claims(2), [1]);
}

#[test]
fn one_of_another_kind_is_robbed_of_one_partition_at_a_look() {
    let mut watcher = Watcher::new();
    let theirs = all("python", 4, 1);
    watcher.look(0, &theirs, &[]);
    assert_eq!((watcher.claims(4).len(), watcher.asks(4)), (1, vec![]));
    let mut less = theirs.clone();
    less[watcher.claims(4)[0] as usize].2 = "lockgate-b";
    assert_eq!(watcher.look(5, &less, &[]).claims(4).len(), 1);
    // What one of our kind was asked for, one of another kind has robbed it of.
    let wish = [(1, 1, "lockgate-b")];
    assert_eq!(Watcher::new().look(0, &all("python", 2, 1), &wish).claims(2), [1]);
}

#[test]
fn an_owner_that_does_not_renew_is_gone_after_a_lease() {
    let one = all("lockgate-a", 2, 1);
    let mut watcher = Watcher::new();
    assert_eq!(watcher.watch(0, 25, &one, &[]).claims(2), NOTHING);
    assert_eq!(watcher.owners.due(), Some(watcher.start + LEASE), "it looks then");
    assert_eq!(watcher.look(30, &one, &[]).claims(2), [0, 1]);
    assert_eq!(watcher.owners.step(2).claim[0].from.as_deref(), Some("lockgate-a"));
    // It slept itself: nothing is known of the others.
    assert_eq!(Watcher::new().look(0, &one, &[]).look(5, &one, &[]).look(900, &one, &[]).claims(2), NOTHING);
}

#[test]
fn time_in_which_a_look_was_under_way_does_not_count() {
    let one = entries(&all("lockgate-a", 1, 1));
    let mut watcher = Watcher::new();
    for begin in (0..=60).step_by(10) {
        let at = |second| watcher.start + Duration::from_secs(second);
        let (ownerships, wishes) = (one.clone(), Standing::new());
        // The store answers slowly: what it says may be six seconds old.
        let looked = Looked { ownerships, wishes, begun: at(begin), ended: at(begin + 6) };
        watcher.owners.see(looked, &BTreeSet::new());
    }
    assert_eq!(watcher.claims(1), NOTHING, "24 seconds are sure");
}

#[test]
fn one_of_another_kind_renews_less_often() {
    let theirs = all("python", 1, 1);
    let mut watcher = Watcher::new();
    // Its one partition is its share.
    let all = [theirs[0], (1, 1, "lockgate-b")];
    assert_eq!(watcher.watch(0, 115, &all, &[]).claims(2), NOTHING);
    assert_eq!(watcher.look(120, &all, &[]).claims(2), [0]);
}

#[test]
fn an_owner_that_does_not_answer_is_robbed() {
    let mut watcher = Watcher::new();
    // Both renew meanwhile.
    for look in 0..=18_u32 {
        let wish = [(1, look, "lockgate-b")];
        let was = watcher.look(u64::from(look) * 5, &all("lockgate-a", 2, look), &wish).claims(2);
        assert_eq!(was, if look < 18 { vec![] } else { vec![1] }, "at {} seconds", look * 5);
    }
}

#[test]
fn one_that_is_asked_for_its_own_is_told() {
    let mine = all("lockgate-b", 2, 1);
    assert_eq!(Watcher::new().look(0, &mine, &[(1, 4, "lockgate-c")]).owners.step(2).asked, [1]);
    assert_eq!(Watcher::new().look(0, &mine, &[]).owners.step(2), Step::default());
    let own_wish = Watcher::new().look(0, &mine, &[(1, 4, "lockgate-b")]).owners.step(2);
    assert_eq!((own_wish.asked, own_wish.granted), (vec![], vec![(1, Version::of(4))]));
}

#[test]
fn one_that_asked_and_died_is_not_waited_for() {
    let (mine, wish) = (all("lockgate-b", 2, 1), [(1, 4, "lockgate-c")]);
    let mut watcher = Watcher::new();
    assert_eq!(watcher.watch(0, 25, &mine, &wish).owners.step(2).asked, [1]);
    assert_eq!(watcher.look(30, &mine, &wish).owners.step(2).asked, NOTHING);
}

#[test]
fn what_it_wrote_meanwhile_it_knows_better_than_the_look() {
    let mut watcher = Watcher::new();
    watcher.look(0, &[(0, 1, ""), (1, 1, "lockgate-a")], &[]);
    watcher.owners.owned(0, Some(Stands { version: Version::of(2), owner: Some("lockgate-b".into()) }));
    let at = watcher.start + Duration::from_secs(1);
    let looked = Looked { ownerships: entries(&[(0, 1, "")]), wishes: Standing::new(), begun: at, ended: at };
    watcher.owners.see(looked, &BTreeSet::from([(Kind::Ownership, 0)]));
    assert_eq!(watcher.owners.mine().collect::<Vec<_>>(), [(0, &Version::of(2))]);
    let (known, _) = watcher.owners.known();
    assert_eq!(known.keys().copied().collect::<Vec<_>>(), [0], "the other one is gone");
}
