use proptest::prelude::*;

use super::*;

/// A group as a table that members work on in turn, each with the whole of it before its eyes.
#[derive(Clone, Debug)]
struct World {
    members: Vec<u8>,
    holdings: Vec<Holding<u8>>,
}

impl World {
    /// By partition: owner and asker; 0 is nobody.
    fn new(members: &[u8], holdings: &[(u8, u8)]) -> Self {
        let some = |member: u8| Some(member).filter(|member| *member > 0);
        let holdings = holdings.iter().map(|(owner, asker)| Holding { owner: some(*owner), wanted_by: some(*asker) });
        Self { members: members.to_vec(), holdings: holdings.collect() }
    }

    fn lives(&self, member: Option<u8>) -> bool {
        member.is_some_and(|member| self.members.contains(&member))
    }

    fn step(&self, me: u8) -> Step {
        step(&me, &self.members, &self.holdings)
    }

    /// A claim of what is not free would make two owners.
    fn apply(&mut self, me: u8, step: &Step) {
        for partition in &step.claim {
            let owner = self.holdings[*partition as usize].owner;
            assert!(!self.lives(owner), "partition {partition} has the owner {owner:?} and {me} claims it");
            self.holdings[*partition as usize] = Holding { owner: Some(me), wanted_by: None };
        }
        for partition in &step.ask {
            self.holdings[*partition as usize].wanted_by = Some(me);
        }
    }

    /// A member lets go what others want.
    fn let_go(&mut self, me: u8) {
        for index in 0..self.holdings.len() {
            let Holding { owner, wanted_by } = self.holdings[index];
            if owner == Some(me) && wanted_by != owner && self.lives(wanted_by) {
                self.holdings[index].owner = None;
            }
        }
    }

    /// Everybody in turn, until nothing moves; says how many partitions changed hands.
    fn settle(&mut self) -> usize {
        let mut moves = 0;
        for _ in 0..2 * self.holdings.len() + 4 {
            let before = self.holdings.clone();
            for me in self.members.clone() {
                let step = self.step(me);
                moves += step.claim.len();
                self.apply(me, &step);
                self.let_go(me);
            }
            if self.holdings == before {
                return moves;
            }
        }
        panic!("it never comes to rest: {self:?}");
    }

    fn counts(&self) -> Vec<usize> {
        let of = |member: &u8| self.holdings.iter().filter(|holding| holding.owner == Some(*member)).count();
        self.members.iter().map(of).collect()
    }

    fn assert_balanced(&self) {
        let counts = self.counts();
        assert_eq!(counts.iter().sum::<usize>(), self.holdings.len(), "every partition has an owner: {self:?}");
        let (least, most) = (counts.iter().min().unwrap(), counts.iter().max().unwrap());
        assert!(most - least <= 1, "{self:?}");
        assert!(self.members.iter().all(|me| self.step(*me).is_empty()), "{self:?}");
    }
}

fn check(members: &[u8], holdings: &[(u8, u8)], me: u8, claim: &[u32], ask: &[u32]) {
    let step = World::new(members, holdings).step(me);
    assert_eq!((&step.claim[..], &step.ask[..]), (claim, ask), "{holdings:?}");
}

#[test]
fn the_first_member_takes_all_and_the_second_asks_for_half() {
    check(&[1], &[(0, 0); 4], 1, &[0, 1, 2, 3], &[]);
    check(&[1, 2], &[(1, 0); 4], 2, &[], &[3, 2]);
    check(&[1, 2], &[(1, 0); 4], 1, &[], &[]);
    check(&[1, 2], &[(1, 0), (1, 0), (1, 2), (1, 2)], 2, &[], &[]);
    check(&[1, 2], &[(1, 0), (1, 0), (0, 2), (1, 2)], 2, &[2], &[]);
    check(&[1, 2], &[(1, 0), (1, 0), (0, 2), (1, 2)], 1, &[], &[]);
}

#[test]
fn shares_that_differ_by_one_stay_whoever_has_more() {
    check(&[1, 2], &[(2, 0), (2, 0), (1, 0)], 1, &[], &[]);
    check(&[1, 2], &[(2, 0), (2, 0), (1, 0)], 2, &[], &[]);
}

