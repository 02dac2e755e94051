//! Guests that are broken or mean harm, one row each: their message fails with a class and a reason that an operator
//! can read, the messages beside it and other pipelines go on, and all that was taken comes back.
//!
//! | file | what misbehaves |
//! |---|---|
//! | `calls` | a guest made by a compiler, on one message |
//! | `lies` | a guest written by hand, that lies in addresses, lengths, handles |
//! | `starts` | files, and guests that lie before their first message |

mod calls;
mod lies;
mod starts;

use futures::future::join3;
use tempfile::TempDir;

use super::*;

/// A message on which every guest here does as it should.
const FINE: &str = "";
/// More often than an engine has instances.
const OFTEN: usize = 12;

/// Two pipelines of one plugin, on an engine that has room for little more.
struct House {
    engine: Engine,
    own: Bench,
    other: Bench,
}

impl House {
    async fn of(component: &Path, limits: Limits) -> Self {
        let engine = Engine::new(EngineSettings { slots: 1, cache: Some(TARGET.join("probe-cache")) }).unwrap();
        let config = Config { component: component.to_owned(), limits, ..config() };
        let component = engine.load("probe", &config).await.unwrap();
        let bench = || Bench::of(&component, &Wanted { concurrency: 2, ..Wanted::default() });
        Self { engine, own: bench(), other: bench() }
    }

    /// Has the guest misbehave, with a message beside it, one after it and one in another pipeline, all of which pass;
    /// gives the code and the reason of the one that does not.
    async fn failure(&self, command: &str) -> (&'static str, String) {
        let Self { own, other, .. } = self;
        let fine = Ok(Outcome::of(Verdict::Done));
        let (failed, beside, elsewhere) = join3(own.call(command), own.call(FINE), other.call(FINE)).await;
        assert_eq!((&beside, &elsewhere), (&fine, &fine), "beside {command}");
        assert_eq!(own.call(FINE).await, fine, "after {command}");
        match failed {
            Ok(outcome) => ("none", format!("{:?} and {} emissions", outcome.verdict, outcome.emit.len())),
            Err(error) => (error.code(), error.to_string()),
        }
    }

    /// Holds that nothing is left in the pool once the pipelines are gone.
    fn leave(self, after: &str) {
        let Self { engine, own, other } = self;
        drop((own, other));
        assert_eq!(engine.living(), [0; 4], "instances, memories, tables, stacks after {after}");
    }
}

/// What differs from what was said, row by row.
#[derive(Default)]
struct Differences(Vec<String>);

impl Differences {
    fn compare(&mut self, what: &str, found: (&str, String), said: (&str, &str)) {
        if (found.0, found.1.as_str()) != said {
            self.0.push(format!("{what}:\n   said {said:?}\n  found {found:?}"));
        }
    }

    fn none(self) {
        assert!(self.0.is_empty(), "{}", self.0.join("\n"));
    }
}

/// A component in a file of its own.
fn file(component: &[u8]) -> (TempDir, PathBuf) {
    logs::set_up();
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("guest.wasm");
    std::fs::write(&file, component).unwrap();
    (folder, file)
}
