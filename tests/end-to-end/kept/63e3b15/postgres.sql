--
-- PostgreSQL database dump
--


-- Dumped from database version 15.18 (Debian 15.18-0+deb12u1)
-- Dumped by pg_dump version 15.18 (Debian 15.18-0+deb12u1)

SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;

SET default_tablespace = '';

SET default_table_access_method = heap;

--
-- Name: applied; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.applied (
    shard integer NOT NULL,
    ms bigint NOT NULL,
    seq bigint NOT NULL
);


--
-- Name: applied_below; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.applied_below (
    shard integer NOT NULL,
    ms bigint NOT NULL,
    seq bigint NOT NULL
);


--
-- Name: ballots; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.ballots (
    poll integer NOT NULL,
    voter uuid NOT NULL,
    choices bigint NOT NULL,
    prev bigint,
    shard integer NOT NULL,
    ms bigint NOT NULL,
    n bigint NOT NULL
)
WITH (fillfactor='80');


--
-- Name: dead_letters; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.dead_letters (
    shard integer NOT NULL,
    ms bigint NOT NULL,
    n bigint NOT NULL,
    reason text NOT NULL,
    detail text NOT NULL,
    payload bytea NOT NULL,
    ballots integer NOT NULL
);


--
-- Name: polls; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.polls (
    key integer NOT NULL,
    id text NOT NULL,
    definition text NOT NULL,
    state text DEFAULT '{"state":"open"}'::text NOT NULL
);


--
-- Name: polls_key_seq; Type: SEQUENCE; Schema: public; Owner: -
--

ALTER TABLE public.polls ALTER COLUMN key ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.polls_key_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);


--
-- Name: refinery_schema_history; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.refinery_schema_history (
    version integer NOT NULL,
    name character varying(255),
    applied_on character varying(255),
    checksum character varying(255)
);


--
-- Name: superseded; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.superseded (
    stripe smallint NOT NULL,
    ballots bigint NOT NULL
)
WITH (fillfactor='50');


--
-- Name: tallies; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.tallies (
    poll integer NOT NULL,
    stripe smallint NOT NULL,
    option smallint NOT NULL,
    votes bigint NOT NULL
)
WITH (fillfactor='50');


--
-- Name: turnouts; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.turnouts (
    poll integer NOT NULL,
    stripe smallint NOT NULL,
    voters bigint NOT NULL,
    version bigint NOT NULL
)
WITH (fillfactor='50');


--
-- Data for Name: applied; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.applied VALUES (1, 1795749534566, 0);
INSERT INTO public.applied VALUES (3, 1795749534565, 0);
INSERT INTO public.applied VALUES (3, 1795749534567, 0);
INSERT INTO public.applied VALUES (3, 1795749534567, 1);


--
-- Data for Name: applied_below; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.applied_below VALUES (1, 0, 1);
INSERT INTO public.applied_below VALUES (3, 0, 1);


--
-- Data for Name: ballots; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.ballots VALUES (1, '01a21b03-5b61-72b0-956c-ed2e22152220', 2, NULL, 3, 1795749534567, 65536);
INSERT INTO public.ballots VALUES (1, '01a21b03-5b66-74af-a980-b32a70955c1c', 1, NULL, 1, 1795749534566, 0);
INSERT INTO public.ballots VALUES (1, '01a21b03-5b67-70c5-954a-f2b9f2a59bb8', 2, NULL, 3, 1795749534567, 0);


--
-- Data for Name: dead_letters; Type: TABLE DATA; Schema: public; Owner: -
--



--
-- Data for Name: polls; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.polls OVERRIDING SYSTEM VALUE VALUES (1, 'cats-vs-dogs', '{"id":"cats-vs-dogs","title":"Cats vs Dogs!","options":[{"id":"a","label":"Cats"},{"id":"b","label":"Dogs"}],"max_choices":1}', '{"state":"open"}');


--
-- Data for Name: refinery_schema_history; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.refinery_schema_history VALUES (1, 'tables', '2026-11-27T03:18:46.604917544Z', '6508547901950834802');
INSERT INTO public.refinery_schema_history VALUES (2, 'closing', '2026-11-27T03:18:46.604927789Z', '9209387713432146291');


--
-- Data for Name: superseded; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.superseded VALUES (5, 1);


--
-- Data for Name: tallies; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.tallies VALUES (1, 5, 0, 1);
INSERT INTO public.tallies VALUES (1, 5, 1, 2);


--
-- Data for Name: turnouts; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.turnouts VALUES (1, 5, 3, 1);


--
-- Name: polls_key_seq; Type: SEQUENCE SET; Schema: public; Owner: -
--

SELECT pg_catalog.setval('public.polls_key_seq', 1, true);


--
-- Name: applied_below applied_below_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.applied_below
    ADD CONSTRAINT applied_below_pkey PRIMARY KEY (shard);


--
-- Name: applied applied_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.applied
    ADD CONSTRAINT applied_pkey PRIMARY KEY (shard, ms, seq);


--
-- Name: ballots ballots_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.ballots
    ADD CONSTRAINT ballots_pkey PRIMARY KEY (poll, voter);


--
-- Name: dead_letters dead_letters_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.dead_letters
    ADD CONSTRAINT dead_letters_pkey PRIMARY KEY (ms, n, shard);


--
-- Name: polls polls_id_key; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.polls
    ADD CONSTRAINT polls_id_key UNIQUE (id);


--
-- Name: polls polls_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.polls
    ADD CONSTRAINT polls_pkey PRIMARY KEY (key);


--
-- Name: refinery_schema_history refinery_schema_history_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.refinery_schema_history
    ADD CONSTRAINT refinery_schema_history_pkey PRIMARY KEY (version);


--
-- Name: superseded superseded_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.superseded
    ADD CONSTRAINT superseded_pkey PRIMARY KEY (stripe);


--
-- Name: tallies tallies_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.tallies
    ADD CONSTRAINT tallies_pkey PRIMARY KEY (poll, stripe, option);


--
-- Name: turnouts turnouts_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.turnouts
    ADD CONSTRAINT turnouts_pkey PRIMARY KEY (poll, stripe);


--
-- PostgreSQL database dump complete
--


