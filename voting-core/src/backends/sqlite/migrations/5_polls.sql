-- The settings of a poll and how far its life has come, as JSON; NULL: none of it was ever set.
ALTER TABLE polls ADD COLUMN extras TEXT;

-- Polls that were deleted. Their ids are never used again.
CREATE TABLE deleted_polls (
    id     TEXT PRIMARY KEY,
    at     INTEGER NOT NULL,
    state  TEXT NOT NULL, -- JSON, as in polls
    voters INTEGER NOT NULL -- whose ballots counted
) STRICT, WITHOUT ROWID;

-- What was done, by whom and when. It only grows.
CREATE TABLE audit_log (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    at     INTEGER NOT NULL,
    by     TEXT NOT NULL,
    action TEXT NOT NULL,
    poll   TEXT,
    before TEXT, -- JSON
    after  TEXT  -- JSON
) STRICT;

-- Who may use the operator's API, and for what. Of each token only its SHA-256 is kept.
CREATE TABLE tokens (
    name       TEXT PRIMARY KEY,
    role       TEXT NOT NULL,
    hash       BLOB NOT NULL,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Between which moments the log takes ballots, and by which rules.
CREATE TABLE windows (
    poll      TEXT PRIMARY KEY,
    rules     INTEGER NOT NULL,
    times     INTEGER NOT NULL,
    opens_at  INTEGER,
    closes_at INTEGER
) STRICT, WITHOUT ROWID;

-- The ballots of polls whose voters are forgotten: how many there are of each choice. Such a poll may still have rows in
-- the table of ballots: they count no more, and are removed step by step.
CREATE TABLE ballots_without_voters (
    poll    INTEGER NOT NULL REFERENCES polls,
    choices INTEGER NOT NULL, -- bit i is option i
    ballots INTEGER NOT NULL,
    PRIMARY KEY (poll, choices)
) STRICT, WITHOUT ROWID;

-- Who has signed in to the host's pages. Of each session only the SHA-256 of what its browser has is kept.
CREATE TABLE host_sessions (
    hash      BLOB PRIMARY KEY,
    name      TEXT NOT NULL,
    role      TEXT NOT NULL,
    began_at  INTEGER NOT NULL,
    used_at   INTEGER NOT NULL,
    until     INTEGER NOT NULL,
    has_ended INTEGER NOT NULL -- kept until its time is over, so that it does not come back
) STRICT, WITHOUT ROWID;

-- The secrets to which the log is held: the one that came last has the highest place. One that is not accepted any more has
-- place -1.
ALTER TABLE secrets ADD COLUMN place INTEGER NOT NULL DEFAULT 0;

-- What a ballot chooses that an operator has voided: its choices say only that it is voided.
ALTER TABLE ballots ADD COLUMN voided INTEGER;

-- How many voters were new in each minute since 1970 began, by the positions of the ballots with which they were first
-- counted.
CREATE TABLE new_voters (
    poll   INTEGER NOT NULL REFERENCES polls,
    minute INTEGER NOT NULL,
    voters INTEGER NOT NULL,
    PRIMARY KEY (poll, minute)
) STRICT, WITHOUT ROWID;

-- How the votes of polls grew: by how much counters changed within spans of time. A counter is an option by its index, or 66:
-- the voters.
CREATE TABLE vote_history (
    poll    INTEGER NOT NULL REFERENCES polls,
    until   INTEGER NOT NULL, -- the last second of the span, since 1970 began
    counter INTEGER NOT NULL,
    votes   INTEGER NOT NULL,
    PRIMARY KEY (poll, until, counter)
) STRICT, WITHOUT ROWID;

-- What has happened, for programs that follow it.
CREATE TABLE events (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id     BLOB NOT NULL,
    at     INTEGER NOT NULL, -- milliseconds since 1970
    kind   TEXT NOT NULL,
    poll   TEXT,
    data   TEXT NOT NULL -- JSON
) STRICT;
CREATE INDEX events_by_time ON events (at, number);

-- What was last told of something.
CREATE TABLE event_marks (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL,
    at    INTEGER NOT NULL, -- milliseconds since 1970
    poll  TEXT
) STRICT, WITHOUT ROWID;

-- Who handed a ballot in: NULL is the voter, 1 a trusted server.
ALTER TABLE ballots ADD COLUMN source INTEGER;

-- Where events are sent to.
CREATE TABLE webhooks (
    place      INTEGER PRIMARY KEY AUTOINCREMENT, -- in the order in which they were added
    id         BLOB NOT NULL UNIQUE,
    document   TEXT NOT NULL, -- JSON
    enabled    INTEGER NOT NULL,
    after      INTEGER NOT NULL, -- the events up to this number have deliveries
    turn       INTEGER NOT NULL, -- the number of the last turn
    running    INTEGER NOT NULL, -- a sender has it, until not_before
    not_before INTEGER NOT NULL  -- no turn begins before, in milliseconds since 1970
) STRICT;

-- What is sent to them.
CREATE TABLE deliveries (
    webhook    BLOB NOT NULL,
    id         BLOB NOT NULL,
    number     INTEGER NOT NULL,
    created_at INTEGER NOT NULL, -- milliseconds since 1970
    due        INTEGER, -- milliseconds since 1970; NULL once it is delivered or given up
    document   TEXT NOT NULL, -- JSON
    PRIMARY KEY (webhook, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX deliveries_by_number ON deliveries (webhook, number, id);
CREATE INDEX deliveries_due ON deliveries (webhook, due, number) WHERE due IS NOT NULL;
CREATE INDEX deliveries_by_time ON deliveries (created_at);
