-- Wrong input: what each error says.
CREATE EXTENSION lumina;
SELECT 'abc'::phash;
SELECT 'c3a1f0e00f1e3c7g'::phash;
SELECT ''::phash;
SELECT ' ab'::phash;
SELECT '0xab'::phash;
SELECT '\xab'::phash;
SELECT 'äb'::phash;
SELECT repeat('0', 1026)::phash;
SELECT 'ab'::phash(0);
SELECT 'ab'::phash(7);
SELECT 'ab'::phash(-8);
SELECT 'ab'::phash(4104);
SELECT 'ab'::phash(8, 8);
SELECT 'ab'::phash('x');
SELECT 'ab'::phash(16);
CREATE TABLE bad (h phash(12));

CREATE TABLE photos (id int, h phash(64));
INSERT INTO photos VALUES (1, 'c3a1');
INSERT INTO photos SELECT 1, 'c3a1'::phash;
COPY photos FROM stdin;
1	c3a1
\.
COPY photos FROM stdin;
1	nothex
\.
INSERT INTO photos VALUES (1, 'c3a1f0e00f1e3c78'), (2, NULL);

-- Distances and balls.
SELECT 'abcd'::phash <~> 'ab'::phash;
SELECT phash_ball('abcd', -1);
SELECT phash_ball('abcd', 17);
SELECT '<abcd,17>'::phash_ball;
SELECT '<abcd,-1>'::phash_ball;
SELECT '<abc,1>'::phash_ball;
SELECT 'abcd,1'::phash_ball;
SELECT '<abcd,x>'::phash_ball;
SELECT 'ab'::phash <@ phash_ball('abcd', 16) AS other_width, phash_within('ab', 'abcd', 16) AS other_width_too;

-- A constant that can never match is refused before the query runs.
SELECT * FROM photos WHERE h <@ phash_ball('c3a1', 5);
SELECT * FROM photos WHERE phash_ball('c3a1', 5) @> h;
SELECT * FROM photos WHERE phash_within(h, 'c3a1', 5);
SELECT * FROM photos WHERE phash_within('c3a1', h, 5);
SELECT * FROM photos ORDER BY h <~> 'c3a1' LIMIT 1;
EXPLAIN SELECT * FROM photos WHERE phash_within(h, 'c3a1', 5);
SELECT * FROM photos WHERE phash_within(h, 'c3a1f0e00f1e3c78', -1);
SELECT * FROM photos WHERE phash_within(h, 'c3a1f0e00f1e3c78', 65);
PREPARE near(phash, int) AS SELECT id FROM photos WHERE phash_within(h, $1, $2);
EXECUTE near('c3a1', 5);
SET plan_cache_mode = force_generic_plan;
EXECUTE near('c3a1', 5);
EXECUTE near('c3a1f0e00f1e3c78', -1);
EXECUTE near('c3a1f0e00f1e3c78', 1000);

-- NULLs: nothing is near NULL, nothing is said of it.
SELECT NULL::phash <~> 'ab' AS distance, phash_ball(NULL, 1) AS ball, phash_ball('ab', NULL) AS ball_too,
    phash_within(NULL, 'ab', 1) AS within, NULL::phash::bigint AS number, phash_bits(NULL) AS bits;
SELECT * FROM phash_bands(NULL, 3);

-- Casts and bands.
SELECT 'abcd'::phash::bigint;
SELECT ''::bytea::phash;
SELECT decode(repeat('00', 513), 'hex')::phash;
SELECT B'1010'::phash;
SELECT B''::phash;
SELECT 'abcd'::phash::bit(8);
SELECT 'abcd'::phash::bit;
SELECT 'abcd'::phash::varbit(8);
SELECT * FROM phash_bands('abcd', -1);
SELECT * FROM phash_bands('abcd', 16);
SELECT * FROM phash_bands('abcd', 2147483647);

-- Planner functions cannot be called by hand.
SELECT phash_within_support(0);
