-- How far a poll is with closing, as JSON.
ALTER TABLE polls ADD COLUMN state text NOT NULL DEFAULT '{"state":"open"}';

-- A flush locks the polls that it writes in, and polls are never removed, so a check of each ballot's
-- poll against the table tells nothing and costs a look-up a ballot.
ALTER TABLE ballots DROP CONSTRAINT ballots_poll_fkey;
ALTER TABLE tallies DROP CONSTRAINT tallies_poll_fkey;
ALTER TABLE turnouts DROP CONSTRAINT turnouts_poll_fkey;
