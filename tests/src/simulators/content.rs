//! Files that nobody has to keep: every byte follows from a name, a size and a version, at any offset, so that a file
//! of any size can be served, cut and compared without ever being in memory.

use bytes::Bytes;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use sha2::{Digest, Sha256};

/// Bytes made at once.
pub const CHUNK: u64 = 64 << 10;

/// A type of file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Format {
    /// As names end in, without the dot.
    pub extension: &'static str,
    /// As servers call it.
    pub media_type: &'static str,
    /// What files of it begin with.
    opening: &'static [u8],
    filling: Filling,
    /// What files of it end with.
    closing: &'static [u8],
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Filling {
    Bytes,
    /// Letters, digits and blanks, which are text in every format that is.
    Text,
}

const fn binary(extension: &'static str, media_type: &'static str, opening: &'static [u8]) -> Format {
    Format { extension, media_type, opening, filling: Filling::Bytes, closing: b"" }
}

const fn text(
    extension: &'static str,
    media_type: &'static str,
    opening: &'static [u8],
    closing: &'static [u8],
) -> Format {
    Format { extension, media_type, opening, filling: Filling::Text, closing }
}

const ZIP: &[u8] = b"PK\x03\x04";
const COMPOUND: &[u8] = b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1";
const JPEG: &[u8] = b"\xFF\xD8\xFF\xE0\x00\x10JFIF\x00";
const TIFF: &[u8] = b"II*\x00\x08\x00\x00\x00";
const HTML: &[u8] = b"<!DOCTYPE html>\n<html><body><p>";
const HTML_END: &[u8] = b"</p></body></html>\n";

/// Every type that the claims pipelines take.
pub const FORMATS: [Format; 22] = [
    binary("pdf", "application/pdf", b"%PDF-1.7\n%\xE2\xE3\xCF\xD3\n"),
    text("xml", "application/xml", b"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<note>", b"</note>\n"),
    text("txt", "text/plain", b"", b"\n"),
    text("csv", "text/csv", b"name,text\n1,", b"\n"),
    text("json", "application/json", b"{\"text\":\"", b"\"}\n"),
    text("html", "text/html", HTML, HTML_END),
    text("htm", "text/html", HTML, HTML_END),
    binary("xls", "application/vnd.ms-excel", COMPOUND),
    binary("xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", ZIP),
    binary("doc", "application/msword", COMPOUND),
    binary("docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document", ZIP),
    binary("esx", "application/octet-stream", ZIP),
    binary("jpg", "image/jpeg", JPEG),
    binary("jpeg", "image/jpeg", JPEG),
    binary("png", "image/png", b"\x89PNG\r\n\x1A\n"),
    binary("gif", "image/gif", b"GIF89a"),
    binary("bmp", "image/bmp", b"BM"),
    binary("tiff", "image/tiff", TIFF),
    binary("tif", "image/tiff", TIFF),
    binary("webp", "image/webp", b"RIFF\x00\x00\x00\x00WEBPVP8 "),
    binary("mov", "video/quicktime", b"\x00\x00\x00\x14ftypqt  \x00\x00\x00\x00qt  "),
    binary("mp4", "video/mp4", b"\x00\x00\x00\x18ftypisom\x00\x00\x02\x00isomiso2"),
];

/// The format of a name, if it is one of [`FORMATS`].
pub fn format_of(name: &str) -> Option<&'static Format> {
    let (_, extension) = name.rsplit_once('.')?;
    FORMATS.iter().find(|format| extension.eq_ignore_ascii_case(format.extension))
}

/// One file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Content {
    format: &'static Format,
    size: u64,
    seed: [u8; 32],
}

impl Content {
    /// The file of this name and size in bytes. Another version is another file of the same size.
    pub fn new(format: &'static Format, size: u64, name: &str, version: u32) -> Self {
        let seed = Sha256::digest(format!("{version}/{name}/{size}"));
        Self { format, size, seed: seed.into() }
    }

