//! `lockgate top`: a running host, live on the terminal. Asks it every second; tells it nothing.

use std::io::IsTerminal;
use std::time::Duration;

use clap::Args;
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};

use super::host::{Host, Where};
use super::place::SpecFiles;
use super::signals::Signals;
use super::{Ended, Failure};
use crate::admin::status::Status;

mod view;

/// How often the host is asked.
const LOOK: Duration = Duration::from_secs(1);

/// Watch the pipelines of the running host; q or Ctrl-C ends.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  lockgate top
  lockgate top --admin 127.0.0.1:9600

Rates and latencies are those of the last second; latencies are as exact as their buckets.")]
pub(super) struct Top {
    #[command(flatten)]
    host: Where,
    #[command(flatten)]
    spec: SpecFiles,
}

impl Top {
    pub(super) async fn obey(self) -> Ended {
        if !std::io::stdout().is_terminal() || !std::io::stdin().is_terminal() {
            let reason = "`top` needs a terminal; elsewhere use `lockgate status`, with `--json` for machines";
            return Err(Failure::Usage(reason.into()));
        }
        let host = self.host.host(&self.spec)?;
        if host.status().await?.is_none() {
            return Err(anyhow::anyhow!("no host answers on {}; `lockgate run` starts one", host.address()).into());
        }
        let mut signals = Signals::listen()?;
        let mut terminal = ratatui::try_init()?;
        let shown = watch(&mut terminal, &host, &mut signals).await;
        ratatui::try_restore()?;
        shown
    }
}

/// Shows the host until told to end.
async fn watch(terminal: &mut DefaultTerminal, host: &Host, signals: &mut Signals) -> Ended {
    let (mut keys, mut looks) = (keys(), interval(LOOK));
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut before, mut now): (Option<Status>, Option<Status>) = (None, None);
    loop {
        tokio::select! {
            biased;
            () = signals.told() => return Ok(()),
            key = keys.recv() => match key {
                Some(Key::End) | None => return Ok(()),
                Some(Key::Redraw) => {}
            },
            told = ask(&mut looks, host) => match told? {
                Some(told) => before = now.replace(told),
                None => (before, now) = (None, None),
            },
        }
        let address = host.address().to_string();
        terminal.draw(|frame| view::draw(frame, &address, before.as_ref(), now.as_ref()))?;
    }
}

/// How the host is, when it is time to ask.
async fn ask(looks: &mut tokio::time::Interval, host: &Host) -> Result<Option<Status>, Failure> {
    looks.tick().await;
    host.status().await
}

enum Key {
    End,
    Redraw,
}

/// What the keyboard says. The thread waits for a key that may never come; it ends with the process.
fn keys() -> mpsc::Receiver<Key> {
    let (tell, told) = mpsc::channel(16);
    std::thread::spawn(move || {
        while let Ok(event) = event::read() {
            let key = match event {
                Event::Key(key) if key.kind == KeyEventKind::Press => match key.code {
                    KeyCode::Char('q') => Key::End,
                    KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => Key::End,
                    _ => continue,
                },
                Event::Resize(..) => Key::Redraw,
                _ => continue,
            };
            if tell.blocking_send(key).is_err() {
                return;
            }
        }
    });
    told
}
