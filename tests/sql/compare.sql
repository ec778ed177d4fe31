-- Equality, order and hashing: sorts, DISTINCT, GROUP BY, joins, constraints, partitions.
CREATE EXTENSION lumina;
CREATE TABLE mixed (h phash);
INSERT INTO mixed VALUES ('ff'), ('00'), ('0000'), (NULL), ('7f'), ('00ff'), ('00'), ('80'), ('ff00'), ('fe');
SELECT h FROM mixed ORDER BY h;
SELECT h FROM mixed ORDER BY h DESC NULLS LAST;
SELECT h, count(*) FROM mixed GROUP BY h ORDER BY h;
SELECT 'ab'::phash = 'AB' AS eq, phash '00' < '0000' AS shorter_first, phash '80' > '7f' AS unsigned,
    phash 'ab' <> 'abab' AS ne, phash 'ab' <= 'ab' AS le, phash 'ab' >= 'ac' AS ge;
ANALYZE mixed;

CREATE TABLE photos AS
SELECT i AS id, ('x' || substr(md5((i % 4000)::text), 1, 16))::bit(64)::phash::phash(64) AS h FROM generate_series(1,
    20000) i;
CREATE TABLE more AS SELECT * FROM photos WHERE id % 3 = 0;
ANALYZE photos, more;

-- Hash, merge and nested joins agree; so do hashed and sorted groups, and parallel workers.
SET enable_mergejoin = off; SET enable_nestloop = off;
EXPLAIN (COSTS off) SELECT count(*) FROM photos a JOIN more b USING (h);
SELECT count(*) FROM photos a JOIN more b USING (h);
RESET enable_mergejoin; SET enable_hashjoin = off;
EXPLAIN (COSTS off) SELECT count(*) FROM photos a JOIN more b USING (h);
SELECT count(*) FROM photos a JOIN more b USING (h);
RESET ALL;
SET enable_hashagg = off;
EXPLAIN (COSTS off) SELECT count(*) FROM (SELECT DISTINCT h FROM photos) d;
SELECT count(*) FROM (SELECT DISTINCT h FROM photos) d;
SET enable_hashagg = on; SET enable_sort = off;
EXPLAIN (COSTS off) SELECT count(*) FROM (SELECT DISTINCT h FROM photos) d;
SELECT count(*) FROM (SELECT DISTINCT h FROM photos) d;
RESET ALL;
SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0;
EXPLAIN (COSTS off) SELECT count(*) FROM photos WHERE phash_within(h, 'c4ca4238a0b92382', 20);
SELECT count(*) FROM photos WHERE phash_within(h, 'c4ca4238a0b92382', 20);
EXPLAIN (COSTS off) SELECT h, count(*) FROM photos GROUP BY h ORDER BY h LIMIT 2;
SELECT h, count(*) FROM photos GROUP BY h ORDER BY h LIMIT 2;
SET max_parallel_workers_per_gather = 0;
SELECT count(*) FROM photos WHERE phash_within(h, 'c4ca4238a0b92382', 20);
SELECT h, count(*) FROM photos GROUP BY h ORDER BY h LIMIT 2;
RESET ALL;

-- Abbreviated keys and full comparisons give one order, also where the first 64 bits say nothing.
SELECT bool_and(h > before) FROM (SELECT h, lag(h) OVER (ORDER BY h) AS before FROM (SELECT DISTINCT h
    FROM photos) d) o;
CREATE TABLE wide AS SELECT (repeat('00', 12) || substr(md5(i::text), 1, 8))::phash AS h FROM generate_series(1,
    3000) i;
SELECT bool_and(h::text COLLATE "C" >= before::text COLLATE "C")
FROM (SELECT h, lag(h) OVER (ORDER BY h) AS before FROM wide) o WHERE before IS NOT NULL;

-- Indexes and constraints.
CREATE INDEX ON photos (h);
CREATE INDEX ON photos USING hash (h);
SET enable_seqscan = off; SET enable_bitmapscan = off;
EXPLAIN (COSTS off) SELECT count(*) FROM photos WHERE h BETWEEN '10' AND '11';
SELECT count(*) FROM photos WHERE h BETWEEN '10' AND '11';
DROP INDEX photos_h_idx;
EXPLAIN (COSTS off) SELECT count(*) FROM photos WHERE h = 'c4ca4238a0b92382';
SELECT count(*) FROM photos WHERE h = 'c4ca4238a0b92382';
RESET ALL;
CREATE TABLE once (h phash(64) PRIMARY KEY, again phash(8) UNIQUE);
INSERT INTO once VALUES ('c3a1f0e00f1e3c78', 'ab');
INSERT INTO once VALUES ('C3A1F0E00F1E3C78', 'cd');
INSERT INTO once VALUES ('c3a1f0e00f1e3c78', 'cd') ON CONFLICT (h) DO UPDATE SET again = excluded.again RETURNING *;
CREATE TABLE refers (h phash(64) REFERENCES once);
INSERT INTO refers VALUES ('00ff00ff00ff00ff');

-- Partitions by hash, range and list.
CREATE TABLE by_hash (id int, h phash(64)) PARTITION BY HASH (h);
CREATE TABLE by_hash_0 PARTITION OF by_hash FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE by_hash_1 PARTITION OF by_hash FOR VALUES WITH (MODULUS 2, REMAINDER 1);
INSERT INTO by_hash SELECT * FROM photos;
SELECT count(*) BETWEEN 8000 AND 12000 AS even FROM by_hash_0;
EXPLAIN (COSTS off) SELECT count(*) FROM by_hash WHERE h = 'c4ca4238a0b92382';
SELECT count(*) FROM by_hash WHERE h = 'c4ca4238a0b92382';
CREATE TABLE by_range (h phash(64)) PARTITION BY RANGE (h);
CREATE TABLE by_range_low PARTITION OF by_range FOR VALUES FROM (MINVALUE) TO ('8000000000000000');
CREATE TABLE by_range_high PARTITION OF by_range FOR VALUES FROM ('8000000000000000') TO (MAXVALUE);
INSERT INTO by_range SELECT h FROM photos;
SELECT count(*) FROM by_range_high;
SELECT count(*) FROM photos WHERE h >= '8000000000000000';
CREATE TABLE by_list (h phash(8)) PARTITION BY LIST (h);
CREATE TABLE by_list_dark PARTITION OF by_list FOR VALUES IN ('00', '01');
INSERT INTO by_list VALUES ('01'), ('02');

-- IN lists, EXCEPT, window functions, aggregates over order.
SELECT count(*) FROM photos WHERE h IN ('c4ca4238a0b92382', 'c81e728d9d4c2f63');
SELECT count(*) FROM (SELECT h FROM photos EXCEPT SELECT h FROM more) e;
SELECT count(*) FROM (SELECT h, row_number() OVER (PARTITION BY h) AS n FROM photos) r WHERE n = 1;
SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY h) > '7000000000000000' AS middle FROM photos;
