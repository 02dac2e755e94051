//! What a member begins: what is due, and what follows from what it knows of the group.

use tracing::info;

use super::*;
use crate::storage::conditional::Version;
use crate::transport::event_hubs::group::acquire::acquire;
use crate::transport::event_hubs::group::look::look;
use crate::transport::event_hubs::group::trouble::Purpose;
use crate::transport::event_hubs::owners::{Claim, Step};

impl Member {
    /// Begins what is due. Renewals first.
    pub(super) fn begin(&mut self) {
        let now = self.now();
        let is_due = |partition: u32, at: Instant| at <= now && self.is_free(Kind::Ownership, partition);
        let renew = self.tenures.iter().filter(|(partition, tenure)| is_due(**partition, tenure.renew_at));
        let renew: Vec<(u32, Epoch)> = renew.map(|(partition, tenure)| (*partition, tenure.epoch)).collect();
        let release = self.releasing.iter().filter(|(partition, at)| is_due(**partition, **at));
        let release: Vec<u32> = release.map(|(partition, _)| *partition).collect();
        renew.into_iter().for_each(|(partition, epoch)| self.renew(partition, epoch));
        release.into_iter().for_each(|partition| self.release(partition));
        if now >= self.next_look && !self.looking {
            self.look();
        }
        if std::mem::take(&mut self.news) {
            self.act();
        }
        self.wish_again();
    }

    /// Does what follows from what is known.
    fn act(&mut self) {
        let step = self.owners.step(self.partitions);
        self.forget_what_is_not_tried(&step);
        let Step { claim, ask, asked, granted } = step;
        self.tell_what_is_asked(asked);
        self.take_or_leave_what_is_unheld();
        claim.into_iter().for_each(|claim| self.claim(claim));
        ask.into_iter().for_each(|(partition, version)| self.wish(partition, Owns::Yes, version));
        granted.into_iter().for_each(|(partition, version)| self.wish(partition, Owns::No, Some(version)));
    }

    /// What failed is no trouble any more where nobody tries it again.
    fn forget_what_is_not_tried(&mut self, step: &Step) {
        let Step { claim, ask, granted, .. } = step;
        let is_wished = |partition: u32| {
            ask.iter().any(|(wish, _)| *wish == partition)
                || granted.iter().any(|(wish, _)| *wish == partition)
                || self.owners.wishing().any(|(wish, _)| wish == partition)
        };
        let is_claimed =
            |partition: u32| self.owners.is_mine(partition) || claim.iter().any(|claim| claim.partition == partition);
        let news = self.trouble.retain(|purpose| match purpose {
            Purpose::Look => true,
            Purpose::Change(Kind::Wish, partition) => is_wished(partition),
            Purpose::Change(_, partition) => is_claimed(partition),
        });
        self.tell(news, String::new());
    }

    fn tell_what_is_asked(&mut self, asked: Vec<u32>) {
        let is_news = |partition: &u32| {
            let tenure = self.tenures.get_mut(partition).filter(|tenure| !tenure.asked);
            tenure.map(|tenure| tenure.asked = true).is_some()
        };
        let asked: Vec<u32> = asked.into_iter().filter(is_news).collect();
        if !asked.is_empty() {
            self.outbox.push(GroupEvent::Asked(asked));
        }
    }

    /// Ownerships that name this member though it holds nothing: what it lost while the store did not answer, or could
    /// not take to the end.
    fn take_or_leave_what_is_unheld(&mut self) {
        let is_unheld = |partition: &u32| {
            let is_held = self.tenures.contains_key(partition) || self.releasing.contains_key(partition);
            !is_held && self.is_free(Kind::Ownership, *partition)
        };
        let unheld = self.owners.mine().filter(|(partition, _)| is_unheld(partition));
        let unheld: Vec<(u32, Version)> = unheld.map(|(partition, version)| (partition, version.clone())).collect();
        let now = self.now();
        for (partition, version) in unheld {
            if self.owners.is_asked_for(partition) {
                self.releasing.insert(partition, now);
            } else {
                self.claim(Claim { partition, version: Some(version), from: None });
            }
        }
    }

