CREATE EXTENSION lumina;
CREATE TABLE photos (id bigint PRIMARY KEY, ahash phash(64), dhash phash(64));
