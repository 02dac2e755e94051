//! What stands for components in a host that was built without them: it checks specs and moves messages by hand.

use std::path::Path;
use std::sync::Arc;

use anyhow::bail;

use super::Inspected;
use crate::egress::Http;
use crate::model::Clock;
use crate::plugin::{Description, Plugin};
use crate::spec::plan::Pipeline;
use crate::spec::{Descriptions, Loaded};
use crate::storage::Stores;

const WITHOUT: &str = "this lockgate was built without plugins; build it with its feature `wasm`";

/// No components.
pub(super) struct Components;

/// Loads none; what is asked of plugins goes unchecked.
pub(super) async fn load(_: &Loaded) -> (Components, Descriptions) {
    (Components, Descriptions::default())
}

/// Says why not.
pub(super) async fn inspect(_: &Path, _: &str) -> anyhow::Result<Inspected> {
    bail!(WITHOUT)
}

impl Components {
    /// Says why not.
    pub(super) fn pool(
        &self,
        _: &Pipeline,
        _: &Arc<dyn Http>,
        _: &Stores,
        _: &Clock,
    ) -> anyhow::Result<(Arc<dyn Plugin>, Description)> {
        bail!(WITHOUT)
    }
}
