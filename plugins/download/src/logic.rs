//! What is decided about a download, in this order. Pure.
//!
//! | what | wrong | ends as |
//! |---|---|---|
//! | the URL can be read and has a host | `url-invalid` | never |
//! | its extension is one of [`Kind`]'s | `type-not-allowed` | never |
//! | Verisk: it has not expired | `link-expired` | never: nobody can presign it again |
//! | the host allows it, and every redirect | `url-denied` | never |
//! | the status, see [`accept`] | `link-expired`, `http-…` | |
//! | it is not compressed on the way | `encoded` | later |
//! | its media type is one of the extension's, or says nothing | `content-mismatch` | later |
//! | there is something in it | `empty` | later |
//! | it is not too large | `too-large` | never |
//! | it begins as its type does | `content-mismatch` | later |
//! | as many bytes come as were announced | `source` | later |
//!
//! Which hosts, schemes and addresses are safe is the host's to say: it looks at every hop and at the address that it
//! connects to, which a plugin cannot see.

mod head;
mod kind;
mod link;

pub use head::{Head, accept};
pub use kind::{Kind, OPENING, looks_like};
pub use link::{kind, unexpired};

use claims::Failure;
use lockgate_plugin::http;

/// A request that gave no response. A denial is about the URL of the message.
pub fn unsent(error: http::Error) -> Failure {
    let denied = matches!(error, http::Error::Denied(_));
    let failure = Failure::from(error);
    if denied { Failure { code: "url-denied".into(), ..failure } } else { failure }
}
