//! Members that come, go, die and are cut off, on lines that are slow and lose what they carry.

use super::*;

const PARTITIONS: u32 = 5;

/// One run: what is acknowledged, by partition.
struct Run {
    crowd: Crowd,
    random: StdRng,
    /// The furthest checkpoint whose storing was answered.
    acknowledged: BTreeMap<u32, i64>,
    /// The ownerships that were checked, with the numbers of their members.
    seen: BTreeSet<(usize, u32, Epoch)>,
}

impl Run {
    fn new(seed: u64) -> Self {
        let (mut crowd, random) = (Crowd::new(PARTITIONS), StdRng::seed_from_u64(seed));
        crowd.ids = StdRng::seed_from_u64(seed);
        Self { crowd, random, acknowledged: BTreeMap::new(), seen: BTreeSet::new() }
    }

    async fn step(&mut self) {
        let numbers: Vec<usize> = self.crowd.members.keys().copied().collect();
        let one = numbers.get(self.random.random_range(0..numbers.len().max(1))).copied();
        match (self.random.random_range(0..10), one) {
            (0, _) if numbers.len() < 4 => {
                let number = self.crowd.join();
                self.crowd.member(number).line.storm(self.random.random());
            }
            (1, Some(number)) if numbers.len() > 1 => drop(self.crowd.members.remove(&number)),
            (2, Some(number)) if numbers.len() > 1 => self.crowd.kill(number),
            (3, Some(number)) => self.crowd.member(number).line.always(line::Fate::Silent),
            (4, Some(number)) => self.crowd.member(number).line.always(line::Fate::Refused),
            (5, Some(number)) => {
                let mate = self.crowd.member(number);
                let suspected = mate.owned.iter().next();
                suspected.into_iter().for_each(|(partition, epoch)| mate.group.suspect(*partition, *epoch));
            }
            (_, Some(number)) => self.crowd.member(number).line.always(line::Fate::Fine),
            _ => {}
        }
        let time = Duration::from_millis(self.random.random_range(0..8000));
        let before = self.looks();
        self.crowd.pass(time).await;
        for (number, after) in self.looks() {
            // At the soonest a fraction of a poll after the one before it, or after a failure.
            let looked = after - before.get(&number).copied().unwrap_or(0);
            let most = time.as_millis() as u64 / 200 + 10;
            assert!(looked <= most, "member {number} looked {looked} times in {time:?}");
        }
        self.check();
        self.commit().await;
    }

    /// How often each member has looked at the group.
    fn looks(&self) -> BTreeMap<usize, u64> {
        self.crowd.members.iter().map(|(number, mate)| (*number, mate.group.calls().lists)).collect()
    }

    /// No partition is held by two, and whoever was given one began with all that was acknowledged before.
    fn check(&mut self) {
        for partition in 0..PARTITIONS {
            let holders = self.crowd.members.values().chain(&self.crowd.dead).filter(|mate| mate.holds(partition));
            assert!(holders.count() <= 1, "partition {partition} has two owners");
        }
        for (number, mate) in &self.crowd.members {
            for (partition, epoch) in &mate.owned {
                let is_new = self.seen.insert((*number, *partition, *epoch));
                // Where there was no checkpoint a former owner's first one may have come later.
                if let Some(Some(kept)) = mate.kept.get(partition).filter(|_| is_new) {
                    let acknowledged = self.acknowledged.get(partition).copied().unwrap_or(-1);
                    let began = kept.checkpoint.base().0;
                    assert!(began >= acknowledged, "partition {partition} began at {began}, not {acknowledged}");
                }
            }
        }
    }

    /// Whoever owns something gets further with it, from where it began.
    async fn commit(&mut self) {
        let mut commits = Vec::new();
        for mate in self.crowd.members.values() {
            for partition in mate.owned.keys().copied() {
                let began = mate.kept[&partition].as_ref().map_or(-1, |kept| kept.checkpoint.base().0);
                let next = began + i64::from(self.random.random_range(0..20_u8));
                let commit = mate.commit(partition, next);
                if self.random.random_bool(0.7) {
                    commits.push(async move { (partition, next, commit.await) });
                }
            }
        }
        for (partition, next, stored) in futures::future::join_all(commits).await {
            if stored.is_ok() {
                let furthest = self.acknowledged.entry(partition).or_insert(-1);
                *furthest = (*furthest).max(next);
            }
        }
        for (partition, furthest) in &self.acknowledged {
            let stands = self.crowd.base(*partition).await;
            assert!(stands >= Some(*furthest), "partition {partition} went back from {furthest} to {stands:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_owned_twice_and_nothing_stored_is_lost_whatever_happens() {
    for seed in 0..60 {
        let mut run = Run::new(seed);
        for _ in 0..60 {
            run.step().await;
        }
        // Once the weather is fine again everything is owned, and evenly.
        run.crowd.join();
        for mate in run.crowd.members.values() {
            mate.line.always(line::Fate::Fine);
            mate.line.calm();
        }
        run.crowd.until(3 * LEASE, Crowd::is_balanced).await;
        run.check();
    }
}
