//! Where files lie in stores. Ids in paths are one segment each, so that no two attachments share a path and none can
//! climb out. Every path is as the host writes it, for results tell it: empty and `.` segments are gone, and what no
//! store takes in a name is percent-encoded, or cut where it is too long.
//!
//! | file | path |
//! |---|---|
//! | cached | `{domain}/{trace_id}/{media_id}/{file name}` |
//! | at its destination | the destination of the message, with the media id before the file name |

use crate::{Domain, Failure, name};

/// The longest path that every store takes, in bytes.
const LIMIT: usize = 1024;

/// Where a fetched file waits for its upload. The path says all of an attachment's identity: siblings of one event,
/// and two events of one medium, never meet.
pub fn cached(domain: Domain, trace_id: &str, media_id: &str, blob_path: &str) -> Result<String, Failure> {
    let (_, name) = split(blob_path)?;
    let (trace_id, media_id) = (segment("trace_id", trace_id)?, segment("media_id", media_id)?);
    limited(format!("{}/{trace_id}/{media_id}/{name}", domain.name()))
}

/// Where a file stays: two files of one name in one folder do not meet either.
pub fn destination(destination_path: &str, media_id: &str) -> Result<String, Failure> {
    let (folder, name) = split(destination_path)?;
    let media_id = segment("media_id", media_id)?;
    limited(if folder.is_empty() { format!("{media_id}/{name}") } else { format!("{folder}/{media_id}/{name}") })
}

fn limited(path: String) -> Result<String, Failure> {
    match path.len() {
        0..=LIMIT => Ok(path),
        long => Err(invalid(&format!("the path in the store would have {long} bytes, where {LIMIT} are the most"))),
    }
}

/// Whether a path stays in its store, as far as a plugin can say it. Stores look closer.
pub fn within(field: &str, path: &str) -> Result<(), Failure> {
    if path.starts_with('/') {
        return Err(invalid(&format!("{field} begins with `/`: it must be a path in its store")));
    }
    if path.split('/').any(|segment| segment == "..") {
        return Err(invalid(&format!("{field} holds `..`: it could lead out of its store")));
    }
    Ok(())
}

/// Folder and file name of a path.
fn split(path: &str) -> Result<(String, String), Failure> {
    within("the destination", path)?;
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    match name.trim() {
        "" | "." => Err(invalid("the destination ends without a file name")),
        _ => Ok((spelled(folder), name::spelled(name))),
    }
}

fn spelled(folder: &str) -> String {
    let segments = folder.split('/').filter(|segment| !segment.is_empty() && *segment != ".");
    segments.map(name::spelled).collect::<Vec<_>>().join("/")
}

/// An id that is one segment of a path.
fn segment<'a>(field: &str, id: &'a str) -> Result<&'a str, Failure> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if !id.is_empty() && id.chars().all(is_plain) && !id.starts_with('.') && !id.ends_with('.') {
        return Ok(id);
    }
    Err(invalid(&format!("`{field}` is no plain id of letters, digits, `-`, `_` and `.`, so it cannot be in a path")))
}

fn invalid(reason: &str) -> Failure {
    Failure::never("path-invalid", reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cached_path_says_all_of_the_identity() {
        let path = |domain, trace, media, blob| cached(domain, trace, media, blob).unwrap();
        assert_eq!(
            path(Domain::Claimx, "3a95", "81530077", "6120457/media/kitchen.jpg"),
            "claimx/3a95/81530077/kitchen.jpg"
        );
        assert_eq!(path(Domain::Verisk, "9f1c-1", "cbc5", "estimate.pdf"), "verisk/9f1c-1/cbc5/estimate.pdf");
    }

    #[test]
    fn two_media_of_one_name_have_two_destinations() {
        let path = |media| destination("6120457/media/kitchen.jpg", media).unwrap();
        assert_eq!(path("81530077"), "6120457/media/81530077/kitchen.jpg");
        assert_ne!(path("81530077"), path("81530078"));
        assert_eq!(destination("kitchen.jpg", "7").unwrap(), "7/kitchen.jpg");
    }

    #[test]
    fn empty_and_dot_segments_go_so_that_a_path_is_the_real_one() {
        for path in ["a/b/x.pdf", "a//b/x.pdf", "./a/b/x.pdf", "a/./b//./x.pdf"] {
            assert_eq!(destination(path, "7").unwrap(), "a/b/7/x.pdf", "{path}");
        }
        assert_eq!(destination(".//x.pdf", "7").unwrap(), "7/x.pdf");
    }

    /// R15: what a store refuses in a name keeps no file from being stored, and two names stay two.
    #[test]
    fn a_name_that_no_store_takes_is_spelled() {
        assert_eq!(destination("1/media/a: b.jpg", "7").unwrap(), "1/media/7/a%3A b.jpg");
        assert_eq!(destination("a\\b./x. ", "7").unwrap(), "a%5Cb%2E/7/x.%20");
        assert_eq!(cached(Domain::Claimx, "t", "7", "1/a\tb.jpg").unwrap(), "claimx/t/7/a%09b.jpg");
    }

    #[test]
    fn a_destination_that_leads_elsewhere_is_refused() {
        for path in ["", "/", "a/", "/etc/passwd", "../x", "a/../x", "a/..", "a/ ", "a/."] {
            let failure = destination(path, "7").unwrap_err();
            assert_eq!(failure.code, "path-invalid", "{path}");
            assert!(cached(Domain::Claimx, "t", "7", path).is_err(), "{path}");
        }
    }

    #[test]
    fn a_path_that_no_store_takes_is_refused_by_its_length() {
        let long = |bytes: usize| format!("{}/x.pdf", "a/".repeat(bytes / 2));
        assert_eq!(destination(&long(1016), "7").unwrap().len(), 1023);
        let failure = destination(&long(1018), "7").unwrap_err();
        assert_eq!(failure.reason, "the path in the store would have 1025 bytes, where 1024 are the most");
    }

    #[test]
    fn an_id_that_is_no_segment_is_refused_by_the_name_of_its_field() {
        for id in ["", ".", "..", "a/b", "../a", "a\\b", "a:b", "a b", "ä", "a?", ".hidden", "dot."] {
            let failure = cached(Domain::Verisk, "t", id, "x.pdf").unwrap_err();
            assert!(failure.reason.contains("`media_id`"), "{id}: {}", failure.reason);
            let failure = cached(Domain::Verisk, id, "m", "x.pdf").unwrap_err();
            assert!(failure.reason.contains("`trace_id`"), "{id}: {}", failure.reason);
        }
    }
}
