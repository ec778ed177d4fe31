CREATE EXTENSION lumina;
CREATE TABLE photos (id bigint PRIMARY KEY, uid uuid UNIQUE, ahash phash(64), dhash phash(64));
INSERT INTO photos SELECT n, md5(n::text)::uuid, h, h FROM unnest(ARRAY['c3a1f0e00f1e3c78', 'c3a1f0e00f1e3c79',
    'c3a1f0e00f1e3878', '0f1e3c78c3a1f0e0']::phash[]) WITH ORDINALITY u (h, n);
CREATE TABLE new_photos AS SELECT id + 10 AS id, dhash FROM photos;