    fn claim(&mut self, Claim { partition, version, from }: Claim) {
        let now = self.now();
        let due = self.pace.due(partition, now);
        if due > now {
            self.next_look = self.next_look.min(due);
            return;
        }
        if !self.is_free(Kind::Ownership, partition) || self.releasing.contains_key(&partition) {
            return;
        }
        if let Some(from) = from {
            info!(
                member = self.me,
                partition, from, "takes a partition from a member that is gone, or cannot be asked"
            );
        }
        self.epochs += 1;
        self.claiming += 1;
        let (folder, me, epoch) = (self.folder.clone(), self.me.clone(), Epoch(self.epochs));
        let writer = self.writer(epoch);
        self.change(Kind::Ownership, partition, async move {
            Done::Claimed(partition, epoch, acquire(&folder, partition, version, (&me, &writer)).await)
        });
    }

    fn renew(&mut self, partition: u32, epoch: Epoch) {
        if let Some(put) = self.put_own(Kind::Ownership, partition, Owns::Yes) {
            self.change(Kind::Ownership, partition, async move { Done::Renewed(partition, epoch, put.await) });
        }
    }

    fn release(&mut self, partition: u32) {
        match self.put_own(Kind::Ownership, partition, Owns::No) {
            Some(put) => self.change(Kind::Ownership, partition, async move { Done::Released(partition, put.await) }),
            // It is another's already.
            None => drop(self.releasing.remove(&partition)),
        }
    }

    fn wish(&mut self, partition: u32, owns: Owns, version: Option<Version>) {
        if self.is_free(Kind::Wish, partition) {
            let (folder, me) = (self.folder.clone(), self.me.clone());
            self.change(Kind::Wish, partition, async move {
                Done::Wished(partition, owns, folder.put_owner((Kind::Wish, partition), &me, owns, version).await)
            });
        }
    }

    /// Shows those that are asked that this member lives.
    fn wish_again(&mut self) {
        let now = self.now();
        let wishing = self.owners.wishing().map(|(partition, version)| (partition, version.clone()));
        let wishing: BTreeMap<u32, Version> = wishing.collect();
        self.wishes.retain(|partition, _| wishing.contains_key(partition));
        for (partition, version) in wishing {
            if self.wishes.get(&partition).is_none_or(|at| *at <= now) {
                self.wish(partition, Owns::Yes, Some(version));
            }
        }
    }

    fn look(&mut self) {
        self.looking = true;
        self.touched = self.changing.clone();
        let (folder, partitions, known) = (self.folder.clone(), self.partitions, self.owners.known());
        let changed = self.changing.clone();
        self.work.push(Box::pin(async move { Done::Looked(look(&folder, partitions, known, changed).await) }));
    }

    /// Puts this member into an ownership that names it, or takes it out; none where it names another.
    fn put_own(&self, kind: Kind, partition: u32, owns: Owns) -> Option<BoxFuture<'static, Result<Wrote, Failure>>> {
        let version = self.owners.version_of_mine(partition)?.clone();
        let (folder, me) = (self.folder.clone(), self.me.clone());
        Some(Box::pin(async move { folder.put_owner((kind, partition), &me, owns, Some(version)).await }))
    }

    fn change(&mut self, kind: Kind, partition: u32, change: impl Future<Output = Done> + Send + 'static) {
        self.changing.insert((kind, partition));
        self.touched.insert((kind, partition));
        self.work.push(Box::pin(change));
    }

    pub(super) fn is_free(&self, kind: Kind, partition: u32) -> bool {
        !self.changing.contains(&(kind, partition))
    }

    /// Names an ownership, and no other one.
    pub(super) fn writer(&self, epoch: Epoch) -> String {
        format!("{}.{}", self.me, epoch.0)
    }
}
