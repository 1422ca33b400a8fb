-- The settings of a poll and how far its life has come, as JSON; NULL: none of it was ever set.
ALTER TABLE polls ADD COLUMN extras text;

-- Polls that were deleted. Their ids are never used again.
CREATE TABLE deleted_polls (
    id text PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- What was done, by whom and when. It only grows.
CREATE TABLE audit_log (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    by     text NOT NULL,
    action text NOT NULL,
    poll   text,
    before text, -- JSON
    after  text  -- JSON
);

-- The version up to which an upgrade is finished: no program of an earlier one is at work. In new tables there is
-- nothing to upgrade.
CREATE TABLE upgrades (finished integer NOT NULL);
INSERT INTO upgrades SELECT CASE WHEN EXISTS (SELECT 1 FROM polls) THEN 2 ELSE 3 END;
