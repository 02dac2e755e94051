//! What a member takes in: what its calls have brought.

use super::*;
use crate::storage::conditional::Version;
use crate::transport::event_hubs::group::keeper::{Keeper, Stored};
use crate::transport::event_hubs::group::trouble::{News, Purpose};
use crate::transport::event_hubs::owners::Stands;

impl Member {
    pub(super) fn done(&mut self, done: Done) {
        match done {
            Done::Looked(looked) => self.looked(looked),
            Done::Claimed(partition, epoch, claimed) => {
                self.changed(Kind::Ownership, partition);
                self.claiming -= 1;
                self.news |= self.claiming == 0;
                self.claimed(partition, epoch, claimed);
            }
            Done::Renewed(partition, epoch, renewed) => {
                self.changed(Kind::Ownership, partition);
                self.renewed(partition, epoch, renewed);
            }
            Done::Released(partition, released) => {
                self.changed(Kind::Ownership, partition);
                self.released(partition, released);
            }
            Done::Wished(partition, owns, wished) => {
                self.changed(Kind::Wish, partition);
                self.wished(partition, owns, wished);
            }
        }
    }

    fn looked(&mut self, looked: Result<Looked, Failure>) {
        self.looking = false;
        let looked = match looked {
            Ok(looked) => looked,
            Err(failure) => {
                self.next_look = self.now() + self.wait;
                self.wait = (self.wait * 2).min(self.timing.poll);
                return self.failed(Purpose::Look, failure.to_string());
            }
        };
        let begun = looked.begun;
        self.owners.see(looked, &self.touched);
        self.wait = self.timing.again;
        self.news = true;
        let is_waiting = self.owners.wishing().next().is_some();
        let regular = begun + if is_waiting { self.timing.quick } else { self.timing.poll };
        let soonest = begun + self.timing.quick;
        self.next_look = self.owners.due().map_or(regular, |due| due.clamp(soonest, regular));
        self.worked(Purpose::Look);
    }

    fn claimed(&mut self, partition: u32, epoch: Epoch, claimed: Result<Acquired, Failed>) {
        let purpose = Purpose::Change(Kind::Ownership, partition);
        match claimed {
            Ok(Acquired::Yes { version, begun, stored }) => {
                self.worked(purpose);
                self.is_mine(partition, version);
                let until = begun + self.timing.hold;
                // One that took too long is not sure, and begins again.
                if self.now() < until {
                    self.acquired(partition, Tenure::new(epoch, until, begun + self.timing.renew), stored);
                }
            }
            Ok(Acquired::No(stands)) => {
                self.worked(purpose);
                self.owners.owned(partition, stands);
            }
            Err(Failed { owned, reason }) => {
                if let Some(version) = owned {
                    self.is_mine(partition, version);
                }
                self.pace.went(partition, self.now());
                self.failed(purpose, reason);
            }
        }
    }

    fn acquired(&mut self, partition: u32, tenure: Tenure, stored: Stored) {
        let (epoch, kept) = (tenure.epoch, stored.kept.clone());
        let keeper = Keeper::new(self.folder.clone(), partition, self.writer(epoch), stored);
        self.held.begin(partition, epoch, tenure.until, Arc::new(keeper));
        self.tenures.insert(partition, tenure);
        self.outbox.push(GroupEvent::Acquired { partition, epoch, kept });
    }

    fn renewed(&mut self, partition: u32, epoch: Epoch, renewed: Result<Wrote, Failure>) {
        let (now, timing) = (self.now(), self.timing);
        let purpose = Purpose::Change(Kind::Ownership, partition);
        match renewed {
            Ok(Wrote::Done { version, begun }) => {
                self.worked(purpose);
                self.is_mine(partition, version);
                let tenure = self.tenures.get_mut(&partition).filter(|tenure| tenure.epoch == epoch);
                // It ended meanwhile: what names this member all the same is taken or let go.
                let Some(tenure) = tenure else { return self.news = true };
                tenure.until = begun + timing.hold;
                tenure.renew_at = begun + timing.renew;
                self.held.extend(partition, epoch, tenure.until);
                match tenure.suspected {
                    Some(since) if begun < since => tenure.renew_at = now,
                    Some(_) => {
                        tenure.suspected = None;
                        self.pace.went(partition, now);
                        self.outbox.push(GroupEvent::Confirmed(partition));
                    }
                    None => {}
                }
            }
            Ok(Wrote::Otherwise(stands)) => {
                self.worked(purpose);
                self.owners.owned(partition, stands);
                self.news = true;
            }
            Err(failure) => {
                if let Some(tenure) = self.tenures.get_mut(&partition) {
                    tenure.renew_at = now + timing.again;
                }
                self.failed(purpose, failure.to_string());
            }
        }
    }

    fn released(&mut self, partition: u32, released: Result<Wrote, Failure>) {
        let now = self.now();
        let purpose = Purpose::Change(Kind::Ownership, partition);
        let stands = match released {
            Ok(Wrote::Done { version, .. }) => Some(Stands { version, owner: None }),
            Ok(Wrote::Otherwise(stands)) => stands,
            Err(failure) => {
                self.releasing.insert(partition, now + self.timing.again);
                return self.failed(purpose, failure.to_string());
            }
        };
        self.worked(purpose);
        self.releasing.remove(&partition);
        self.owners.owned(partition, stands);
        // Others have the time to see it.
        self.pace.rest(partition, now + self.timing.poll * 2);
    }

    fn wished(&mut self, partition: u32, owns: Owns, wished: Result<Wrote, Failure>) {
        let now = self.now();
        let purpose = Purpose::Change(Kind::Wish, partition);
        match wished {
            Ok(Wrote::Done { version, begun }) => {
                self.worked(purpose);
                let owner = (owns == Owns::Yes).then(|| self.me.clone());
                self.owners.wished(partition, Some(Stands { version, owner }));
                if owns == Owns::Yes {
                    self.wishes.insert(partition, begun + self.timing.renew);
                    self.next_look = self.next_look.min(now + self.timing.quick);
                }
            }
            Ok(Wrote::Otherwise(stands)) => {
                self.worked(purpose);
                self.owners.wished(partition, stands);
            }
            Err(failure) => {
                self.wishes.insert(partition, now + self.timing.again);
                self.failed(purpose, failure.to_string());
            }
        }
    }

    fn changed(&mut self, kind: Kind, partition: u32) {
        self.changing.remove(&(kind, partition));
    }

    fn is_mine(&mut self, partition: u32, version: Version) {
        let owner = Some(self.me.clone());
        self.owners.owned(partition, Some(Stands { version, owner }));
    }

    fn worked(&mut self, purpose: Purpose) {
        let news = self.trouble.worked(purpose);
        self.tell(news, String::new());
    }

    fn failed(&mut self, purpose: Purpose, reason: String) {
        let news = self.trouble.failed(purpose);
        self.tell(news, reason);
    }

    pub(super) fn tell(&mut self, news: News, reason: String) {
        match news {
            News::None => {}
            News::Failed => self.outbox.push(GroupEvent::Failed(reason)),
            News::Well => self.outbox.push(GroupEvent::Well),
        }
    }
}

impl Tenure {
    fn new(epoch: Epoch, until: Instant, renew_at: Instant) -> Self {
        Self { epoch, until, renew_at, asked: false, suspected: None }
    }
}
