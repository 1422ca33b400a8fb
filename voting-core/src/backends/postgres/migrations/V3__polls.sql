-- The settings of a poll and how far its life has come, as JSON; NULL: none of it was ever set.
ALTER TABLE polls ADD COLUMN extras text;

-- Polls that were deleted. Their ids are never used again.
CREATE TABLE deleted_polls (
    id     text PRIMARY KEY,
    at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    state  text NOT NULL, -- JSON, as in polls
    voters bigint NOT NULL -- whose ballots counted
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

-- Who may use the operator's API, and for what. Of each token only its SHA-256 is kept.
CREATE TABLE tokens (
    name       text PRIMARY KEY,
    role       text NOT NULL,
    hash       bytea NOT NULL,
    created_at bigint NOT NULL -- milliseconds since 1970
);

-- The version up to which an upgrade is finished: no program of an earlier one is at work. In new tables there is
-- nothing to upgrade.
CREATE TABLE upgrades (finished integer NOT NULL);
INSERT INTO upgrades SELECT CASE WHEN EXISTS (SELECT 1 FROM polls) THEN 2 ELSE 3 END;

-- Deletes a poll with its ballots and its counts, and keeps its id from being used again. It has the rights of the
-- tables' owner, since no service may delete ballots by itself. So it looks itself whether the poll may be deleted.
DO $migration$
BEGIN
    EXECUTE format($statement$
        CREATE FUNCTION delete_poll(poll_id text) RETURNS void
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = %I, pg_temp
        AS $function$
        DECLARE
            found_poll polls%%ROWTYPE;
            -- The payload of a dead letter of one ballot in this poll begins so, see log/entry.rs. That of a ballot that a
            -- trusted server handed in has another first byte: 3.
            beginning bytea := '\x0101'::bytea || set_byte('\x00'::bytea, 0, octet_length(poll_id))
                || convert_to(poll_id, 'UTF8') || '\x000100'::bytea;
        BEGIN
            SELECT * INTO STRICT found_poll FROM polls WHERE polls.id = poll_id FOR UPDATE;
            IF found_poll.state::jsonb ->> 'state' <> 'final'
                AND NOT COALESCE((found_poll.extras::jsonb #>> '{life,draft}')::boolean, false)
            THEN
                RAISE EXCEPTION 'poll %% is neither a draft nor final', poll_id
                    USING ERRCODE = 'object_not_in_prerequisite_state';
            END IF;
            INSERT INTO deleted_polls (id, state, voters)
                SELECT poll_id, found_poll.state, COALESCE(SUM(turnouts.voters), 0)
                FROM turnouts WHERE turnouts.poll = found_poll.key;
            DELETE FROM ballots WHERE ballots.poll = found_poll.key;
            DELETE FROM tallies WHERE tallies.poll = found_poll.key;
            DELETE FROM turnouts WHERE turnouts.poll = found_poll.key;
            DELETE FROM ballots_without_voters WHERE ballots_without_voters.poll = found_poll.key;
            DELETE FROM new_voters WHERE new_voters.poll = found_poll.key;
            DELETE FROM vote_history WHERE vote_history.poll = found_poll.key;
            DELETE FROM event_marks WHERE event_marks.poll = poll_id;
            UPDATE dead_letters SET payload = '', detail = ''
                WHERE substring(payload FROM 1 FOR octet_length(beginning)) IN (beginning, set_byte(beginning, 0, 3));
            DELETE FROM polls WHERE polls.key = found_poll.key;
        END
        $function$
    $statement$, current_schema());
END
$migration$;
REVOKE ALL ON FUNCTION delete_poll(text) FROM PUBLIC;

-- Up to which entry of each shard the log's entries need not be signed.
CREATE TABLE unsigned_until (
    shard integer PRIMARY KEY,
    ms    bigint NOT NULL,
    seq   bigint NOT NULL
);

-- The ballots of polls whose voters are forgotten: how many there are of each choice.
CREATE TABLE ballots_without_voters (
    poll    integer NOT NULL,
    choices bigint NOT NULL, -- bit i is option i
    ballots bigint NOT NULL,
    PRIMARY KEY (poll, choices)
);

-- Forgets the voters of a final poll: of its ballots only the number of each choice stays. It has the rights of the
-- tables' owner, as delete_poll has.
DO $migration$
BEGIN
    EXECUTE format($statement$
        CREATE FUNCTION forget_voters(poll_id text) RETURNS void
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = %I, pg_temp
        AS $function$
        DECLARE
            found_poll polls%%ROWTYPE;
            -- As in delete_poll.
            beginning bytea := '\x0101'::bytea || set_byte('\x00'::bytea, 0, octet_length(poll_id))
                || convert_to(poll_id, 'UTF8') || '\x000100'::bytea;
        BEGIN
            SELECT * INTO STRICT found_poll FROM polls WHERE polls.id = poll_id FOR UPDATE;
            IF found_poll.state::jsonb ->> 'state' <> 'final' THEN
                RAISE EXCEPTION 'poll %% is not final', poll_id
                    USING ERRCODE = 'object_not_in_prerequisite_state';
            END IF;
            -- In one statement, so that what is removed is what was counted.
            WITH removed AS (
                DELETE FROM ballots WHERE ballots.poll = found_poll.key RETURNING ballots.choices
            )
            INSERT INTO ballots_without_voters AS kept (poll, choices, ballots)
                SELECT found_poll.key, removed.choices, COUNT(*) FROM removed GROUP BY removed.choices
                ON CONFLICT (poll, choices) DO UPDATE SET ballots = kept.ballots + excluded.ballots;
            -- When votes for an option came; 66 are the voters.
            DELETE FROM vote_history WHERE vote_history.poll = found_poll.key AND vote_history.counter <> 66;
            UPDATE dead_letters SET payload = '', detail = ''
                WHERE substring(payload FROM 1 FOR octet_length(beginning)) IN (beginning, set_byte(beginning, 0, 3));
        END
        $function$
    $statement$, current_schema());
END
$migration$;
REVOKE ALL ON FUNCTION forget_voters(text) FROM PUBLIC;

-- Who has signed in to the host's pages. Of each session only the SHA-256 of what its browser has is kept.
CREATE TABLE host_sessions (
    hash      bytea PRIMARY KEY,
    name      text NOT NULL,
    role      text NOT NULL,
    began_at  bigint NOT NULL, -- this and the following are milliseconds since 1970
    used_at   bigint NOT NULL,
    until     bigint NOT NULL,
    has_ended boolean NOT NULL -- kept until its time is over, so that it does not come back
);

-- What a ballot chooses that an operator has voided: its choices say only that it is voided.
ALTER TABLE ballots ADD COLUMN voided bigint;

-- How many voters were new in each minute since 1970 began, by the positions of the ballots with which they were first
-- counted. The numbers are sums over stripes, as those of tallies are.
CREATE TABLE new_voters (
    poll   integer NOT NULL,
    minute bigint NOT NULL,
    stripe smallint NOT NULL,
    voters bigint NOT NULL,
    PRIMARY KEY (poll, minute, stripe)
) WITH (fillfactor = 50);

-- How the votes of polls grew: by how much counters changed within spans of time, in sums over stripes. A counter is an option
-- by its index, or 66: the voters.
CREATE TABLE vote_history (
    poll    integer NOT NULL,
    until   bigint NOT NULL, -- the last second of the span, since 1970 began
    stripe  smallint NOT NULL,
    counter smallint NOT NULL,
    votes   bigint NOT NULL,
    PRIMARY KEY (poll, until, stripe, counter)
) WITH (fillfactor = 50);

-- What has happened, for programs that follow it. A row is numbered after its transaction has ended, so that no reader passes
-- over it.
CREATE TABLE events (
    place  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, -- in the order in which they were written
    number bigint UNIQUE,
    id     uuid NOT NULL,
    at     bigint NOT NULL, -- milliseconds since 1970
    kind   text NOT NULL,
    poll   text,
    data   text NOT NULL -- JSON
);
CREATE INDEX events_without_number ON events (place) WHERE number IS NULL;
CREATE INDEX events_by_time ON events (at, number);

-- The number of the newest event.
CREATE TABLE event_numbers (last bigint NOT NULL);
INSERT INTO event_numbers VALUES (0);

-- What was last told of something.
CREATE TABLE event_marks (
    name  text PRIMARY KEY,
    value text NOT NULL,
    at    bigint NOT NULL, -- milliseconds since 1970
    poll  text
);

-- Who handed a ballot in: NULL is the voter, 1 a trusted server.
ALTER TABLE ballots ADD COLUMN source smallint;

-- Where events are sent to.
CREATE TABLE webhooks (
    place      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, -- in the order in which they were added
    id         uuid NOT NULL UNIQUE,
    document   text NOT NULL, -- JSON
    enabled    boolean NOT NULL,
    after      bigint NOT NULL, -- the events up to this number have deliveries
    turn       bigint NOT NULL, -- the number of the last turn
    running    boolean NOT NULL, -- a sender has it, until not_before
    not_before bigint NOT NULL  -- no turn begins before, in milliseconds since 1970
);

-- What is sent to them.
CREATE TABLE deliveries (
    webhook    uuid NOT NULL REFERENCES webhooks (id) ON DELETE CASCADE,
    id         uuid NOT NULL,
    number     bigint NOT NULL,
    created_at bigint NOT NULL, -- milliseconds since 1970
    due        bigint, -- milliseconds since 1970; NULL once it is delivered or given up
    document   text NOT NULL, -- JSON
    PRIMARY KEY (webhook, id)
);
CREATE INDEX deliveries_by_number ON deliveries (webhook, number, id);
CREATE INDEX deliveries_due ON deliveries (webhook, due, number) WHERE due IS NOT NULL;
CREATE INDEX deliveries_by_time ON deliveries (created_at);
