CREATE EXTENSION lumina;
CREATE TABLE photos (id bigint PRIMARY KEY, dhash phash(64), pdq phash(256));
INSERT INTO photos (id, dhash) VALUES              -- hex, as imagehash, PDQ and others print it
    (1, 'c3a1f0e00f1e3c78'), (2, 'c3a1f0e00f1e3c79'), (3, 'c3a1f0e00f1e3878'), (4, '0f1e3c78c3a1f0e0');

SELECT id, dhash <~> 'c3a1f0e00f1e3c78' AS distance FROM photos ORDER BY distance, id;

SELECT id FROM photos WHERE phash_within(dhash, 'c3a1f0e00f1e3c78', 5) ORDER BY id;

SELECT * FROM phash_pairs('SELECT id, dhash FROM photos', 5) ORDER BY a, b;       -- every near pair of the table

SELECT * FROM phash_groups('SELECT id, dhash FROM photos', 5);                    -- groups, the one to keep first

SELECT id FROM photos WHERE phash_within(dhash, 'c3a1', 5);    -- a mistake is an error, not an empty result
