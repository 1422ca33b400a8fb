-- Numbers of the domain are unsigned but stay below 2^63. Times are milliseconds since 1970.

CREATE TABLE polls (
    key        integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id         text NOT NULL UNIQUE,
    definition text NOT NULL -- JSON
);

-- One row a voter and poll. Updates touch no index, and find room in their page.
CREATE TABLE ballots (
    poll    integer NOT NULL REFERENCES polls,
    voter   uuid NOT NULL,
    choices bigint NOT NULL, -- bit i is option i
    prev    bigint, -- the choices before the last change, for the statement that makes it
    shard   integer NOT NULL,
    ms      bigint NOT NULL,
    n       bigint NOT NULL,
    PRIMARY KEY (poll, voter)
) WITH (fillfactor = 80);

-- Tallies are sums over stripes, so that workers do not wait for each other's rows.
CREATE TABLE tallies (
    poll   integer NOT NULL REFERENCES polls,
    stripe smallint NOT NULL,
    option smallint NOT NULL, -- its index in the poll's definition
    votes  bigint NOT NULL, -- of a stripe, may be below zero
    PRIMARY KEY (poll, stripe, option)
) WITH (fillfactor = 50);

CREATE TABLE turnouts (
    poll    integer NOT NULL REFERENCES polls,
    stripe  smallint NOT NULL,
    voters  bigint NOT NULL,
    version bigint NOT NULL,
    PRIMARY KEY (poll, stripe)
) WITH (fillfactor = 50);

CREATE TABLE superseded (
    stripe  smallint PRIMARY KEY,
    ballots bigint NOT NULL
) WITH (fillfactor = 50);

CREATE TABLE dead_letters (
    shard   integer NOT NULL,
    ms      bigint NOT NULL,
    n       bigint NOT NULL,
    reason  text NOT NULL,
    detail  text NOT NULL,
    payload bytea NOT NULL,
    ballots integer NOT NULL,
    PRIMARY KEY (ms, n, shard)
);

-- Entries that are flushed. Those below a shard's mark are all flushed and have no row.
CREATE TABLE applied (
    shard integer NOT NULL,
    ms    bigint NOT NULL,
    seq   bigint NOT NULL,
    PRIMARY KEY (shard, ms, seq)
);

CREATE TABLE applied_below (
    shard integer PRIMARY KEY,
    ms    bigint NOT NULL,
    seq   bigint NOT NULL
);
