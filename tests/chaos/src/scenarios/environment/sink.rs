//! Topics that fail now and then, and answers that are lost.

use std::time::Duration;

use async_trait::async_trait;

use crate::load::{Pace, Until};
use crate::scenario::{Extent, Extents, Fault, Scenario};
use crate::stage::Stage;
use crate::weather::{Station, Weather};

/// Every third write fails, and of those one in ten stands there all the same.
const BAD: Weather = Weather { clock_ms: 0, failing: 30, lost: 10 };
/// How long a storm lasts, at most.
const STORM: Duration = Duration::from_secs(2);

/// See its `about`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sink;

#[async_trait]
impl Scenario for Sink {
    fn name(&self) -> &'static str {
        "sink"
    }

    fn about(&self) -> &'static str {
        "30 % of all writes and checkpoints fail, and some answers are lost: each repeat is one of those, with its id, and nothing is lost"
    }

    fn extents(&self) -> Extents {
        Extents { short: Extent { messages: 1_000, faults: 1 }, long: Extent { messages: 6_000, faults: 1 } }
    }

    async fn run(&self, stage: &mut Stage) -> anyhow::Result<()> {
        let station = Station::surround(stage)?;
        // How many come again for a lost answer is only known afterwards, and judged below: this is more.
        for shape in stage.setting.pipelines.clone() {
            stage.allow_repeats(shape, stage.extent.messages as u64 / 4);
        }
        station.set(BAD)?;
        stage.fleet.start(0)?;
        stage.fleet.start(1)?;
        stage.load(Pace::Ahead(4 * stage.setting.in_flight), Until::Sent(stage.extent.messages));
        stage.until_drained().await?;
        stage.count("storm");
        station.set(Weather::default())?;
        let (lost, repeated) = (station.lost(), stage.repeated());
        if repeated > lost {
            stage.blame(format!("{repeated} messages came again, though only {lost} answers were lost"));
        }
        if repeated == 0 {
            stage.blame(format!("nothing came again, though {lost} answers were lost: the oracle cannot have looked"));
        }
        stage.note(format!("{lost} answers lost, {repeated} messages came again"));
        Ok(())
    }
}

/// Lets writes fail for a while, and loses no answer: so nothing may come again. Where hosts are in no weather, nothing
/// happens.
#[derive(Clone, Copy, Debug)]
pub(super) struct Storm;

#[async_trait]
impl Fault for Storm {
    fn name(&self) -> &'static str {
        "storm"
    }

    async fn inflict(&self, stage: &mut Stage) -> anyhow::Result<()> {
        let station = Station::of(stage);
        let before = station.now();
        station.set(Weather { failing: BAD.failing, lost: 0, ..before })?;
        stage.breathe(STORM).await;
        Ok(station.set(before)?)
    }
}
