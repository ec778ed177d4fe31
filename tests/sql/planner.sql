-- What the planner makes of balls: one plan for two spellings, widths through views and functions, estimates, rights.
CREATE EXTENSION lumina;
CREATE TABLE photos (id int, h phash(64));
INSERT INTO photos SELECT i, ('x' || substr(md5(i::text), 1, 16))::bit(64)::phash FROM generate_series(1, 10000) i;
INSERT INTO photos SELECT 10000 + i, '0000000000000000' FROM generate_series(1, 2000) i;
ANALYZE photos;
EXPLAIN (COSTS off) SELECT * FROM photos WHERE phash_within(h, 'c3a1f0e00f1e3c78', 5);
EXPLAIN (COSTS off) SELECT * FROM photos WHERE phash_within('c3a1f0e00f1e3c78', h, 5);
EXPLAIN (COSTS off) SELECT * FROM photos WHERE h <@ phash_ball('c3a1f0e00f1e3c78', 5);
EXPLAIN (COSTS off) SELECT * FROM photos WHERE phash_ball('c3a1f0e00f1e3c78', 5) @> h;
EXPLAIN (COSTS off) SELECT * FROM photos WHERE phash_within(h, NULL, 5);
EXPLAIN (COSTS off) SELECT * FROM photos a, photos b WHERE phash_within(a.h, b.h, 5);

-- The width of a column follows it through views, subqueries, CTEs, domains and casts.
CREATE VIEW seen AS SELECT h AS renamed FROM photos;
SELECT * FROM seen WHERE phash_within(renamed, 'c3a1', 5);
WITH kept AS MATERIALIZED (SELECT h FROM photos OFFSET 0) SELECT * FROM kept WHERE phash_within(h, 'c3a1', 5);
CREATE DOMAIN hash64 AS phash(64);
CREATE TABLE of_domain (h hash64);
SELECT * FROM of_domain WHERE phash_within(h, 'c3a1', 5);
SELECT * FROM photos WHERE phash_within(h::phash(64), 'c3a1', 5);
-- Functions lose it, and a column without a width has none: then nothing matches.
CREATE FUNCTION same(phash) RETURNS phash IMMUTABLE LANGUAGE sql AS 'SELECT $1 OFFSET 0';
SELECT count(*) FROM photos WHERE phash_within(same(h), 'c3a1', 5);
-- A cast to plain phash asks for any width.
SELECT count(*) FROM photos WHERE phash_within(h::phash, 'c3a1', 5);
-- A union of two widths has none either, although each branch is planned by itself.
SELECT count(*) FROM (SELECT h FROM photos UNION ALL SELECT 'c3a1') u(h) WHERE phash_within(h, 'c3a1', 5);
SELECT count(*) FROM (SELECT h FROM photos UNION SELECT 'c3a1') u(h) WHERE phash_within(h, 'c3a1', 5);
SELECT count(*) FROM (SELECT h FROM photos WHERE id > 0 UNION ALL SELECT 'c3a1') u(h) WHERE phash_within(h, 'c3a1', 5);
SELECT count(*) FROM (SELECT DISTINCT h FROM photos UNION ALL SELECT 'c3a1') u(h) WHERE phash_within(h, 'c3a1', 5);
SELECT count(*) FROM (SELECT h FROM (SELECT DISTINCT h FROM photos) s UNION SELECT 'c3a1') u(h)
WHERE phash_within(h, 'c3a1', 5);
SELECT count(*) FROM (SELECT h FROM photos UNION ALL SELECT h FROM photos) u(h) WHERE phash_within(h, 'c3a1', 5);
-- After ALTER TYPE the new width counts.
ALTER TABLE of_domain ALTER h TYPE phash(16) USING NULL;
SELECT * FROM of_domain WHERE phash_within(h, 'c3a1', 5);

-- Estimates: the popular value exactly, a rare one as one row, everything as everything; within a factor of three.
CREATE FUNCTION estimate(query text, OUT planned float8, OUT actual float8) LANGUAGE plpgsql AS $$
DECLARE plan json;
BEGIN
    EXECUTE 'EXPLAIN (ANALYZE, FORMAT json) ' || query INTO plan;
    planned := plan->0->'Plan'->>'Plan Rows';
    actual := plan->0->'Plan'->>'Actual Rows';
END $$;
CREATE FUNCTION near(query text) RETURNS text LANGUAGE sql AS $$
    SELECT CASE WHEN greatest(planned, 1) BETWEEN greatest(actual, 1) / 3.0 AND greatest(actual, 1) * 3.0
        THEN 'good' ELSE 'planned ' || planned || ', found ' || actual END FROM estimate(query) $$;
SELECT near('SELECT * FROM photos WHERE phash_within(h, ''0000000000000000'', 0)');
SELECT near('SELECT * FROM photos WHERE h <@ phash_ball(''0000000000000003'', 2)');
SELECT near('SELECT * FROM photos WHERE phash_ball(''c4ca4238a0b92382'', 5) @> h');
SELECT near('SELECT * FROM photos WHERE phash_within(h, ''c4ca4238a0b92382'', 30)');
SELECT near('SELECT * FROM photos WHERE phash_within(h, ''c4ca4238a0b92382'', 64)');
CREATE TABLE tenth AS SELECT * FROM photos WHERE id % 10 = 0;
ANALYZE tenth;
SELECT near('SELECT 1 FROM tenth a, tenth b WHERE phash_within(a.h, b.h, 5)');
SELECT near('SELECT 1 FROM tenth a, tenth b WHERE a.h <@ phash_ball(b.h, 5)');
SELECT near('SELECT 1 FROM tenth a, tenth b WHERE phash_ball(b.h, 30) @> a.h');
SELECT near('SELECT 1 FROM tenth a WHERE EXISTS (SELECT FROM photos b WHERE phash_within(a.h, b.h, 5))');
SELECT near('SELECT 1 FROM photos a WHERE NOT EXISTS (SELECT FROM tenth b WHERE a.h <@ phash_ball(b.h, 5))');
EXPLAIN SELECT * FROM phash_bands('c3a1f0e00f1e3c78', 7);
-- Estimators look at types before they look at values, whatever operator names them.
CREATE TABLE numbers AS SELECT id % 10 AS i, h FROM photos;
ANALYZE numbers;
CREATE FUNCTION mine(int, int) RETURNS phash_ball IMMUTABLE LANGUAGE plpgsql AS
    $$ BEGIN RETURN '<c3a1f0e00f1e3c78,5>'; END $$;
