//! Covers an endpoint's credential in what its origin sends back: some systems repeat it in their errors, and what a
//! plugin was told it can tell on. Lengths stay as they were.

use std::borrow::Cow;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};

use super::{Body, EgressError, Response};
use crate::model::Mask;

/// An answer in which nothing of the mask is to be read.
pub(super) fn covered(response: Response, mask: Mask) -> Response {
    if mask.is_empty() {
        return response;
    }
    let Response { status, headers, final_url, body } = response;
    let headers = headers.into_iter().map(|(name, value)| (mask.text(name), mask.text(value))).collect();
    let final_url = mask.text(final_url);
    Response { status, headers, final_url, body: Box::new(Covered { body, mask, open: BytesMut::new(), ended: false }) }
}

impl EgressError {
    /// An error in whose text nothing of the mask is to be read.
    pub(super) fn covered(self, mask: &Mask) -> Self {
        match self {
            Self::Denied(text) => Self::Denied(mask.text(text)),
            Self::Timeout(text) => Self::Timeout(mask.text(text)),
            Self::Connect(text) => Self::Connect(mask.text(text)),
            Self::Other(text) => Self::Other(mask.text(text)),
            Self::Unavailable { .. } | Self::Interrupted { .. } => self,
        }
    }
}

/// A body that is covered as it comes.
struct Covered {
    body: Box<dyn Body>,
    mask: Mask,
    /// What came and may be the beginning of a secret: less than a secret's length.
    open: BytesMut,
    ended: bool,
}

#[async_trait]
impl Body for Covered {
    /// Dropped before it is done, nothing is lost.
    async fn chunk(&mut self) -> Result<Option<Bytes>, EgressError> {
        while !self.ended {
            match self.body.chunk().await {
                Ok(Some(bytes)) => self.open.extend_from_slice(&bytes),
                Ok(None) => self.ended = true,
                Err(error) => return Err(error.covered(&self.mask)),
            }
            let open = if self.ended { 0 } else { self.mask.open_end(&self.open) };
            let whole = self.cut(open);
            if !whole.is_empty() {
                return Ok(Some(whole));
            }
        }
        Ok(None)
    }
}

impl Covered {
    /// Everything but the last `open` bytes, covered.
    fn cut(&mut self, open: usize) -> Bytes {
        if let Cow::Owned(covered) = self.mask.bytes(&self.open) {
            // All of it: a secret that is whole may end in what looks like the beginning of another.
            self.open = BytesMut::from(covered.as_slice());
        }
        self.open.split_to(self.open.len() - open).freeze()
    }
}