    /// Its type.
    pub fn format(&self) -> &'static Format {
        self.format
    }

    /// Bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// SHA-256 in lower-case hex.
    pub fn sha256(&self) -> String {
        let mut hash = Sha256::new();
        let mut at = 0;
        while at < self.size {
            let piece = self.read(at, CHUNK);
            at += piece.len() as u64;
            hash.update(&piece);
        }
        hex(&hash.finalize())
    }

    /// At most `length` bytes from `at` on; fewer at the end, none behind it.
    pub fn read(&self, at: u64, length: u64) -> Bytes {
        let end = at.saturating_add(length).min(self.size);
        let mut piece = self.filling(at, end.saturating_sub(at));
        overlay(&mut piece, at, self.format.opening, 0);
        let closing = self.format.closing;
        overlay(&mut piece, at, closing, self.size.saturating_sub(closing.len() as u64));
        piece.truncate(usize::try_from(end.saturating_sub(at)).unwrap_or(0));
        piece.into()
    }

    fn filling(&self, at: u64, length: u64) -> Vec<u8> {
        const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789 -";
        // The generator is addressed in words of four bytes.
        let before = usize::try_from(at % 4).unwrap_or(0);
        let mut bytes = vec![0; before + usize::try_from(length).unwrap_or(0)];
        let mut random = ChaCha8Rng::from_seed(self.seed);
        random.set_word_pos(u128::from(at / 4));
        random.fill_bytes(&mut bytes);
        bytes.drain(..before);
        if self.format.filling == Filling::Text {
            let letter = |byte: &u8| ALPHABET.get(usize::from(byte & 63)).copied().unwrap_or(b' ');
            bytes.iter_mut().for_each(|byte| *byte = letter(byte));
        }
        bytes
    }
}

/// Lays what of `part`, which belongs at `place`, is within `piece`, which begins at `at`.
fn overlay(piece: &mut [u8], at: u64, part: &[u8], place: u64) {
    for (offset, byte) in (place..).zip(part) {
        let index = offset.checked_sub(at).and_then(|index| usize::try_from(index).ok());
        if let Some(there) = index.and_then(|index| piece.get_mut(index)) {
            *there = *byte;
        }
    }
}

/// Bytes as lower-case hex.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(extension: &str, size: u64) -> Content {
        Content::new(format_of(&format!("x.{extension}")).unwrap(), size, "x", 0)
    }

    #[test]
    fn any_piece_is_the_same_as_in_the_whole() {
        for format in &FORMATS {
            let content = Content::new(format, 10_240, "x", 0);
            let whole = content.read(0, 10_240);
            assert_eq!(whole.len(), 10_240);
            for (at, length) in [(0, 1), (1, 7), (3, 100), (9, 0), (4_097, 3_000), (10_230, 50), (10_240, 5)] {
                let (from, to) = (at as usize, 10_240.min(at + length) as usize);
                assert_eq!(content.read(at, length), whole[from..to], "{} {at}", format.extension);
            }
        }
    }

    #[test]
    fn files_begin_as_their_type_does() {
        assert!(content("pdf", 20_000).read(0, 100).starts_with(b"%PDF-"));
        assert!(content("png", 20_000).read(0, 100).starts_with(b"\x89PNG\r\n"));
        assert!(content("docx", 20_000).read(0, 100).starts_with(b"PK"));
    }

    #[test]
    fn a_json_file_is_json() {
        let file = content("json", 20_000).read(0, u64::MAX);
        assert_eq!(file.len(), 20_000);
        serde_json::from_slice::<serde_json::Value>(&file).unwrap();
    }

    #[test]
    fn the_hash_is_that_of_the_bytes() {
        let content = content("mp4", 3 * CHUNK + 17);
        assert_eq!(content.sha256(), hex(&Sha256::digest(content.read(0, u64::MAX))));
    }

    #[test]
    fn another_name_or_version_is_another_file() {
        let format = format_of("a.jpg").unwrap();
        let file = |name, version| Content::new(format, 10_240, name, version).sha256();
        assert_ne!(file("a", 0), file("b", 0));
        assert_ne!(file("a", 0), file("a", 1));
        assert_eq!(file("a", 0), file("a", 0));
    }
}
