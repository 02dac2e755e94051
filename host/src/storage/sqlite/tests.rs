use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use tempfile::TempDir;

use super::*;

const SCHEMA: Schema =
    Schema { application: 7, version: 1, sql: "CREATE TABLE number(value INTEGER PRIMARY KEY)", upgrades: &[] };

fn options(folder: &TempDir) -> Options {
    Options {
        path: folder.path().join("test.sqlite"),
        schema: SCHEMA,
        busy: Duration::from_millis(50),
        poll: Duration::from_millis(1),
        upkeep_every: Duration::from_secs(3600),
        clock: Clock::system(),
        keeper: None,
    }
}

fn insert(value: i64) -> impl FnMut(&Connection) -> Result<i64, Error> + Send + 'static {
    move |connection| {
        connection.execute("INSERT INTO number VALUES (?1)", [value])?;
        Ok(value)
    }
}

/// What somebody else sees in the file.
fn numbers(path: &Path) -> Vec<i64> {
    let connection = Connection::open(path).unwrap();
    let mut statement = connection.prepare("SELECT value FROM number ORDER BY value").unwrap();
    statement.query_map((), |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

/// Keeps the writer thread busy until the sender is dropped.
async fn hold_up(database: &Arc<Database>) -> (mpsc::Sender<()>, tokio::task::JoinHandle<Result<(), Error>>) {
    let (release, released) = mpsc::channel::<()>();
    let (begun, begins) = oneshot::channel();
    let mut begun = Some(begun);
    let database = database.clone();
    let held = tokio::spawn(async move {
        let job = move |_: &Connection| {
            if let Some(begun) = begun.take() {
                begun.send(()).unwrap();
            }
            let _ = released.recv();
            Ok(())
        };
        database.write(0, job).await
    });
    begins.await.unwrap();
    (release, held)
}

#[tokio::test]
async fn what_is_answered_is_in_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::open(options(&folder)).unwrap();
    assert_eq!(database.write(0, insert(5)).await, Ok(5));
    assert_eq!(numbers(&folder.path().join("test.sqlite")), [5]);
    let read = database.read(|connection| Ok(connection.query_row("SELECT value FROM number", (), |row| row.get(0))?));
    assert_eq!(read.await, Ok(5));
}

#[tokio::test]
async fn writes_that_wait_are_one_transaction_in_their_order() {
    let folder = tempfile::tempdir().unwrap();
    let database = Arc::new(Database::open(options(&folder)).unwrap());
    let (release, held) = hold_up(&database).await;
    let order = Arc::new(Mutex::new(Vec::new()));
    let writes: Vec<_> = (0..50)
        .map(|value| {
            let (path, order) = (folder.path().join("test.sqlite"), order.clone());
            let mut insert = insert(value);
            let job = move |connection: &Connection| {
                insert(connection)?;
                let inside: i64 = connection.query_row("SELECT count(*) FROM number", (), |row| row.get(0))?;
                Ok((inside, numbers(&path).len()))
            };
            let then = move |_: &_| order.lock().unwrap().push(value);
            Box::pin(database.write_then(0, job, then))
        })
        .collect();
    let mut writes = futures::future::join_all(writes);
    assert!(futures::poll!(&mut writes).is_pending(), "all are in the queue now");
    drop(release);
    held.await.unwrap().unwrap();
    let seen: Vec<_> = writes.await.into_iter().map(Result::unwrap).collect();
    assert_eq!(seen, (1..=50).map(|inside| (inside, 0)).collect::<Vec<_>>(), "each saw those before it, outside none");
    assert_eq!(*order.lock().unwrap(), (0..50).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_write_that_fails_does_not_take_its_group_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let database = Arc::new(Database::open(options(&folder)).unwrap());
    let (release, held) = hold_up(&database).await;
    let writes: Vec<_> = [1, 2, 2, 3].map(|value| Box::pin(database.write(0, insert(value)))).into();
    let mut writes = futures::future::join_all(writes);
    assert!(futures::poll!(&mut writes).is_pending());
    drop(release);
    held.await.unwrap().unwrap();
    let answers = writes.await;
    assert!(matches!(&answers[..], [Ok(1), Ok(2), Err(Error::Unavailable(_)), Ok(3)]), "{answers:?}");
    assert_eq!(numbers(&folder.path().join("test.sqlite")), [1, 2, 3]);
}

#[tokio::test]
async fn a_locked_file_is_unavailable_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::open(options(&folder)).unwrap();
    let other = Connection::open(folder.path().join("test.sqlite")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let refused = database.write(0, insert(1)).await;
    assert!(matches!(refused, Err(Error::Unavailable(_))), "{refused:?}");
    let read =
        database.read(|connection| Ok(connection.query_row("SELECT count(*) FROM number", (), |row| row.get(0))?));
    assert_eq!(read.await, Ok(0), "readers are not held up");
    other.execute_batch("ROLLBACK").unwrap();
    assert_eq!(database.write(0, insert(2)).await, Ok(2));
    assert_eq!(numbers(&folder.path().join("test.sqlite")), [2]);
}

#[tokio::test]
async fn a_full_disk_is_unavailable_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::open(options(&folder)).unwrap();
    let pages = |most: &'static str| database.write(0, move |connection| Ok(connection.execute_batch(most)?));
    let grow = |from: i64| {
        database
            .write(0, move |connection| (from..from + 20_000).try_for_each(|value| insert(value)(connection).map(drop)))
    };
    pages("PRAGMA max_page_count=4").await.unwrap();
    let full = grow(0).await;
    assert!(matches!(full, Err(Error::Unavailable(_))), "{full:?}");
    assert_eq!(numbers(&folder.path().join("test.sqlite")), [0_i64; 0]);
    pages("PRAGMA max_page_count=1000000").await.unwrap();
    grow(0).await.unwrap();
    assert_eq!(numbers(&folder.path().join("test.sqlite")).len(), 20_000);
}

#[tokio::test]
async fn dropping_finishes_what_waits_and_closes_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let database = Arc::new(Database::open(options(&folder)).unwrap());
    let (release, held) = hold_up(&database).await;
    let mut write = Box::pin(database.write(0, insert(4)));
    assert!(futures::poll!(&mut write).is_pending());
    drop(write);
    drop(release);
    held.await.unwrap().unwrap();
    drop(database);
    assert!(!folder.path().join("test.sqlite-wal").exists(), "the last connection takes the write-ahead log with it");
    assert_eq!(numbers(&folder.path().join("test.sqlite")), [4]);
}

