use std::io::Write;

use tracing::Dispatch;
use tracing::subscriber::NoSubscriber;

use super::super::Secret;
use super::*;

/// A file in a folder of its own.
struct Scene {
    folder: tempfile::TempDir,
    path: PathBuf,
}

impl Scene {
    fn new(content: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        fs::write(&path, content).unwrap();
        Self { folder, path }
    }

    fn secret(&self) -> Secret {
        Secret::in_file("claimx_token", &self.path).unwrap()
    }

    /// Another file at its place, as whoever cares writes secrets.
    fn replace(&self, content: &str) {
        let beside = self.folder.path().join("beside");
        fs::write(&beside, content).unwrap();
        fs::rename(&beside, &self.path).unwrap();
    }
}

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What is logged meanwhile.
fn logged(work: impl FnOnce()) -> String {
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
    // With only one dispatcher, `tracing` lets any thread decide for all whether an event is wanted.
    let _second = Dispatch::new(NoSubscriber::new());
    tracing::subscriber::with_default(subscriber, work);
    String::from_utf8(lines.0.lock().unwrap().clone()).unwrap()
}

#[test]
fn the_line_break_at_the_end_is_no_part_of_it() {
    assert_eq!(&*Scene::new(" a b \r\n").secret().expose(), " a b ");
}

#[test]
fn a_file_that_was_replaced_by_one_of_the_same_length_is_read_again() {
    let scene = Scene::new("one");
    let secret = scene.secret();
    assert_eq!(&*secret.expose(), "one");
    scene.replace("two");
    assert_eq!(&*secret.expose(), "two");
}

#[test]
fn a_file_that_grows_in_its_place_is_read_again() {
    let scene = Scene::new("one");
    let secret = scene.secret();
    fs::OpenOptions::new().append(true).open(&scene.path).unwrap().write_all(b"more").unwrap();
    assert_eq!(&*secret.expose(), "onemore");
}

#[test]
#[cfg(unix)]
fn a_link_that_leads_elsewhere_is_followed() {
    use std::os::unix::fs::symlink;
    let scene = Scene::new("one");
    let [other, link, beside] = ["other", "link", "beside"].map(|name| scene.folder.path().join(name));
    fs::write(&other, "two").unwrap();
    symlink(&scene.path, &link).unwrap();
    let secret = Secret::in_file("s", &link).unwrap();
    symlink(&other, &beside).unwrap();
    fs::rename(&beside, &link).unwrap();
    assert_eq!(&*secret.expose(), "two");
}

#[test]
fn the_last_good_value_stays_until_there_is_a_better_one_and_that_is_said_once() {
    let scene = Scene::new("first-SENTINEL");
    let secret = scene.secret();
    let log = logged(|| {
        fs::remove_file(&scene.path).unwrap();
        (0..3).for_each(|_| assert_eq!(&*secret.expose(), "first-SENTINEL"));
        fs::write(&scene.path, "\n").unwrap();
        assert_eq!(&*secret.expose(), "first-SENTINEL", "it is being written");
        fs::write(&scene.path, "second-SENTINEL").unwrap();
        assert_eq!(&*secret.expose(), "second-SENTINEL");
    });
    assert_eq!(log.matches("claimx_token").count(), 2, "{log}");
    assert!(log.contains("cannot be read again") && log.contains("a secret has changed"), "{log}");
    assert!(!log.contains("SENTINEL"), "{log}");
    fs::remove_file(&scene.path).unwrap();
    assert!(logged(|| drop(secret.expose())).contains("cannot be read again"), "it is said of each trouble");
}

#[test]
fn a_file_that_is_not_there_or_empty_is_no_secret() {
    let scene = Scene::new("\n");
    let error = |path: &Path| Secret::in_file("s", path).map(|_| ()).unwrap_err().to_string();
    assert_eq!(error(&scene.path), "it is empty");
    assert!(error(&scene.folder.path().join("nothing")).contains("No such file"));
}

#[test]
fn a_secret_in_a_file_does_not_print() {
    let secret = Scene::new("SENTINEL").secret();
    assert_eq!(format!("{secret} {secret:?}"), "[secret] [secret]");
}
