//! The tasks of the demo, and what has to become of each. Everything follows from a number and the time of the
//! publication, so that a demo that was killed knows its tasks again.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::fate::{Fate, fate, place};
use crate::simulators::content::{Content, FORMATS, hex};
use crate::simulators::file_origin::{Behaviour, FilePath, Ports, url};
use crate::support::lockgate::Outgoing;

/// What every signature in a link begins with. No log may ever contain it.
pub const SIGNATURE: &str = "SENTINEL-SIGNATURE";
/// The header that tells which task a message is.
pub const TASK_HEADER: &str = "demo-task";
/// Bytes of the one large file.
pub const LARGE: u64 = 300 << 20;
/// A demo of fewer tasks goes without it.
const LARGE_FROM: usize = 200;
/// Bytes of the smallest and the largest of the other files: what [`size`] adds keeps them within 10 KiB and 8 MiB.
const SIZES: (f64, f64) = (11.0 * 1024.0, 8.0 * 1024.0 * 1024.0 - 1_000.0);
/// Names without extension; few, so that several files of one project have the same.
const WORDS: [&str; 6] = ["kitchen", "roof", "estimate", "invoice", "hallway", "policy"];

/// Whose task it is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Domain {
    /// Links of the ClaimX service.
    ClaimX,
    /// Presigned links of Verisk.
    Verisk,
}

impl Domain {
    /// Both.
    pub const ALL: [Self; 2] = [Self::ClaimX, Self::Verisk];

    /// What its topics and pipelines begin with.
    pub fn word(self) -> &'static str {
        match self {
            Self::ClaimX => "claimx",
            Self::Verisk => "verisk",
        }
    }

    /// One of its topics, such as `downloads-pending`.
    pub fn topic(self, name: &str) -> String {
        format!("{}-{name}", self.word())
    }
}

/// What is wrong with a task, or with the file that it links to.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Trouble {
    /// The file is served so.
    Origin(Behaviour),
    /// It is no JSON.
    NoJson,
    /// It lacks the link.
    NoLink,
    /// The file's type is not taken.
    DeniedType,
    /// The link leads to a host that is not allowed.
    DeniedHost,
    /// The link says itself that its time is over. Verisk only.
    OldLink,
}

/// One task.
#[derive(Clone, PartialEq, Debug)]
pub struct Task {
    /// Its number, over both domains.
    pub number: usize,
    /// Whose.
    pub domain: Domain,
    /// What is wrong with it.
    pub trouble: Trouble,
    /// The file's id.
    pub media_id: String,
    /// The file, where there is one to store.
    pub file: Option<Content>,
    /// Where in the lake it belongs.
    pub path: String,
    /// What has to become of it.
    pub fate: Fate,
    /// The key.
    pub key: String,
    /// The body.
    pub payload: Value,
}

impl Task {
    /// As it is published.
    pub fn message(&self) -> Outgoing {
        let headers = [(TASK_HEADER, self.number.to_string()), ("trace_id", self.key.clone())];
        let headers = headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        Outgoing { key: self.key.clone(), headers, payload: self.payload.clone() }
    }
}

/// What the tasks of one demo have in common.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Setting {
    /// Where the origin listens.
    pub ports: Ports,
    /// When the links were signed.
    pub signed: jiff::Timestamp,
}

/// The first `count` tasks.
pub fn tasks(count: usize, setting: Setting) -> Vec<Task> {
    let large = (count >= LARGE_FROM).then_some(1);
    (0..count).map(|number| Draft::new(number, large == Some(number)).task(setting)).collect()
}

/// What is wrong with the `nth` task of a domain: about half are fine, and each trouble comes once in 30.
fn trouble(domain: Domain, nth: usize) -> Trouble {
    use Behaviour as B;
    let behaviour = match nth % 30 {
        1 => B::Missing,
        3 => B::UnavailableTwice,
        5 => B::CutResumable,
        6 => B::Redirect,
        8 => B::Expired,
        9 => B::RedirectForbidden,
        11 => B::Late,
        12 => B::Empty,
        14 => B::CutOnce,
        16 => B::WrongType,
        18 => B::CutAlways,
        20 => B::Replaced,
        22 => return Trouble::NoLink,
        23 => return Trouble::NoJson,
        25 => return Trouble::DeniedType,
        26 if domain == Domain::Verisk => return Trouble::OldLink,
        28 => return Trouble::DeniedHost,
        _ => B::Fine,
    };
    Trouble::Origin(behaviour)
}

/// What a task is made of.
struct Draft {
    number: usize,
    domain: Domain,
    /// Its number within the domain.
    nth: usize,
    trouble: Trouble,
    file_name: String,
    size: u64,
}

