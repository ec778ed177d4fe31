-- Distance, balls, bands, and the joins that stand on them.
CREATE EXTENSION lumina;
SELECT 'c3a1f0e00f1e3c78'::phash <~> 'c3a1f0e00f1e3c79' AS one, phash '00' <~> 'ff' AS eight,
    repeat('00', 512)::phash <~> repeat('ff', 512)::phash AS all_bits;
SELECT phash_ball('C3A1', 3), ' < c3a1 , 3 > '::phash_ball, phash_ball_center('<c3a1,3>'),
    phash_ball_radius('<c3a1,3>');
SELECT 'c3a1'::phash <@ '<c3a0,1>' AS inside, phash_ball('c3a0', 0) @> 'c3a1' AS outside,
    phash_within('c3a1', 'c3a0', 1) AS within, phash_within('c3a1', 'c3a0', 0) AS beyond;
SELECT * FROM phash_bands('c3a1f0e00f1e3c78', 3);
SELECT band, to_hex(value) FROM phash_bands('c3a1f0e00f1e3c78', 0);
SELECT count(*), count(DISTINCT band) FROM phash_bands(repeat('ab', 512)::phash, 4095);

-- A seeded set with near-copies: row i and row i + 500 differ in i % 9 bits.
CREATE TABLE photos AS
SELECT i AS id, CASE WHEN i <= 500 THEN h ELSE (h # (B'111111111'::bit(64) >> (64 - (i % 9))))::bit(64)
    END::phash::phash(64) AS h
FROM (SELECT i, ('x' || substr(md5((i % 500)::text), 1, 16))::bit(64) AS h FROM generate_series(1, 1000) i) made;
SELECT count(*) AS pairs, sum(a.h <~> b.h) AS bits FROM photos a JOIN photos b ON a.id < b.id AND a.h <~> b.h <= 5;
SELECT count(*) FROM photos a JOIN photos b ON a.id < b.id AND phash_within(a.h, b.h, 5);
SELECT count(*) FROM photos a JOIN photos b ON a.id < b.id AND a.h <@ phash_ball(b.h, 5);
SELECT count(*) FROM photos a JOIN photos b ON a.id < b.id AND phash_ball(b.h, 5) @> a.h;

-- The same pairs by an equi-join on bands, as a distributed engine would find them.
WITH bands AS MATERIALIZED (SELECT id, h, band, value FROM photos, phash_bands(h, 5))
SELECT count(*) FROM (
    SELECT DISTINCT a.id, b.id FROM bands a JOIN bands b USING (band, value)
    WHERE a.id < b.id AND phash_within(a.h, b.h, 5)
) pairs;

-- The nearest ones, by a sort.
SELECT id, h <~> 'c4ca4238a0b92382' AS distance FROM photos ORDER BY h <~> 'c4ca4238a0b92382', id LIMIT 3;
