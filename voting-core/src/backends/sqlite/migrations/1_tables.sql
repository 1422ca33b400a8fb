-- Numbers of the domain are unsigned but stay below 2^63. Times are milliseconds since 1970.

CREATE TABLE polls (
    key        INTEGER PRIMARY KEY,
    id         TEXT NOT NULL UNIQUE,
    definition TEXT NOT NULL, -- JSON
    voters     INTEGER NOT NULL DEFAULT 0,
    version    INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE tallies (
    poll   INTEGER NOT NULL REFERENCES polls,
    option INTEGER NOT NULL, -- its index in the poll's definition
    votes  INTEGER NOT NULL,
    PRIMARY KEY (poll, option)
) STRICT, WITHOUT ROWID;

CREATE TABLE ballots (
    poll    INTEGER NOT NULL REFERENCES polls,
    voter   BLOB NOT NULL, -- 16 bytes
    choices INTEGER NOT NULL, -- bit i is option i
    shard   INTEGER NOT NULL,
    ms      INTEGER NOT NULL,
    n       INTEGER NOT NULL,
    PRIMARY KEY (poll, voter)
) STRICT, WITHOUT ROWID;

CREATE TABLE dead_letters (
    shard   INTEGER NOT NULL,
    ms      INTEGER NOT NULL,
    n       INTEGER NOT NULL,
    reason  TEXT NOT NULL,
    detail  TEXT NOT NULL,
    payload BLOB NOT NULL,
    ballots INTEGER NOT NULL,
    PRIMARY KEY (ms, n, shard)
) STRICT, WITHOUT ROWID;

-- Entries that are flushed. Those below a shard's mark are all flushed and have no row.
CREATE TABLE applied (
    shard INTEGER NOT NULL,
    ms    INTEGER NOT NULL,
    seq   INTEGER NOT NULL,
    PRIMARY KEY (shard, ms, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE applied_below (
    shard INTEGER PRIMARY KEY,
    ms    INTEGER NOT NULL,
    seq   INTEGER NOT NULL
) STRICT;

CREATE TABLE totals (superseded INTEGER NOT NULL) STRICT;
INSERT INTO totals VALUES (0);

-- The log: entries that are not yet acknowledged by a worker.
CREATE TABLE log (
    id      INTEGER PRIMARY KEY, -- ms << 20 | seq
    ballots INTEGER NOT NULL,
    payload BLOB NOT NULL
) STRICT;

CREATE TABLE log_state (
    last_id  INTEGER NOT NULL,
    accepted INTEGER NOT NULL, -- ballots ever appended
    pending  INTEGER NOT NULL  -- ballots in the log
) STRICT;
INSERT INTO log_state VALUES (0, 0, 0);
