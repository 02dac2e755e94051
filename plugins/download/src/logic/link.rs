//! What the URL of a file says by itself.

use std::time::SystemTime;

use claims::{Failure, Task};
use jiff::civil::DateTime;
use jiff::tz::Offset;
use jiff::{SignedDuration, Timestamp};
use percent_encoding::percent_decode_str;
use url::Url;

use super::Kind;

/// Query parameters that may name the file where the path does not.
const NAMES: [&str; 3] = ["filename", "file", "name"];

/// The type of a file by the extension in its URL: of the last segment of the path, else of the first parameter that
/// names the file.
pub fn kind(url: &str) -> Result<&'static Kind, Failure> {
    let url = parse(url)?;
    let Some(extension) = extension_in(&url) else {
        let reason = "neither path nor query of the URL names a file with an extension, so its type is not known";
        return Err(Failure::never("type-not-allowed", reason));
    };
    Kind::of(&extension).ok_or_else(|| {
        let shown: String = extension.chars().filter(char::is_ascii_alphanumeric).take(10).collect();
        Failure::never("type-not-allowed", format!("files of type `{shown}` are not taken"))
    })
}

/// Whether a presigned URL can still be used. Only those of Verisk are looked at: their expiry is final, while an
/// expired link of ClaimX can be asked for again. What cannot be read has not expired.
pub fn unexpired(task: &Task, now: SystemTime) -> Result<(), Failure> {
    let Task::Verisk(_) = task else { return Ok(()) };
    let expired = parse(task.url()).ok().and_then(|url| expiry(&url)).filter(|expiry| is_past(*expiry, now));
    match expired {
        None => Ok(()),
        Some(expiry) => {
            let reason = format!("the presigned link expired at {expiry}, and none can be had again");
            Err(Failure::never("link-expired", reason))
        }
    }
}

fn parse(url: &str) -> Result<Url, Failure> {
    let invalid = |reason: String| Failure::never("url-invalid", reason);
    let url = Url::parse(url).map_err(|error| invalid(format!("the URL cannot be read: {error}")))?;
    match url.host_str() {
        Some(host) if !host.is_empty() => Ok(url),
        _ => Err(invalid("the URL has no host".into())),
    }
}

fn extension_in(url: &Url) -> Option<String> {
    let file = url.path_segments().and_then(|mut segments| segments.next_back());
    let named = |name: &str| url.query_pairs().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|pair| pair.1);
    let in_query = || NAMES.iter().find_map(|name| extension(&named(name)?));
    // A query is decoded as it is taken apart, a path is not.
    let file = file.map(|file| percent_decode_str(file).decode_utf8_lossy());
    file.as_deref().and_then(extension).or_else(in_query)
}

/// What stands behind the last dot of a file name, in lower case.
fn extension(name: &str) -> Option<String> {
    let (before, extension) = name.trim().rsplit_once('.')?;
    (!before.is_empty() && !extension.is_empty()).then(|| extension.to_ascii_lowercase())
}

/// When an S3 link expires: `X-Amz-Date` and `X-Amz-Expires` in seconds, names in any case.
fn expiry(url: &Url) -> Option<Timestamp> {
    let parameter = |name: &str| url.query_pairs().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|pair| pair.1);
    let signed: DateTime = parameter("X-Amz-Date")?.strip_suffix('Z')?.parse().ok()?;
    let seconds: u32 = parameter("X-Amz-Expires")?.parse().ok()?;
    let signed = Offset::UTC.to_timestamp(signed).ok()?;
    signed.checked_add(SignedDuration::from_secs(seconds.into())).ok()
}

