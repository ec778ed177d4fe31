-- The access method: what is built, what is found, and what is refused.
CREATE EXTENSION lumina;
CREATE TABLE photos (id bigint, h phash(64), wide phash(256), loose phash);
INSERT INTO photos SELECT i, to_hex_hash, (to_hex_hash::text || repeat('0', 48))::phash(256), to_hex_hash
FROM (SELECT i, hashint8extended(i, 0)::phash(64) AS to_hex_hash FROM generate_series(1::bigint, 20000) i) s;
INSERT INTO photos VALUES (0, NULL, NULL, NULL);
CREATE INDEX photos_h ON photos USING hamming (h);
CREATE INDEX photos_wide ON photos USING hamming (wide) WITH (bands = 10);
VACUUM ANALYZE photos;

-- The three forms, each through the index.
EXPLAIN (COSTS OFF) SELECT id FROM photos WHERE h <@ phash_ball('c3a1f0e00f1e3c78', 5);
EXPLAIN (COSTS OFF) SELECT id FROM photos WHERE phash_within(h, 'c3a1f0e00f1e3c78', 5);
EXPLAIN (COSTS OFF) SELECT id FROM photos ORDER BY h <~> 'c3a1f0e00f1e3c78' LIMIT 3;
EXPLAIN (COSTS OFF) SELECT id FROM photos WHERE h <@ phash_ball('c3a1f0e00f1e3c78', 9)
    ORDER BY h <~> 'c3a1f0e00f1e3c78';
EXPLAIN (COSTS OFF) SELECT id FROM photos WHERE h <~> 'c3a1f0e00f1e3c78' <= 5;
SELECT h AS some_hash FROM photos WHERE id = 4711 \gset
SELECT id, h <~> :'some_hash' AS distance FROM photos WHERE h <@ phash_ball(:'some_hash', 2);
SELECT id, h <~> :'some_hash' AS distance FROM photos ORDER BY h <~> :'some_hash' LIMIT 1;
SELECT id FROM photos WHERE wide <@ phash_ball((:'some_hash' || repeat('0', 48))::phash(256), 3);
SELECT count(*), count(h) FROM (SELECT h FROM photos ORDER BY h <~> :'some_hash') s;

-- Looking after it.
SELECT bits, bands, entries, nulls, runs, staging_pages FROM hamming_index_stats('photos_h');
INSERT INTO photos SELECT i + 100000, h FROM photos, LATERAL (SELECT id AS i) s WHERE id < 1000;
SELECT entries, nulls, runs, staging_pages, staging_entries FROM hamming_index_stats('photos_h');
SELECT hamming_index_merge('photos_h');
SELECT entries, nulls, runs, staging_pages, merge_debt FROM hamming_index_stats('photos_h');
SELECT hamming_index_check('photos_h'), hamming_index_check('photos_wide', heapallindexed => true);

-- What is refused.
CREATE INDEX ON photos USING hamming (loose);
CREATE INDEX photos_loose ON photos USING hamming ((loose::phash(64)));
CREATE INDEX ON photos USING hamming (h) WITH (bands = 0);
CREATE INDEX ON photos USING hamming (h) WITH (bands = 1000);
CREATE INDEX ON photos USING hamming ((h::phash::phash(8))) WITH (bands = 9);
CREATE INDEX ON photos USING hamming (h, wide);
CREATE UNIQUE INDEX ON photos USING hamming (h);
CREATE INDEX ON photos USING hamming (id);
CREATE INDEX ON photos USING hamming (h phash_ops);
CREATE INDEX ON photos USING hamming (h DESC);
SELECT id FROM photos WHERE h <@ phash_ball('c3a1', 5);
SELECT id FROM photos ORDER BY h <~> 'c3a1' LIMIT 1;
SELECT id FROM photos WHERE h <@ phash_ball('c3a1f0e00f1e3c78', -1);
SELECT hamming_index_check('photos');
CREATE INDEX photos_id ON photos (id);
SELECT hamming_index_stats('photos_id');
CREATE ROLE visitor;
GRANT SELECT ON photos TO visitor;
SET ROLE visitor;
SELECT hamming_index_merge('photos_h');
SELECT hamming_index_check('photos_h');
RESET ROLE;
CLUSTER photos USING photos_h;
DROP TABLE photos;
DROP ROLE visitor;
