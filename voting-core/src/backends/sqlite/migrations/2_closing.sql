-- How far a poll is with closing, as JSON.
ALTER TABLE polls ADD COLUMN state TEXT NOT NULL DEFAULT '{"state":"open"}';

-- Polls in which the log takes no more ballots.
CREATE TABLE sealed (poll TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
