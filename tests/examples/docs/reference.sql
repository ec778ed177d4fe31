CREATE EXTENSION lumina;
CREATE TABLE photos (id bigint PRIMARY KEY, h phash(64));
INSERT INTO photos VALUES (1, 'c3a1f0e00f1e3c78'), (2, 'c3a1f0e00f1e3c79'), (3, '0f1e3c78c3a1f0e0');
