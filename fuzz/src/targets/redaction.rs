//! A text on its way to people.
//!
//! - What is cut out once leaves nothing to cut out.
//! - A signature in the query of a URL, and a password before its host, do not come through, whatever stands before
//!   them.

use lockgate::model::without_queries;

use crate::Verdict;

/// Taken out of inputs, for a fuzzer guesses it by and by.
const SECRET: &str = "5ecret";

pub(crate) fn run(data: &[u8]) -> Verdict {
    let text = String::from_utf8_lossy(data).replace(SECRET, "");
    let clean = without_queries(&text);
    assert_eq!(without_queries(&clean), clean, "{text:?}");
    for secret in ["https://host/a?sig=5ecret&b=5ecret", "https://u:5ecret@host"].map(|url| format!("{text}{url}")) {
        let clean = without_queries(&secret);
        assert!(!clean.contains(SECRET), "{secret:?} becomes {clean:?}");
    }
    if clean == text { Verdict::Taken } else { Verdict::Refused }
}
