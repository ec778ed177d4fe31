CREATE EXTENSION lumina;

-- ## Uninstall: remove lumina
CREATE TABLE photos (id bigint PRIMARY KEY, dhash phash(64), pdq phash(256));
CREATE INDEX photos_dhash_idx ON photos USING hamming (dhash);
INSERT INTO photos VALUES (1, 'c3a1f0e00f1e3c78');