EXPLAIN (COSTS off) SELECT * FROM numbers WHERE h <@ mine(i, 5);
CREATE OPERATOR ==== (LEFTARG = int4, RIGHTARG = int4, FUNCTION = int4eq, RESTRICT = phash_in_ball_sel,
    JOIN = phash_in_ball_joinsel);
EXPLAIN (COSTS off) SELECT * FROM numbers WHERE i ==== 5;
EXPLAIN (COSTS off) SELECT * FROM numbers a JOIN numbers b ON a.i ==== b.i;

-- Row-level security: near hashes are found before the policy's own, leaking, function is asked.
CREATE FUNCTION policy(int) RETURNS bool COST 1000 LANGUAGE plpgsql AS 'BEGIN RETURN $1 % 2 = 0; END';
ALTER TABLE photos ENABLE ROW LEVEL SECURITY;
CREATE POLICY even ON photos USING (policy(id));
CREATE ROLE reader;
GRANT SELECT ON photos TO reader;
SET ROLE reader;
EXPLAIN (COSTS off) SELECT id FROM photos WHERE phash_within(h, '0000000000000000', 1);
SELECT count(*) FROM photos WHERE phash_within(h, '0000000000000000', 1);
RESET ROLE;

-- Partial and expression indexes: the predicate is simplified as the query is.
CREATE INDEX dark ON photos (id) WHERE phash_within(h, '0000000000000000', 3);
SET enable_seqscan = off; SET enable_bitmapscan = off;
EXPLAIN (COSTS off) SELECT id FROM photos WHERE phash_within(h, '0000000000000000', 3) ORDER BY id LIMIT 1;
RESET ALL;
-- A constraint that can never hold does not make its table unusable.
CREATE TABLE odd (h phash CHECK (NOT phash_within(h, 'abcd', 99)));
INSERT INTO odd VALUES ('abcd');
INSERT INTO odd VALUES ('ab');
SELECT * FROM odd;
SET constraint_exclusion = on;
SELECT * FROM odd WHERE h = 'ab';
UPDATE odd SET h = 'cd' WHERE h = 'ab';
RESET constraint_exclusion;
CREATE TABLE parent (h phash(64));
CREATE TABLE child (CHECK (NOT phash_within(h, 'abcd', 5))) INHERITS (parent);
SELECT * FROM parent WHERE h > 'ab';

-- With parameters and in joins phash_within asks an index whose family has <@, be the column its first argument or its
-- second. No index has it yet: let a B-tree pretend to, and look at the plans alone.
BEGIN;
ALTER OPERATOR FAMILY phash_ops USING btree ADD OPERATOR 1 <@ (phash, phash_ball);
CREATE TABLE keyed (id int, h phash(64));
CREATE INDEX keyed_h ON keyed (h);
SET seq_page_cost = 1000; SET enable_bitmapscan = off; SET plan_cache_mode = force_generic_plan;
PREPARE near(phash, int) AS SELECT id FROM keyed WHERE phash_within(h, $1, $2);
EXPLAIN (COSTS off) EXECUTE near('c3a1f0e00f1e3c78', 3);
EXPLAIN (COSTS off) SELECT * FROM tenth, LATERAL (SELECT * FROM keyed WHERE phash_within(tenth.h, keyed.h,
    3) OFFSET 0) k;
EXPLAIN (COSTS off) SELECT * FROM keyed WHERE phash_within(h, h, id);
EXPLAIN (COSTS off) SELECT * FROM keyed WHERE phash_within(h, 'c3a1f0e00f1e3c78', (random() * 9)::int);
ROLLBACK;
SELECT phash_search_ball('c3a1', -1) AS none, phash_search_ball('c3a1', 3) AS three, phash_search_ball('c3a1', 99)
    AS all;

-- A view's owner needs no rights on the schema of its reader, nor the reader on the extension's.
BEGIN;
DROP EXTENSION lumina CASCADE;
CREATE SCHEMA hashes;
CREATE EXTENSION lumina SCHEMA hashes;
SET LOCAL search_path = public, hashes;
CREATE TABLE keyed (id int, h phash(64));
CREATE INDEX keyed_h ON keyed (h);
ALTER OPERATOR FAMILY phash_ops USING btree ADD OPERATOR 1 <@ (phash, phash_ball);
CREATE VIEW pairs AS SELECT a.id AS a, b.id AS b FROM keyed a, keyed b WHERE phash_within(a.h, b.h, 3);
GRANT SELECT ON pairs TO reader;
SET LOCAL ROLE reader;
SET LOCAL seq_page_cost = 1000;
SET LOCAL enable_bitmapscan = off;
EXPLAIN (COSTS off) SELECT * FROM pairs;
ROLLBACK;
