//! The nouns that every other module speaks: messages, positions, checkpoints, outcomes, time. No I/O happens here.

pub mod checkpoint;
pub mod clock;
pub mod header;
pub mod headers;
pub mod message;
pub mod outcome;
pub mod progress;
pub mod redact;
pub mod secret;
pub mod units;

pub use checkpoint::Checkpoint;
pub use clock::{Clock, Timestamp};
pub use headers::{Header, Headers};
pub use message::{Message, MessageId, Origin, Partition, Position, Record};
pub use outcome::{Emission, Outcome, Verdict};
pub use progress::{Held, Progress};
pub use redact::{Mask, tells_secret, without_queries};
pub use secret::{Made, Secret, SecretRef, Secrets};
pub use units::{Period, Size};