#[test]
fn the_third_member_takes_over_a_wish_rather_than_disturb_anybody() {
    check(&[1, 2, 3], &[(1, 0), (1, 0), (1, 2), (1, 2)], 3, &[], &[3]);
}

#[test]
fn a_wish_of_who_is_gone_is_void_and_a_member_may_take_its_own_back() {
    check(&[1], &[(1, 2), (1, 0), (0, 2)], 1, &[2], &[]);
    // A third member is gone: what the second one asked for is too much now.
    check(&[1, 2], &[(1, 2), (1, 2), (2, 0), (2, 0)], 1, &[], &[1, 0]);
}

#[test]
fn who_is_no_member_or_has_no_share_does_nothing() {
    check(&[1], &[(0, 0)], 2, &[], &[]);
    check(&[1, 2, 3], &[(1, 0), (2, 0)], 3, &[], &[]);
    check(&[1, 2, 3], &[(0, 0), (2, 0)], 3, &[], &[]);
}

fn world() -> impl Strategy<Value = World> {
    (1_u8..6, prop::collection::vec((0_u8..8, 0_u8..8), 1..13))
        .prop_map(|(members, holdings)| World::new(&(1..=members).collect::<Vec<_>>(), &holdings))
}

/// What happens next.
#[derive(Clone, Debug)]
enum Event {
    /// A member, by its index, looks and acts.
    Acts(usize),
    /// A member looks; it acts when it looks the next time.
    Looks(usize),
    LetsGo(usize),
    Joins(u8),
    Leaves(usize),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => (0_usize..6).prop_map(Event::Acts),
        2 => (0_usize..6).prop_map(Event::Looks),
        3 => (0_usize..6).prop_map(Event::LetsGo),
        1 => (1_u8..8).prop_map(Event::Joins),
        1 => (0_usize..6).prop_map(Event::Leaves),
    ]
}

/// What a member decided by an older look: what has an owner by now is not claimed, as the tables see to.
fn still_possible(world: &World, mut step: Step) -> Step {
    step.claim.retain(|partition| !world.lives(world.holdings[*partition as usize].owner));
    step
}

proptest! {
    /// Whatever was decided before by whom, late or not: it comes to rest in a balance, and stays there.
    #[test]
    fn any_interleaving_from_any_start_ends_in_a_balance(
        start in world(),
        events in prop::collection::vec(event(), 0..40),
    ) {
        let mut world = start;
        let mut decided: BTreeMap<u8, Step> = BTreeMap::new();
        for event in events {
            let member = |index: usize| world.members[index % world.members.len()];
            match event {
                Event::Acts(index) => {
                    let me = member(index);
                    let step = decided.remove(&me).unwrap_or_else(|| world.step(me));
                    let step = still_possible(&world, step);
                    world.apply(me, &step);
                }
                Event::Looks(index) => drop(decided.insert(member(index), world.step(member(index)))),
                Event::LetsGo(index) => world.let_go(member(index)),
                Event::Joins(me) if !world.members.contains(&me) => world.members.push(me),
                Event::Leaves(index) if world.members.len() > 1 => {
                    let me = member(index);
                    world.members.retain(|member| *member != me);
                    decided.remove(&me);
                }
                Event::Joins(_) | Event::Leaves(_) => {}
            }
        }
        world.settle();
        world.assert_balanced();
        prop_assert_eq!(world.settle(), 0);
    }

    /// From a table without wishes, no more partitions move than must.
    #[test]
    fn no_more_moves_than_needed(start in world()) {
        let mut world = start;
        let members = world.members.clone();
        for holding in &mut world.holdings {
            holding.wanted_by = None;
            holding.owner = holding.owner.filter(|owner| members.contains(owner));
        }
        let (least, counts) = (world.holdings.len() / members.len(), world.counts());
        let remain = world.holdings.len() % members.len();
        let above = counts.iter().filter(|count| **count > least).count();
        // Who has too many gives all but its share, and as many shares as remain are larger by one.
        let surplus: usize = counts.iter().map(|count| count.saturating_sub(least)).sum();
        let free = world.holdings.len() - counts.iter().sum::<usize>();
        let needed = free + surplus - above.min(remain);
        prop_assert_eq!(world.settle(), needed);
    }
}
