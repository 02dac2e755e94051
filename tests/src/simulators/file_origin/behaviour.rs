//! How an origin may treat those who ask.

/// How a file is served.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Behaviour {
    /// As it should be.
    Fine,
    /// 404.
    Missing,
    /// 403, as for a link whose time is over.
    Expired,
    /// 503 twice, then fine.
    UnavailableTwice,
    /// The first answer begins late; the next ones do not.
    Late,
    /// The body ends early twice; the rest can be had by range.
    CutResumable,
    /// The body ends early once; ranges are not known here.
    CutOnce,
    /// The body always ends early; ranges are not known here.
    CutAlways,
    /// The body ends early once, and then another version stands there.
    Replaced,
    /// 200 with no byte.
    Empty,
    /// Another content type than the file's.
    WrongType,
    /// Elsewhere, where one may go.
    Redirect,
    /// Elsewhere, where one may not go.
    RedirectForbidden,
}

impl Behaviour {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::Fine,
        Self::Missing,
        Self::Expired,
        Self::UnavailableTwice,
        Self::Late,
        Self::CutResumable,
        Self::CutOnce,
        Self::CutAlways,
        Self::Replaced,
        Self::Empty,
        Self::WrongType,
        Self::Redirect,
        Self::RedirectForbidden,
    ];

    /// Its word in paths.
    pub fn word(self) -> &'static str {
        match self {
            Self::Fine => "fine",
            Self::Missing => "missing",
            Self::Expired => "expired",
            Self::UnavailableTwice => "unavailable-twice",
            Self::Late => "late",
            Self::CutResumable => "cut-resumable",
            Self::CutOnce => "cut-once",
            Self::CutAlways => "cut-always",
            Self::Replaced => "replaced",
            Self::Empty => "empty",
            Self::WrongType => "wrong-type",
            Self::Redirect => "redirect",
            Self::RedirectForbidden => "redirect-forbidden",
        }
    }

    /// The one of this word.
    pub fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|behaviour| behaviour.word() == word)
    }

    /// Whether a part of a file can be asked for, and is told from a part of another version.
    pub(super) fn knows_ranges(self) -> bool {
        !matches!(self, Self::CutOnce | Self::CutAlways)
    }

    /// Which version of the file the `request`th request for it meets.
    pub(super) fn version(self, request: u32) -> u32 {
        u32::from(self == Self::Replaced && request > 1)
    }

    /// Whether the body that answers the `request`th request ends early.
    pub(super) fn cuts(self, request: u32) -> bool {
        match self {
            Self::CutResumable => request <= 2,
            Self::CutOnce | Self::Replaced => request == 1,
            Self::CutAlways => true,
            _ => false,
        }
    }
}