impl Draft {
    fn new(number: usize, large: bool) -> Self {
        let domain = if number.is_multiple_of(2) { Domain::ClaimX } else { Domain::Verisk };
        let nth = number / 2;
        if large {
            let trouble = Trouble::Origin(Behaviour::CutResumable);
            return Self { number, domain, nth, trouble, file_name: "walkthrough.mp4".into(), size: LARGE };
        }
        let trouble = trouble(domain, nth);
        Self { number, domain, nth, trouble, file_name: file_name(nth, trouble), size: size(number) }
    }

    fn task(&self, setting: Setting) -> Task {
        let (media_id, key, target) = match self.domain {
            Domain::ClaimX => (self.claimx_media_id(), self.claimx_trace_id(), self.claimx_target()),
            Domain::Verisk => (uuid(&format!("media {}", self.number)), self.verisk_trace_id(), self.verisk_target()),
        };
        let payload = match self.trouble {
            Trouble::NoJson => Value::from(format!("this is no task ({})", self.number)),
            _ => self.payload(&media_id, &key, &target, setting),
        };
        let fate = fate(self.trouble);
        let file = (fate == Fate::Stored).then(|| self.path().final_content(&self.file_name)).flatten();
        let path = place(&target, &media_id);
        let Self { number, domain, trouble, .. } = *self;
        Task { number, domain, trouble, media_id, file, path, fate, key, payload }
    }

    fn payload(&self, media_id: &str, trace_id: &str, target: &str, setting: Setting) -> Value {
        let link = self.link(setting);
        let (_, extension) = self.file_name.rsplit_once('.').unwrap_or_default();
        let (mut payload, name) = match self.domain {
            Domain::ClaimX => (
                json!({
                    "media_id": media_id, "project_id": self.project(), "download_url": link, "blob_path": target,
                    "file_type": extension, "file_name": self.file_name, "trace_id": trace_id, "retry_count": 0,
                    "expires_at": null, "refresh_count": 0, "metadata": null,
                }),
                "download_url",
            ),
            Domain::Verisk => (
                json!({
                    "trace_id": trace_id, "media_id": media_id, "attachment_url": link, "blob_path": target,
                    "status_subtype": "documentsReceived", "file_type": extension.to_uppercase(),
                    "assignment_id": self.assignment(), "estimate_version": null, "retry_count": 0,
                    "event_type": "verisk", "event_subtype": "documentsReceived",
                    "original_timestamp": setting.signed.to_string(), "metadata": {},
                }),
                "attachment_url",
            ),
        };
        if let (Trouble::NoLink, Some(fields)) = (self.trouble, payload.as_object_mut()) {
            fields.remove(name);
        }
        payload
    }

    /// Where the file is. ClaimX names half of its files in the query only.
    fn path(&self) -> FilePath {
        let behaviour = match self.trouble {
            Trouble::Origin(behaviour) => behaviour,
            _ => Behaviour::Fine,
        };
        let in_query = self.domain == Domain::ClaimX && self.nth.is_multiple_of(2);
        let name = if in_query { self.claimx_media_id() } else { self.file_name.clone() };
        FilePath { behaviour, size: self.size, name }
    }

    fn link(&self, setting: Setting) -> String {
        let place = match self.trouble {
            Trouble::DeniedHost => format!("http://files.example.com{}", self.path()),
            _ => url(setting.ports.origin, &self.path()),
        };
        let signature = format!("{SIGNATURE}-{}", self.number);
        match self.domain {
            Domain::ClaimX => {
                let (name, at) = (&self.file_name, setting.signed.as_millisecond());
                format!("{place}?filename={name}&systemDate={at}&expires=86400000&sign={signature}")
            }
            Domain::Verisk => {
                let old = jiff::Timestamp::UNIX_EPOCH;
                let signed = if self.trouble == Trouble::OldLink { old } else { setting.signed };
                let date = signed.strftime("%Y%m%dT%H%M%SZ");
                format!("{place}?X-Amz-Date={date}&X-Amz-Expires=86400&X-Amz-Signature={signature}")
            }
        }
    }

    fn claimx_media_id(&self) -> String {
        (81_530_000 + self.number).to_string()
    }

    fn claimx_trace_id(&self) -> String {
        let event = format!("{}|PROJECT_FILE_ADDED|media:{}", self.project(), self.claimx_media_id());
        hex(&Sha256::digest(event))
    }

    fn claimx_target(&self) -> String {
        format!("{}/media/{}", self.project(), self.file_name)
    }

    fn project(&self) -> String {
        (6_120_457 + self.nth / 50).to_string()
    }

    /// Several attachments come with one event.
    fn verisk_trace_id(&self) -> String {
        uuid(&format!("event {}", self.nth / 3))
    }

