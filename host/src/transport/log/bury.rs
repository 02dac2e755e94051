//! Takes a member for dead though it lives, with what another member writes who finds it so, at a moment that a test
//! chooses: what becomes of its partitions is the host's own doing.

use super::{Log, checkpoints, failure, member};
use crate::transport::TransportError;

impl Log {
    /// Removes the living member of a group in a topic that joined as number `which`, counted round and round; says
    /// which process that was, or that there is none. Its partitions are free at once, and it may join again.
    pub async fn bury(&self, topic: &str, group: &str, which: usize) -> Result<Option<String>, TransportError> {
        let topic = self.find(topic).await?;
        let group = group.to_owned();
        let job = move |connection: &rusqlite::Connection| {
            let Some(group) = checkpoints::group(connection, &group)? else { return Ok(None) };
            let place = (topic.id, group);
            let members = member::all(connection, place)?;
            let Some(buried) = members.get(which.checked_rem(members.len()).unwrap_or(0)) else { return Ok(None) };
            member::remove(connection, place, buried.id)?;
            Ok(Some(buried.owner.clone()))
        };
        self.store.database.write(0, job).await.map_err(|error| failure(&self.name, error))
    }
}
