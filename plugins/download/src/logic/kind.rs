//! The types of files that are taken: how they are called, and how they begin.

use claims::Failure;

/// A type of file.
#[derive(Debug)]
pub struct Kind {
    extension: &'static str,
    /// What servers call it; the first is what it is called from here on.
    media_types: &'static [&'static str],
    signature: Signature,
}

/// How files of a type begin.
#[derive(Debug)]
enum Signature {
    /// In ways that cannot be told apart from others.
    Any,
    /// With one of these.
    Opening(&'static [&'static [u8]]),
    /// With one of these, so many bytes in.
    At(usize, &'static [&'static [u8]]),
    /// With this, somewhere in what is looked at.
    Within(&'static [u8]),
}

use Signature::{Any, At, Opening, Within};

/// Bytes of a body that are looked at before it is stored.
pub const OPENING: u32 = 1024;

/// What a server says that does not know. Stores of objects say it of everything.
const SAYS_NOTHING: [&str; 2] = ["application/octet-stream", "binary/octet-stream"];

const ZIP: Signature = Opening(&[b"PK\x03\x04", b"PK\x05\x06"]);
const JPEG: Signature = Opening(&[b"\xff\xd8\xff"]);
const TIFF: Signature = Opening(&[b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"]);
/// The atoms that a film of the QuickTime family may begin with.
const ATOMS: Signature = At(4, &[b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"]);

const fn kind(extension: &'static str, media_types: &'static [&'static str], signature: Signature) -> Kind {
    Kind { extension, media_types, signature }
}

/// Every type that is taken. Office files of the older kind are often something else under that name, which opens in
/// the same programs: how they begin says nothing.
static KINDS: [Kind; 22] = [
    kind("pdf", &["application/pdf"], Within(b"%PDF-")),
    kind("xml", &["application/xml", "text/xml"], Any),
    kind("txt", &["text/plain"], Any),
    kind("csv", &["text/csv", "application/csv", "text/plain", "application/vnd.ms-excel"], Any),
    kind("json", &["application/json", "text/json", "text/plain"], Any),
    kind("html", &["text/html"], Any),
    kind("htm", &["text/html"], Any),
    kind("xls", &["application/vnd.ms-excel"], Any),
    kind("xlsx", &["application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "application/zip"], ZIP),
    kind("doc", &["application/msword"], Any),
    kind("docx", &["application/vnd.openxmlformats-officedocument.wordprocessingml.document", "application/zip"], ZIP),
    kind("esx", &["application/octet-stream", "application/zip", "application/xml", "text/xml"], Any),
    kind("jpg", &["image/jpeg"], JPEG),
    kind("jpeg", &["image/jpeg"], JPEG),
    kind("png", &["image/png"], Opening(&[b"\x89PNG\r\n\x1a\n"])),
    kind("gif", &["image/gif"], Opening(&[b"GIF87a", b"GIF89a"])),
    kind("bmp", &["image/bmp", "image/x-ms-bmp"], Opening(&[b"BM"])),
    kind("tiff", &["image/tiff"], TIFF),
    kind("tif", &["image/tiff"], TIFF),
    kind("webp", &["image/webp"], At(8, &[b"WEBP"])),
    kind("mov", &["video/quicktime"], ATOMS),
    kind("mp4", &["video/mp4"], ATOMS),
];

impl Kind {
    /// The type of an extension in lower case.
    pub fn of(extension: &str) -> Option<&'static Self> {
        KINDS.iter().find(|kind| kind.extension == extension)
    }

    /// Its extension.
    pub fn extension(&self) -> &'static str {
        self.extension
    }

    /// What it is called.
    pub fn media_type(&self) -> &'static str {
        self.media_types.first().copied().unwrap_or("application/octet-stream")
    }

    /// Whether a server may call it so, or says nothing.
    pub fn may_be_called(&self, media_type: &str) -> bool {
        let mut known = self.media_types.iter().chain(&SAYS_NOTHING);
        known.any(|known| known.eq_ignore_ascii_case(media_type))
    }
}

/// Whether a body begins as files of its type do. There must be something in it.
pub fn looks_like(kind: &Kind, opening: &[u8]) -> Result<(), Failure> {
    if opening.is_empty() {
        return Err(super::head::empty());
    }
    let begins = |from: usize, with: &[&[u8]]| {
        let opening = opening.get(from..).unwrap_or_default();
        with.iter().any(|signature| opening.starts_with(signature))
    };
    let as_it_should = match kind.signature {
        Any => true,
        Opening(with) => begins(0, with),
        At(from, with) => begins(from, with),
        Within(text) => opening.windows(text.len()).any(|window| window == text),
    };
    if as_it_should {
        return Ok(());
    }
    let reason = format!("the file does not begin as files of type `{}` do", kind.extension);
    Err(Failure::later("content-mismatch", reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_allowed_extension_has_a_type() {
        let allowed = "pdf xml txt csv json html htm xls xlsx doc docx esx jpg jpeg png gif bmp tiff tif webp mov mp4";
        let kinds: Vec<_> = allowed.split(' ').map(|extension| Kind::of(extension).unwrap().extension()).collect();
        assert_eq!(kinds.join(" "), allowed);
        assert_eq!(KINDS.len(), kinds.len());
        assert!(Kind::of("exe").is_none() && Kind::of("").is_none() && Kind::of("PDF").is_none());
    }

    #[test]
    fn a_type_may_be_called_by_its_names_or_by_none() {
        for kind in &KINDS {
            for name in kind.media_types.iter().chain(&SAYS_NOTHING) {
                assert!(kind.may_be_called(name) && kind.may_be_called(&name.to_uppercase()), "{kind:?} {name}");
            }
            let others = ["video/mp4", "image/png"].into_iter().filter(|name| *name != kind.media_type());
            others.for_each(|name| assert!(!kind.may_be_called(name), "{kind:?} {name}"));
            assert!(!kind.may_be_called(""), "{kind:?}");
        }
    }

    #[test]
    fn files_begin_as_their_type_does() {
        let real: &[(&str, &[u8])] = &[
            ("pdf", b"%PDF-1.7\n"),
            ("pdf", b"\xef\xbb\xbfjunk before %PDF-1.4"),
            ("xml", b"<?xml"),
            ("txt", b"a"),
            ("csv", b"a,b"),
            ("json", b"{"),
            ("html", b"<html"),
            ("htm", b"<!DOCTYPE html>"),
            ("xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"),
            ("xls", b"<table>"),
            ("xlsx", b"PK\x03\x04"),
            ("doc", b"{\\rtf1"),
            ("docx", b"PK\x03\x04"),
            ("esx", b"PK\x03\x04"),
            ("esx", b"<estimate>"),
            ("jpg", b"\xff\xd8\xff\xe0"),
            ("jpeg", b"\xff\xd8\xff\xe1"),
            ("png", b"\x89PNG\r\n\x1a\n"),
            ("gif", b"GIF89a"),
            ("bmp", b"BM6"),
            ("tiff", b"MM\0*"),
            ("tif", b"II*\0"),
            ("webp", b"RIFF\x10\0\0\0WEBPVP8 "),
            ("mov", b"\0\0\0\x14ftypqt  "),
            ("mov", b"\0\0\0\x08wide"),
            ("mp4", b"\0\0\0\x18ftypisom"),
        ];
        for (extension, opening) in real {
            assert_eq!(looks_like(Kind::of(extension).unwrap(), opening), Ok(()), "{extension}");
        }
    }

    #[test]
    fn an_error_page_is_no_file() {
        let page = b"<!DOCTYPE html><html><body>Sorry</body></html>";
        for kind in KINDS.iter().filter(|kind| !matches!(kind.signature, Any)) {
            let failure = looks_like(kind, page).unwrap_err();
            assert_eq!((failure.code.as_str(), failure.next), ("content-mismatch", claims::Next::Later(None)));
            assert!(failure.reason.contains(kind.extension));
            assert!(looks_like(kind, b"x").is_err(), "{kind:?}");
        }
    }

    #[test]
    fn nothing_is_no_file_of_any_type() {
        for kind in &KINDS {
            assert_eq!(looks_like(kind, b"").unwrap_err().code, "empty", "{kind:?}");
        }
    }
}
