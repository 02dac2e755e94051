//! `lockgate pause` and `lockgate resume`

use clap::Args;

use super::Ended;
use super::host::Where;
use super::place::SpecFiles;

/// Let a pipeline of the running host start nothing more; what runs finishes.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  lockgate pause claimx-upload
  lockgate pause claimx-upload --admin 127.0.0.1:9600

It keeps its partitions, and stays paused until `lockgate resume` or the end of the host.")]
pub(super) struct Pause {
    /// The pipeline.
    pipeline: String,
    #[command(flatten)]
    host: Where,
    #[command(flatten)]
    spec: SpecFiles,
}

/// Let a paused pipeline of the running host go on.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  lockgate resume claimx-upload
  lockgate resume claimx-upload --admin 127.0.0.1:9600")]
pub(super) struct Resume {
    /// The pipeline.
    pipeline: String,
    #[command(flatten)]
    host: Where,
    #[command(flatten)]
    spec: SpecFiles,
}

impl Pause {
    pub(super) async fn obey(self) -> Ended {
        self.host.host(&self.spec)?.tell(&self.pipeline, "pause").await
    }
}

impl Resume {
    pub(super) async fn obey(self) -> Ended {
        self.host.host(&self.spec)?.tell(&self.pipeline, "resume").await
    }
}