fn is_past(expiry: Timestamp, now: SystemTime) -> bool {
    Timestamp::try_from(now).is_ok_and(|now| now >= expiry)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use lockgate_plugin::Message;
    use serde_json::json;

    use super::*;

    #[test]
    fn the_extension_is_of_the_path_and_else_of_the_query() {
        for (url, extension) in [
            ("https://h/a/estimate.pdf?X-Amz-Date=1", Some("pdf")),
            ("https://h/a/PHOTO.JPG", Some("jpg")),
            ("https://h/service/media/81530077?filename=kitchen.jpg&sign=x", Some("jpg")),
            ("https://h/service/media/81530077?FileName=kitchen.JPEG", Some("jpeg")),
            ("https://h/x?file=a.mov", Some("mov")),
            ("https://h/x?name=a.mp4", Some("mp4")),
            ("https://h/x?name=a.mp4&filename=b.png", Some("png")),
            ("https://h/x?filename=noextension&file=a.tif", Some("tif")),
            ("https://h/x?filename=my%20photo.webp", Some("webp")),
            ("https://h/v1.2/x?filename=a.gif", Some("gif")),
            ("https://h/a.pdf/?name=b.csv", Some("csv")),
            ("https://h/a%2Epdf", Some("pdf")),
            ("https://h/a.pdf%20", Some("pdf")),
            ("https://h/a.%70df?name=b.csv", Some("pdf")),
            ("https://h/a%2Eexe?filename=a.pdf", None),
            ("https://h/a.pdf%00", None),
            ("https://h/a%252Epdf", None),
            ("https://h/a.exe", None),
            ("https://h/a.exe?filename=a.pdf", None),
            ("https://h/a.pdf.exe", None),
            ("https://h/a", None),
            ("https://h/.pdf", None),
            ("https://h/a.", None),
            ("https://h", None),
        ] {
            assert_eq!(kind(url).ok().map(|kind| kind.extension()), extension, "{url}");
        }
    }

    #[test]
    fn a_url_that_cannot_be_read_is_refused_without_repeating_it() {
        for url in ["SECRET", "/a.pdf?SECRET", "https://?SECRET", "https://[SECRET/a.pdf", "data:text/plain,SECRET.pdf"]
        {
            let failure = kind(url).unwrap_err();
            assert_eq!(failure.code, "url-invalid", "{url}");
            assert!(!failure.reason.contains("SECRET"), "{url}: {}", failure.reason);
        }
    }

    #[test]
    fn a_type_that_is_refused_is_named_but_not_at_length() {
        let failure = kind("https://h/a.exe%22%3Cscript%3E0123456789").unwrap_err();
        assert_eq!(failure.code, "type-not-allowed");
        assert!(failure.reason.contains("`exescript0`"), "{}", failure.reason);
    }

    fn verisk(url: &str) -> Task {
        let task = json!({
            "trace_id": "t", "media_id": "m", "attachment_url": url, "blob_path": "a/b.pdf", "status_subtype": "s",
            "file_type": "PDF", "assignment_id": "a", "event_type": "verisk", "event_subtype": "s",
            "original_timestamp": "2026-03-02T14:05:11Z",
        });
        Task::parse(claims::Domain::Verisk, &Message::new(task.to_string())).unwrap()
    }

    #[test]
    fn a_verisk_link_expires_for_good() {
        // 2026-03-02T14:05:11Z
        let signed = SystemTime::UNIX_EPOCH + Duration::from_secs(1_772_460_311);
        let after = |seconds| signed + Duration::from_secs(seconds);
        for (query, now, has_expired) in [
            ("X-Amz-Date=20260302T140511Z&X-Amz-Expires=3600", after(3_599), false),
            ("X-Amz-Date=20260302T140511Z&X-Amz-Expires=3600", after(3_600), true),
            ("x-amz-expires=3600&x-amz-date=20260302T140511Z", after(9_999), true),
            ("X-Amz-Date=20260302T140511Z", after(9_999), false),
            ("X-Amz-Date=20260302T140511&X-Amz-Expires=1", after(9_999), false),
            ("X-Amz-Date=yesterday&X-Amz-Expires=1", after(9_999), false),
            ("X-Amz-Date=20260302T140511Z&X-Amz-Expires=soon", after(9_999), false),
            ("X-Amz-Date=20260302T140511Z&X-Amz-Expires=-1", after(9_999), false),
            ("", after(9_999), false),
        ] {
            let judged = unexpired(&verisk(&format!("https://h/a.pdf?{query}")), now);
            assert_eq!(judged.is_err(), has_expired, "{query}");
            if let Err(failure) = judged {
                assert_eq!((failure.code.as_str(), failure.next), ("link-expired", claims::Next::Never));
                assert!(failure.reason.contains("2026-03-02T15:05:11Z"), "{}", failure.reason);
            }
        }
    }

    #[test]
    fn a_claimx_link_is_not_judged_before_its_origin_does() {
        let task = json!({
            "media_id": "1", "project_id": "2", "trace_id": "t", "blob_path": "2/media/a.pdf",
            "download_url": "https://h/a.pdf?X-Amz-Date=20200302T140511Z&X-Amz-Expires=1&systemDate=1&expires=1",
        });
        let task = Task::parse(claims::Domain::Claimx, &Message::new(task.to_string())).unwrap();
        assert_eq!(unexpired(&task, SystemTime::UNIX_EPOCH + Duration::from_secs(1_900_000_000)), Ok(()));
    }
}