    fn verisk_target(&self) -> String {
        let (assignment, trace_id) = (self.assignment(), self.verisk_trace_id());
        format!("documentsReceived/{assignment}/{trace_id}/{assignment}_{}", self.file_name)
    }

    fn assignment(&self) -> String {
        format!("06ABC{:02}", self.nth / 3 % 100)
    }
}

/// One name in three is the same, so that files of one project, and of one event, have the same name.
fn file_name(nth: usize, trouble: Trouble) -> String {
    if trouble == Trouble::DeniedType {
        return "setup.exe".into();
    }
    if nth % 3 == 1 {
        return "photo.jpg".into();
    }
    let word = WORDS.get(nth % WORDS.len()).copied().unwrap_or("file");
    let extension = FORMATS.get(nth % FORMATS.len()).map_or("pdf", |format| format.extension);
    format!("{word}.{extension}")
}

/// Sizes are spread evenly over their orders of magnitude, and no two are the same.
fn size(number: usize) -> u64 {
    let share = f64::from(u32::from_be_bytes(first_four(&format!("size {number}")))) / f64::from(u32::MAX);
    let (smallest, largest) = SIZES;
    let size = (smallest * (largest / smallest).powf(share)) as u64;
    size - size % 1_000 + number as u64 % 1_000
}

fn first_four(text: &str) -> [u8; 4] {
    let [a, b, c, d, ..]: [u8; 32] = Sha256::digest(text).into();
    [a, b, c, d]
}

/// Something that looks as UUIDs do, and is the same each time.
fn uuid(text: &str) -> String {
    let digits = hex(&Sha256::digest(text));
    let part = |from: usize, to: usize| digits.get(from..to).unwrap_or_default();
    format!("{}-{}-5{}-8{}-{}", part(0, 8), part(8, 12), part(13, 16), part(17, 20), part(20, 32))
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    fn all(count: usize) -> Vec<Task> {
        let ports = Ports { origin: 4000, mirror: 4001, forbidden: 4002 };
        tasks(count, Setting { ports, signed: jiff::Timestamp::UNIX_EPOCH })
    }

    #[test]
    fn every_type_of_file_is_stored_in_both_domains() {
        for domain in Domain::ALL {
            let tasks = all(300);
            let stored = tasks.iter().filter(|task| task.domain == domain).filter_map(|task| task.file.as_ref());
            let types: BTreeSet<_> = stored.map(|file| file.format().extension).collect();
            assert_eq!(types.len(), FORMATS.len(), "{domain:?}");
        }
    }

    #[test]
    fn every_misbehaviour_is_met_in_both_domains() {
        for domain in Domain::ALL {
            let met: BTreeSet<Trouble> =
                all(60).iter().filter(|task| task.domain == domain).map(|task| task.trouble).collect();
            assert!(Behaviour::ALL.iter().all(|behaviour| met.contains(&Trouble::Origin(*behaviour))), "{met:?}");
        }
    }

    #[test]
    fn sizes_are_between_10_kib_and_8_mib_but_for_one_large_file() {
        let mut sizes: Vec<u64> = all(300).iter().filter_map(|task| task.file.as_ref()).map(Content::size).collect();
        sizes.sort_unstable();
        assert_eq!(sizes.pop(), Some(LARGE));
        assert!(sizes.first().unwrap() >= &(10 << 10) && sizes.last().unwrap() <= &(8 << 20), "{sizes:?}");
        assert!(all(100).iter().filter_map(|task| task.file.as_ref()).all(|file| file.size() < LARGE));
    }

    #[test]
    fn no_two_tasks_share_a_file_a_place_or_an_id() {
        let tasks = all(300);
        let mut links = BTreeSet::new();
        let mut places = BTreeMap::new();
        for task in &tasks {
            let link = task.payload.get("download_url").or(task.payload.get("attachment_url"));
            assert!(link.is_none_or(|link| links.insert(link.to_string())), "{link:?}");
            assert_eq!(places.insert(&task.path, task.number), None, "{}", task.path);
        }
        assert_eq!(tasks.iter().map(|task| &task.media_id).collect::<BTreeSet<_>>().len(), 300);
    }

    #[test]
    fn names_repeat_within_a_project_and_within_an_event() {
        let mut targets: BTreeMap<String, usize> = BTreeMap::new();
        for task in all(300) {
            *targets.entry(task.payload["blob_path"].to_string()).or_default() += 1;
        }
        assert!(targets.values().any(|count| *count > 1));
    }

    #[test]
    fn the_same_number_is_the_same_task() {
        assert_eq!(all(40)[..], all(50)[..40]);
    }
}
