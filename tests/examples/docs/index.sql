CREATE EXTENSION lumina;
CREATE TABLE photos (id bigint PRIMARY KEY, dhash phash(64), h phash);
INSERT INTO photos VALUES (1, 'c3a1f0e00f1e3c78', 'c3a1f0e00f1e3c78'), (2, 'c3a1f0e00f1e3c79', 'c3a1f0e00f1e3c79'),
    (3, '0f1e3c78c3a1f0e0', '0f1e3c78c3a1f0e0');
CREATE TABLE new_photos AS SELECT id + 10 AS id, dhash FROM photos;

-- ## Find duplicates of one new photo
INSERT INTO photos VALUES (4, image_phash(pg_read_binary_file('/srv/photos/x.jpg'), 'dhash'));
