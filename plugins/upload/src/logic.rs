//! What is decided about an upload. Pure.

use claims::{Cached, Domain, Failure, paths};
use lockgate_plugin::blobs::Stored;

/// How often a file is fetched again because its cached copy was gone.
const REDOWNLOAD_LIMIT: u32 = 2;

/// What stands at a path, as far as a message is concerned.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Standing {
    /// The file of the message, by size and hash.
    It,
    /// Something else.
    Else,
    /// Nothing.
    Nothing,
}

/// What stands at a path.
pub fn standing(cached: &Cached, stored: Option<&Stored>) -> Standing {
    match stored {
        None => Standing::Nothing,
        Some(stored) if stored.size == cached.bytes() && stored.sha256.eq_ignore_ascii_case(cached.sha256()) => {
            Standing::It
        }
        Some(_) => Standing::Else,
    }
}

/// Whether what a message calls its cached file lies where the download lays it.
pub fn is_own(cached: &Cached, domain: Domain) -> bool {
    let laid = paths::cached(domain, cached.trace_id(), cached.media_id(), cached.destination_path());
    laid.is_ok_and(|path| path == cached.local_cache_path())
}

/// What stands at the destination. Something else is a conflict: it is never overwritten.
pub fn destination(cached: &Cached, path: &str, stored: Option<&Stored>) -> Result<Standing, Failure> {
    match (standing(cached, stored), stored) {
        (Standing::Else, Some(stored)) => Err(conflict(cached, path, stored)),
        (standing, _) => Ok(standing),
    }
}

fn conflict(cached: &Cached, path: &str, stored: &Stored) -> Failure {
    let (bytes, sha256) = (cached.bytes(), cached.sha256());
    let reason = format!(
        "different content stands at {path} already: {} bytes, sha256 {}, where the file has {bytes} bytes, sha256 {sha256}",
        stored.size, stored.sha256
    );
    Failure::never("conflict", reason)
}

/// How often the file will have been fetched again, once it is again. The header says how often it was.
pub fn redownloads(header: Option<&str>) -> Result<u32, Failure> {
    let so_far = header.map_or(Ok(0), |count| count.trim().parse::<u32>());
    match so_far {
        Ok(count) if count < REDOWNLOAD_LIMIT => Ok(count + 1),
        Ok(count) => {
            let reason = format!("the cached file is gone, and fetching it again {count} times did not help");
            Err(Failure::never("cached-file-missing", reason))
        }
        Err(_) => {
            let reason = "the cached file is gone, and header `redownloads` is no number, so it may be without end";
            Err(Failure::never("header-invalid", reason))
        }
    }
}

#[cfg(test)]
mod tests {
    use lockgate_plugin::Message;
    use serde_json::json;

    use super::*;

    fn cached() -> Cached {
        let cached = json!({
            "media_id": "m", "project_id": "p", "download_url": "u", "destination_path": "a/b",
            "local_cache_path": "c/d", "bytes_downloaded": 3, "sha256": "ab".repeat(32),
            "trace_id": "t", "downloaded_at": "2026-03-02T14:05:16Z",
        });
        Cached::parse(Domain::Claimx, &Message::new(cached.to_string())).unwrap()
    }

    fn stored(size: u64, sha256: &str) -> Stored {
        Stored { size, sha256: sha256.repeat(32), etag: None, content_type: None }
    }

    #[test]
    fn a_file_is_known_by_size_and_hash() {
        for (there, is) in [
            (None, Standing::Nothing),
            (Some(stored(3, "ab")), Standing::It),
            (Some(stored(3, "AB")), Standing::It),
            (Some(stored(4, "ab")), Standing::Else),
            (Some(stored(3, "ac")), Standing::Else),
        ] {
            assert_eq!(standing(&cached(), there.as_ref()), is, "{there:?}");
        }
    }

    #[test]
    fn something_else_at_the_destination_is_a_conflict_that_names_both() {
        assert_eq!(destination(&cached(), "p", None), Ok(Standing::Nothing));
        assert_eq!(destination(&cached(), "p", Some(&stored(3, "ab"))), Ok(Standing::It));
        let failure = destination(&cached(), "a/m/b", Some(&stored(4, "ff"))).unwrap_err();
        assert_eq!((failure.code.as_str(), failure.next), ("conflict", claims::Next::Never));
        for part in ["a/m/b", "4 bytes", "sha256 ff", "3 bytes", "sha256 ab"] {
            assert!(failure.reason.contains(part), "{}", failure.reason);
        }
    }

    #[test]
    fn a_file_is_fetched_again_twice_at_most() {
        assert_eq!((redownloads(None), redownloads(Some("0")), redownloads(Some("1"))), (Ok(1), Ok(1), Ok(2)));
        for count in ["2", "3", "4294967295"] {
            assert_eq!(redownloads(Some(count)).unwrap_err().code, "cached-file-missing", "{count}");
        }
        for count in ["", "-1", "x", "4294967296"] {
            assert_eq!(redownloads(Some(count)).unwrap_err().code, "header-invalid", "{count}");
        }
    }
}