#[derive(Default)]
struct Counting {
    observed: std::sync::atomic::AtomicI64,
    woken: tokio::sync::Notify,
    beats: AtomicUsize,
    upkeep: AtomicUsize,
}

impl Keeper for Counting {
    fn observe(&self, connection: &Connection) -> Result<(), Error> {
        let count: i64 = connection.query_row("SELECT count(*) FROM number", (), |row| row.get(0))?;
        self.observed.store(count, Ordering::SeqCst);
        self.woken.notify_one();
        Ok(())
    }

    fn beat(&self, _: &Connection) -> Result<(), Error> {
        self.beats.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    fn upkeep(&self, _: &Connection) -> Result<Upkeep, Error> {
        let before = self.upkeep.fetch_add(1, Ordering::SeqCst);
        self.woken.notify_one();
        Ok(if before % 3 == 2 { Upkeep::Done } else { Upkeep::More })
    }
}

#[tokio::test]
async fn what_others_write_is_observed_and_what_we_write_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let keeper = Arc::new(Counting::default());
    let database = Database::open(Options { keeper: Some(keeper.clone()), ..options(&folder) }).unwrap();
    for value in 0..5 {
        database.write(0, insert(value)).await.unwrap();
    }
    assert_eq!(keeper.observed.load(Ordering::SeqCst), 0);
    let other = Connection::open(folder.path().join("test.sqlite")).unwrap();
    other.execute("INSERT INTO number VALUES (100)", ()).unwrap();
    keeper.woken.notified().await;
    assert_eq!(keeper.observed.load(Ordering::SeqCst), 6);
}

#[tokio::test]
async fn upkeep_goes_on_until_it_is_done() {
    let folder = tempfile::tempdir().unwrap();
    let keeper = Arc::new(Counting::default());
    let upkeep_every = Duration::from_millis(1);
    let _database = Database::open(Options { keeper: Some(keeper.clone()), upkeep_every, ..options(&folder) }).unwrap();
    while keeper.upkeep.load(Ordering::SeqCst) < 3 {
        keeper.woken.notified().await;
    }
}

/// A keeper whose upkeep fails after it has written.
#[derive(Default)]
struct Failing {
    beats: AtomicUsize,
    upkeep: AtomicUsize,
    woken: tokio::sync::Notify,
}

impl Keeper for Failing {
    fn observe(&self, _: &Connection) -> Result<(), Error> {
        Ok(())
    }

    fn beat(&self, connection: &Connection) -> Result<(), Error> {
        let beat = self.beats.fetch_add(1, Ordering::SeqCst);
        insert(i64::try_from(beat).unwrap())(connection).map(drop)
    }

