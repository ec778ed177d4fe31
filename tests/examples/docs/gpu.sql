CREATE EXTENSION lumina;
CREATE TABLE photos AS SELECT n AS id, sha256(int8send(n / 2))::phash AS pdq FROM generate_series(1, 100) n;
-- The GPU process runs after this.
SET lumina.device = cuda;
SELECT count(*) FROM phash_pairs('SELECT id, pdq FROM photos', 90);
