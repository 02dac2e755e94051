//! What hosts that run as `faulty-host` find around them: a file that the scenario writes and that they read whenever
//! they do something that depends on it.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use lockgate::model::{Clock, Timestamp};
use rand::Rng;
use serde::{Deserialize, Serialize};

use crate::stage::Stage;

/// The variable that tells a host where the file is.
pub const VARIABLE: &str = "CHAOS_WEATHER";
/// The file in a scenario's folder.
const FILE: &str = "weather.json";

/// What is around hosts.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Weather {
    /// Added to the machine's wall clock, in milliseconds.
    pub clock_ms: i64,
    /// Of a hundred calls that write to a topic or store checkpoints, those that are answered `Unavailable`.
    pub failing: u32,
    /// Of a hundred of these, those that had done something all the same: what is lost is their answer.
    pub lost: u32,
}

/// What becomes of one call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    /// It is done.
    Fine,
    /// It is not done.
    Fails,
    /// It is done, and said not to be.
    AnswerLost,
}

impl Weather {
    /// What becomes of a call.
    pub fn fate(self, random: &mut impl Rng) -> Fate {
        if random.random_range(0..100) >= self.failing {
            Fate::Fine
        } else if random.random_range(0..100) >= self.lost {
            Fate::Fails
        } else {
            Fate::AnswerLost
        }
    }
}

/// The file.
#[derive(Debug)]
pub struct Station {
    file: PathBuf,
    last: Mutex<Weather>,
}

impl Station {
    /// With this file; without it the weather is fine.
    pub fn at(file: PathBuf) -> Self {
        Self { file, last: Mutex::default() }
    }

    /// Of a stage.
    pub fn of(stage: &Stage) -> Self {
        Self::at(stage.folder().join(FILE))
    }

    /// Lets hosts that start from now on run as `faulty-host`, in fine weather.
    pub fn surround(stage: &mut Stage) -> io::Result<Self> {
        let station = Self::of(stage);
        station.set(Weather::default())?;
        let program = stage.tools().faulty_host.clone();
        let lockgate = &mut stage.fleet.lockgate;
        lockgate.program = program;
        lockgate.environment.insert(VARIABLE.to_owned(), station.file.display().to_string());
        Ok(station)
    }

    /// The weather now; the last that was known where the file cannot be read.
    pub fn now(&self) -> Weather {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(weather) = fs::read(&self.file).ok().and_then(|text| serde_json::from_slice(&text).ok()) {
            *last = weather;
        }
        *last
    }

    /// Changes the weather, in one step.
    pub fn set(&self, weather: Weather) -> io::Result<()> {
        let beside = self.file.with_extension("tmp");
        fs::write(&beside, serde_json::to_vec(&weather)?)?;
        fs::rename(beside, &self.file)
    }

    /// Counts something that is done and said not to be, before it is done.
    pub fn count_lost(&self) -> io::Result<()> {
        let mut file = fs::OpenOptions::new().append(true).create(true).open(self.count_file())?;
        file.write_all(b".")
    }

    /// How often something was done and said not to be.
    pub fn lost(&self) -> u64 {
        fs::metadata(self.count_file()).map_or(0, |file| file.len())
    }

    /// The machine's clock as the weather has it.
    pub fn clock(self: std::sync::Arc<Self>) -> Clock {
        let machine = Clock::system();
        Clock::from_fn(move || {
            let Timestamp(now) = machine.wall();
            Timestamp(now.saturating_add_signed(self.now().clock_ms))
        })
    }

    fn count_file(&self) -> PathBuf {
        self.file.with_extension("lost")
    }

    /// The file.
    pub fn file(&self) -> &Path {
        &self.file
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;
    use std::time::Duration;

    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    #[test]
    fn the_weather_is_what_was_set_last_and_fine_before() {
        let folder = tempfile::tempdir().unwrap();
        let station = Station::at(folder.path().join("weather.json"));
        assert_eq!(station.now(), Weather::default());
        let bad = Weather { clock_ms: -7_200_000, failing: 30, lost: 10 };
        station.set(bad).unwrap();
        assert_eq!((station.now(), Station::at(station.file().to_owned()).now()), (bad, bad));
        fs::remove_file(station.file()).unwrap();
        assert_eq!(station.now(), bad, "a file that cannot be read changes nothing");
    }

    #[test]
    fn a_clock_follows_the_weather_back_and_forth() {
        let folder = tempfile::tempdir().unwrap();
        let station = Arc::new(Station::at(folder.path().join("weather.json")));
        let (clock, machine) = (station.clone().clock(), Clock::system());
        for hours in [-5_i64, 0, 7] {
            station.set(Weather { clock_ms: hours * 3_600_000, ..Weather::default() }).unwrap();
            let expected = Timestamp(machine.wall().0.saturating_add_signed(hours * 3_600_000));
            let apart = clock.wall().since(expected).max(expected.since(clock.wall()));
            assert!(apart < Duration::from_secs(60), "{hours} h: {apart:?}");
        }
    }

    #[test]
    fn fates_are_shared_out_as_the_weather_says() {
        let mut random = ChaCha8Rng::seed_from_u64(1);
        let mut shares = |failing, lost| {
            let weather = Weather { failing, lost, ..Weather::default() };
            let mut counts = BTreeMap::new();
            (0..10_000).for_each(|_| *counts.entry(format!("{:?}", weather.fate(&mut random))).or_insert(0) += 1);
            counts
        };
        assert_eq!(shares(0, 100), BTreeMap::from([("Fine".into(), 10_000)]));
        assert_eq!(shares(100, 0), BTreeMap::from([("Fails".into(), 10_000)]));
        assert_eq!(shares(100, 100), BTreeMap::from([("AnswerLost".into(), 10_000)]));
        let some = shares(30, 50);
        assert!((1300..1700).contains(&some["Fails"]) && (1300..1700).contains(&some["AnswerLost"]), "{some:?}");
    }

    #[test]
    fn what_is_lost_is_counted_by_all() {
        let folder = tempfile::tempdir().unwrap();
        let stations = [0, 1].map(|_| Station::at(folder.path().join("weather.json")));
        assert_eq!(stations[0].lost(), 0);
        stations.iter().for_each(|station| station.count_lost().unwrap());
        assert_eq!(stations[0].lost(), 2);
    }
}
