//! Time.

use std::time::Duration;

use crate::host;

/// Waits without holding a thread. A plugin must not block in any other way. A part of a millisecond counts as a whole
/// one; what is longer than 49 days ends then.
pub async fn sleep(time: Duration) {
    let milliseconds = time.as_nanos().div_ceil(1_000_000);
    host::sleep(u32::try_from(milliseconds).unwrap_or(u32::MAX)).await;
}
