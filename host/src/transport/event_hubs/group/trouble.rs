//! Whether a member gets on with the store. Pure. The first failure is told, and that all is well once nothing fails any
//! more of what failed; in between nothing is.

use std::collections::BTreeSet;

use crate::transport::event_hubs::layout::Kind;

/// What a call was for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Purpose {
    /// To look at the group.
    Look,
    /// To change an entry, or what belongs to that.
    Change(Kind, u32),
}

#[derive(Debug, Default)]
pub(super) struct Trouble {
    failing: BTreeSet<Purpose>,
}

/// What is to be told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum News {
    /// As before.
    None,
    /// Something fails, for the first time since all was well.
    Failed,
    /// All is well again.
    Well,
}

impl Trouble {
    /// A call has failed.
    pub(super) fn failed(&mut self, purpose: Purpose) -> News {
        let is_first = self.failing.is_empty();
        self.failing.insert(purpose);
        if is_first { News::Failed } else { News::None }
    }

    /// A call has gone well.
    pub(super) fn worked(&mut self, purpose: Purpose) -> News {
        self.retain(|failing| failing != purpose)
    }

    /// What failed and is tried no more is not waited for.
    pub(super) fn retain(&mut self, is_tried: impl Fn(Purpose) -> bool) -> News {
        let was_in_trouble = !self.failing.is_empty();
        self.failing.retain(|purpose| is_tried(*purpose));
        if was_in_trouble && self.failing.is_empty() { News::Well } else { News::None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_is_told_once_and_its_end_once() {
        let (mut trouble, renewal) = (Trouble::default(), Purpose::Change(Kind::Ownership, 3));
        assert_eq!(trouble.worked(Purpose::Look), News::None);
        assert_eq!(trouble.failed(Purpose::Look), News::Failed);
        assert_eq!(trouble.failed(renewal), News::None);
        assert_eq!(trouble.failed(renewal), News::None);
        assert_eq!(trouble.worked(Purpose::Look), News::None, "renewing fails still");
        assert_eq!(trouble.worked(renewal), News::Well);
        assert_eq!(trouble.failed(renewal), News::Failed);
        assert_eq!(trouble.retain(|purpose| purpose == Purpose::Look), News::Well, "nobody renews it any more");
    }
}
