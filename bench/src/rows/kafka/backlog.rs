//! The memory of a host at its defaults that starts a million messages behind: what it takes must not depend on how far
//! behind it is.

use std::time::{Duration, Instant};

use tokio::time::{MissedTickBehavior, interval};

use super::Ground;
use crate::Setup;
use crate::figure::Figure;
use crate::program::kafka::{Client, Fill, Link, PARTITIONS, Topic};
use crate::rounds::median;
use crate::subject::messages::claim;
use crate::table::{Bar, Baseline, Line};

/// Messages that lie there when the host starts.
const MESSAGES: u64 = 1_000_000;
/// How often its memory is looked at.
const LOOK: Duration = Duration::from_millis(100);
/// The most runs: nothing is compared, and one takes a minute.
const MOST_RUNS: usize = 3;

/// What one run took.
struct Run {
    /// The most memory that the host had, in bytes.
    peak: u64,
    /// The most that it had while the first quarter came through, and while the last one did.
    quarters: [f64; 2],
    seconds: f64,
}

/// Measures it.
pub(in crate::rows) fn run(setup: &Setup) -> anyhow::Result<Vec<Line>> {
    let ground = Ground::open(setup)?;
    let from = ground.site.drive(ground.cluster.make("claims", PARTITIONS, &[]))?;
    let claims = (0..MESSAGES).map(|number| Fill { payload: claim(number), ..Fill::default() });
    // As the host itself would have written it.
    ground.cluster.fill(&from, "zstd", claims)?;
    let count = setup.runs.min(MOST_RUNS);
    let runs = (0..count).map(|_| ground.site.drive(work_off(&ground, &from))).collect::<anyhow::Result<Vec<Run>>>()?;
    let quarter = |index: usize| runs.iter().map(move |run| run.quarters.get(index).copied().unwrap_or_default());
    let took = Figure::PerSecond(MESSAGES as f64 / median(runs.iter().map(|run| run.seconds)));
    let what = "1,000,000 messages behind on Kafka, at the defaults";
    Ok(vec![
        Line {
            what: format!("{what}: the most memory of the host, of all runs"),
            figure: Figure::Bytes(runs.iter().map(|run| run.peak).max().unwrap_or_default() as f64),
            baseline: None,
            bar: Bar::AtMost(Figure::Bytes(150e6)),
            notes: vec![format!("{took}, with the host's start; {count} runs.")],
        },
        Line {
            what: format!("{what}: the most memory during the last quarter"),
            figure: Figure::Bytes(median(quarter(1))),
            baseline: Some(Baseline {
                what: "during the first quarter".into(),
                figure: Figure::Bytes(median(quarter(0))),
                ratio: median(quarter(1).zip(quarter(0)).map(|(last, first)| last / first)),
            }),
            bar: Bar::RatioAtMost(1.1),
            notes: Vec::new(),
        },
    ])
}

async fn work_off(ground: &Ground<'_>, from: &Topic) -> anyhow::Result<Run> {
    let to = ground.cluster.make(ground.name("enriched"), PARTITIONS, &[]).await?;
    let link = ground.link(from, &to);
    let began = Instant::now();
    let client = ground.host(&link, "", "")?;
    let run = watch(ground, from, &to, &link, client, began).await?;
    ground.cluster.remove(to).await?;
    Ok(run)
}

async fn watch(
    ground: &Ground<'_>,
    from: &Topic,
    to: &Topic,
    link: &Link,
    mut client: Client,
    began: Instant,
) -> anyhow::Result<Run> {
    let mut look = interval(LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut there = ground.cluster.until(to, 1, &mut client).await?;
    let mut quarters = [0_f64; 2];
    while there < MESSAGES {
        look.tick().await;
        there = ground.cluster.until(to, there + 1, &mut client).await?;
        let [first, last] = &mut quarters;
        let quarter = match there * 4 / MESSAGES {
            0 => first,
            3.. => last,
            _ => continue,
        };
        *quarter = quarter.max(client.resident()? as f64);
    }
    let seconds = began.elapsed().as_secs_f64();
    let peak = client.peak()?;
    ground.finish(client, link, from).await?;
    Ok(Run { peak, quarters, seconds })
}
