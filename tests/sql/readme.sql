CREATE EXTENSION lumina;
CREATE TABLE photos (id bigint PRIMARY KEY, dhash phash(64), pdq phash(256));
INSERT INTO photos (id, dhash) VALUES              -- hex, as imagehash, PDQ and others print it
    (1, 'c3a1f0e00f1e3c78'), (2, 'c3a1f0e00f1e3c79'), (3, 'c3a1f0e00f1e3878'), (4, '0f1e3c78c3a1f0e0');

SELECT id, dhash <~> 'c3a1f0e00f1e3c78' AS distance FROM photos ORDER BY distance, id;

SELECT id FROM photos WHERE phash_within(dhash, 'c3a1f0e00f1e3c78', 5) ORDER BY id;

SELECT a.id, b.id, a.dhash <~> b.dhash AS distance
FROM photos a JOIN photos b ON a.id < b.id AND phash_within(a.dhash, b.dhash, 5) ORDER BY 1, 2;

SELECT id FROM photos WHERE phash_within(dhash, 'c3a1', 5);    -- a mistake is an error, not an empty result