    fn upkeep(&self, connection: &Connection) -> Result<Upkeep, Error> {
        insert(-1)(connection)?;
        self.upkeep.fetch_add(1, Ordering::SeqCst);
        self.woken.notify_one();
        Err(Error::Unavailable("told to fail".into()))
    }
}

#[tokio::test]
async fn a_beat_stands_though_upkeep_fails() {
    let folder = tempfile::tempdir().unwrap();
    let keeper = Arc::new(Failing::default());
    let upkeep_every = Duration::from_millis(1);
    let database = Database::open(Options { keeper: Some(keeper.clone()), upkeep_every, ..options(&folder) }).unwrap();
    while keeper.upkeep.load(Ordering::SeqCst) < 3 {
        keeper.woken.notified().await;
    }
    drop(database);
    let beats = i64::try_from(keeper.beats.load(Ordering::SeqCst)).unwrap();
    assert!(beats >= 3);
    assert_eq!(numbers(&folder.path().join("test.sqlite")), (0..beats).collect::<Vec<_>>());
}

/// A write whose answer panics, which no guard is around.
struct Deadly;

impl Job for Deadly {
    fn weight(&self) -> u64 {
        0
    }

    fn run(&mut self, _: &Connection) -> Result<(), Error> {
        Ok(())
    }

    fn answer(self: Box<Self>, _: Result<(), Error>) {
        panic!("told to panic");
    }
}

impl Database {
    /// Ends the writer thread by a panic.
    pub(crate) fn break_down(&self) {
        self.inbox.as_ref().unwrap().send(Box::new(Deadly)).unwrap();
        while self.is_running() {
            thread::yield_now();
        }
    }
}

#[tokio::test]
async fn a_write_that_panics_is_an_error_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let database = Arc::new(Database::open(options(&folder)).unwrap());
    let (release, held) = hold_up(&database).await;
    let panics = |connection: &Connection| -> Result<i64, Error> {
        insert(2)(connection)?;
        panic!("told to panic");
    };
    let mut first = Box::pin(database.write(0, insert(1)));
    let mut guilty = Box::pin(database.write(0, panics));
    let mut then = Box::pin(database.write_then(0, insert(3), |_| panic!("told to panic")));
    assert!(futures::poll!(&mut first).is_pending());
    assert!(futures::poll!(&mut guilty).is_pending());
    assert!(futures::poll!(&mut then).is_pending());
    drop(release);
    held.await.unwrap().unwrap();
    assert_eq!(first.await, Ok(1));
    assert_eq!(guilty.await, Err(Error::Unavailable("the write panicked: told to panic".into())));
    assert_eq!(then.await, Ok(3), "it is durable all the same");
    assert_eq!(database.write(0, insert(4)).await, Ok(4));
    assert!(database.is_running());
    assert_eq!(numbers(&folder.path().join("test.sqlite")), [1, 3, 4]);
}

/// A keeper that panics wherever it can.
#[derive(Default)]
struct Panicking(AtomicUsize, tokio::sync::Notify);

impl Panicking {
    fn panic(&self) -> ! {
        self.0.fetch_add(1, Ordering::SeqCst);
        self.1.notify_one();
        panic!("told to panic");
    }
}

impl Keeper for Panicking {
    fn observe(&self, _: &Connection) -> Result<(), Error> {
        self.panic()
    }

    fn beat(&self, _: &Connection) -> Result<(), Error> {
        self.panic()
    }

    fn upkeep(&self, _: &Connection) -> Result<Upkeep, Error> {
        self.panic()
    }
}

#[tokio::test]
async fn a_keeper_that_panics_ends_no_writer() {
    let folder = tempfile::tempdir().unwrap();
    let keeper = Arc::new(Panicking::default());
    let upkeep_every = Duration::from_millis(1);
    let database = Database::open(Options { keeper: Some(keeper.clone()), upkeep_every, ..options(&folder) }).unwrap();
    let other = Connection::open(folder.path().join("test.sqlite")).unwrap();
    other.execute("INSERT INTO number VALUES (100)", ()).unwrap();
    while keeper.0.load(Ordering::SeqCst) < 5 {
        keeper.1.notified().await;
    }
    assert_eq!(database.write(0, insert(1)).await, Ok(1));
}

#[tokio::test]
async fn a_writer_that_ended_in_a_panic_answers_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::open(options(&folder)).unwrap();
    assert!(database.is_running());
    database.break_down();
    assert_eq!(database.write(0, insert(1)).await, Err(closed()));
    let again = Database::open(options(&folder)).unwrap();
    assert_eq!(again.write(0, insert(2)).await, Ok(2));
}

