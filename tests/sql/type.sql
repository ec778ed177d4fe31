-- The type: text form, width, casts, storage.
CREATE EXTENSION lumina;
SELECT 'c3a1f0e00f1e3c78'::phash, 'C3A1F0E00F1E3C78'::phash(64), phash 'ff', phash_bits('c3a1');
CREATE TABLE photos (id bigint PRIMARY KEY, dhash phash(64), pdq phash(256), free phash);
INSERT INTO photos VALUES (1, 'c3a1f0e00f1e3c78', repeat('0f', 32), 'ab'), (2, NULL, NULL, 'abcd');
\d photos
SELECT * FROM photos ORDER BY id;
SELECT pg_column_size(dhash) AS dhash, pg_column_size(pdq) AS pdq FROM photos WHERE id = 1;

-- Casts. From text and varchar on assignment, as JDBC's setString needs it; all others where they are written.
INSERT INTO photos (id, dhash) VALUES (3, '00ff00ff00ff00ff'::text), (4, 'ff00ff00ff00ff00'::varchar);
PREPARE by_text(text) AS INSERT INTO photos (id, dhash) VALUES (5, $1);
EXECUTE by_text('0123456789abcdef');
UPDATE photos SET dhash = 'FEDCBA9876543210'::text WHERE id = 5;
SELECT id, dhash FROM photos WHERE id >= 3 ORDER BY id;
SELECT dhash::bigint, dhash::bytea, dhash::bit(64), dhash::varbit, dhash::text, dhash::varchar FROM photos WHERE id = 4;
SELECT (-1)::bigint::phash, 1::bigint::phash(64), '\x0a0b'::bytea::phash, B'0000101000001011'::phash,
    x'ff'::varbit::phash;
SELECT bool_and(i::phash::bigint = i) AS all_back
FROM unnest(ARRAY[0, 1, -1, 9223372036854775807, (-9223372036854775808)::bigint]) i;
INSERT INTO photos (id, dhash) VALUES (6, 7::bigint);
INSERT INTO photos (id, dhash) VALUES (6, '\x0102030405060708'::bytea);
SELECT 'ab'::phash = 'ab'::text;

-- Arrays, domains, composites, defaults, generated columns.
CREATE DOMAIN dhash64 AS phash(64) CHECK (VALUE <> '0000000000000000');
CREATE TABLE others (
    list phash(16)[], one dhash64, standard phash(8) DEFAULT 'ff',
    reversed phash(16) GENERATED ALWAYS AS (list[2]) STORED
);
INSERT INTO others (list, one) VALUES ('{abcd,1234}', 'c3a1f0e00f1e3c78');
SELECT *, list[1] <~> list[2] AS distance, 'abcd' = ANY (list) AS found FROM others;
INSERT INTO others (one) VALUES ('0000000000000000');
INSERT INTO others (one) VALUES ('00');
INSERT INTO others (list) VALUES ('{abcd,12}');

-- A width can be given up without touching the table, and taken on where every row has it.
ALTER TABLE photos ALTER dhash TYPE phash;
ALTER TABLE photos ALTER dhash TYPE phash(64);
ALTER TABLE photos ALTER free TYPE phash(16);
DELETE FROM photos WHERE id = 1;
ALTER TABLE photos ALTER free TYPE phash(16);
\d photos
