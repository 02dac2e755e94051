//! The tables. A log is one partition of one topic; it has a small number, and a message's row id is that number and
//! the message's position in one, so that one table holds all messages and a partition is a range of it.

use crate::storage::sqlite::Schema;

/// Bits of a row id that are the position.
const POSITION_BITS: u32 = 40;
/// The position that a log can no longer hold.
pub(super) const POSITIONS: i64 = 1 << POSITION_BITS;
/// The log number that a row id can no longer hold.
pub(super) const LOGS: i64 = 1 << (63 - POSITION_BITS);

/// Who reads. The names are new with version 2, so that a host that still runs with version 1 is refused by the tables
/// and takes nobody's partitions.
macro_rules! sharing {
    () => {
        "
CREATE TABLE member(
    id INTEGER PRIMARY KEY AUTOINCREMENT, -- the order in which they joined; none comes back
    topic INTEGER NOT NULL,
    grp INTEGER NOT NULL,
    holder TEXT NOT NULL UNIQUE,          -- its lock file
    process INTEGER NOT NULL,
    owner TEXT NOT NULL,                  -- for people
    beat INTEGER NOT NULL                 -- moves while the member's process does
);
CREATE TABLE partition_lease(
    topic INTEGER NOT NULL,
    grp INTEGER NOT NULL,
    part INTEGER NOT NULL,
    epoch INTEGER NOT NULL, -- counts the owners; what an earlier one fetches or commits is refused
    owner INTEGER,          -- a member; one that is not there any more owns nothing
    wanted_by INTEGER,      -- the member that is to have it next
    PRIMARY KEY(topic, grp, part)
) WITHOUT ROWID;
"
    };
}

/// The tables of the log.
pub(super) const SCHEMA: Schema = Schema {
    application: 0x4c47_6c67,
    version: 2,
    sql: concat!(
        "
CREATE TABLE topic(
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    retain_ms INTEGER,      -- messages older than this go
    retain_bytes INTEGER    -- the oldest messages of the topic go while it has more than this
);
CREATE TABLE log(
    id INTEGER PRIMARY KEY,
    topic INTEGER NOT NULL,
    part INTEGER NOT NULL,
    first INTEGER NOT NULL, -- the oldest position that is kept
    end INTEGER NOT NULL,   -- the position that the next message gets
    bytes INTEGER NOT NULL, -- what the kept messages weigh
    UNIQUE(topic, part)
);
CREATE TABLE message(
    id INTEGER PRIMARY KEY, -- log << 40 | position
    time INTEGER NOT NULL,  -- milliseconds since the Unix epoch
    key BLOB,
    headers BLOB,
    payload BLOB NOT NULL
);
CREATE TABLE grp(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE checkpoint(
    grp INTEGER NOT NULL,
    log INTEGER NOT NULL,
    base INTEGER NOT NULL,
    settled BLOB NOT NULL,  -- the checkpoint as it encodes itself
    PRIMARY KEY(grp, log)
) WITHOUT ROWID;
",
        sharing!()
    ),
    // Version 1 gave a group to one host whole. Who reads is known anew within a second.
    upgrades: &[(1, concat!("DROP TABLE lease;", sharing!()))],
};

/// The row id of a message.
pub(super) fn row_id(log: i64, position: i64) -> i64 {
    log << POSITION_BITS | position.clamp(0, POSITIONS - 1)
}

/// The position in a row id.
pub(super) fn position(row_id: i64) -> i64 {
    row_id & (POSITIONS - 1)
}

/// The row ids of a log from a position on: from the first, up to and without the second.
pub(super) fn rows_from(log: i64, position: i64) -> (i64, i64) {
    (row_id(log, position), (log << POSITION_BITS).saturating_add(POSITIONS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logs_never_overlap() {
        assert_eq!(rows_from(3, 0).1, row_id(4, 0));
        assert_eq!(position(row_id(LOGS - 1, POSITIONS - 1)), POSITIONS - 1);
        assert!(row_id(LOGS - 1, POSITIONS - 1) > 0);
    }
}