#[test]
fn a_file_of_something_else_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    drop(Database::open(options(&folder)).unwrap());
    let schema = |application, version| Schema { application, version, ..SCHEMA };
    for (schema, reason) in [
        (schema(8, 1), "the file is an SQLite database of something else"),
        (
            schema(7, 2),
            "the file has format 1, this version of Lockgate reads format 2: use the version that made the file, or give this one another folder",
        ),
    ] {
        let refused = Database::open(Options { schema, ..options(&folder) }).err();
        assert_eq!(refused, Some(Error::Damaged(reason.into())));
    }
    std::fs::write(folder.path().join("test.sqlite"), vec![b'x'; 40_000]).unwrap();
    assert!(matches!(Database::open(options(&folder)).err(), Some(Error::Damaged(_))));
}

#[tokio::test]
async fn a_file_of_an_earlier_version_is_brought_up_to_todays_and_keeps_what_it_has() {
    const UPGRADES: &[(i32, &str)] = &[(1, "CREATE TABLE text(value TEXT)"), (2, "ALTER TABLE text RENAME TO word")];
    let folder = tempfile::tempdir().unwrap();
    let database = Database::open(options(&folder)).unwrap();
    database.write(0, insert(7)).await.unwrap();
    drop(database);
    let today = Schema { version: 3, upgrades: UPGRADES, ..SCHEMA };
    for _ in 0..2 {
        let database = Database::open(Options { schema: today, ..options(&folder) }).unwrap();
        let words =
            |connection: &Connection| Ok(connection.query_row("SELECT count(*) FROM word", (), |row| row.get(0))?);
        assert_eq!(database.read(words).await, Ok(0_i64));
    }
    assert_eq!(numbers(&folder.path().join("test.sqlite")), [7]);
    let refused = Database::open(options(&folder)).err();
    assert!(
        matches!(&refused, Some(Error::Damaged(reason)) if reason.starts_with("the file has format 3")),
        "{refused:?}"
    );
}

#[tokio::test]
async fn what_is_posted_is_done_in_its_turn_though_the_database_is_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::open(options(&folder)).unwrap();
    let told = Arc::new(AtomicUsize::new(0));
    let teller = told.clone();
    database.post(insert(3), move |_| {
        teller.fetch_add(1, Ordering::SeqCst);
    });
    drop(database);
    assert_eq!(numbers(&folder.path().join("test.sqlite")), [3]);
    assert_eq!(told.load(Ordering::SeqCst), 1);
}

#[test]
fn many_may_open_a_new_file_at_once() {
    let folder = tempfile::tempdir().unwrap();
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| Database::open(Options { busy: Duration::from_secs(30), ..options(&folder) }).unwrap());
        }
    });
}

#[test]
fn the_settings_are_the_measured_ones() {
    let folder = tempfile::tempdir().unwrap();
    let connection = connection::writer(&options(&folder)).unwrap();
    let setting = |name| connection.query_row(&format!("PRAGMA {name}"), (), |row| row.get::<_, i64>(0)).unwrap();
    let names = ["page_size", "auto_vacuum", "synchronous", "wal_autocheckpoint", "cache_size", "temp_store"];
    assert_eq!(names.map(setting), [16384, 2, 2, 1000, -16384, 2]);
    let mode: String = connection.query_row("PRAGMA journal_mode", (), |row| row.get(0)).unwrap();
    assert_eq!(mode, "wal");
}

#[tokio::test]
async fn disk_space_is_given_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.sqlite");
    let database = Database::open(options(&folder)).unwrap();
    let fill = |connection: &Connection| (0..100_000).try_for_each(|value| insert(value)(connection).map(drop));
    database.write(0, fill).await.unwrap();
    database.write(0, |connection| Ok(connection.execute("DELETE FROM number", ())?)).await.unwrap();
    let connection = connection::writer(&options(&folder)).unwrap();
    let pages = || connection.query_row("PRAGMA page_count", (), |row| row.get::<_, i64>(0)).unwrap();
    let full = pages();
    shrink::vacuum(&connection, full).unwrap();
    assert_eq!(pages(), full, "not worth it");
    shrink::vacuum(&connection, full / 2).unwrap();
    assert!(pages() < full / 2, "{} of {full}", pages());

    let wal = || std::fs::metadata(folder.path().join("test.sqlite-wal")).unwrap().len();
    let before = wal();
    shrink::cut(&path, before).unwrap();
    assert_eq!(wal(), before, "not worth it");
    shrink::cut(&path, before - 1).unwrap();
    assert_eq!(wal(), 0);
    assert_eq!(database.write(0, insert(7)).await, Ok(7));
    assert_eq!(numbers(&path), [7]);
}
