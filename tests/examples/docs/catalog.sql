CREATE EXTENSION lumina;
LOAD 'lumina';
ALTER SYSTEM SET lumina.import_roots = '/srv/photos';
SELECT pg_reload_conf();

-- ## Preview an import
SELECT lumina.create_catalog('holiday');

-- ## Decide about duplicates
-- Eleven groups of three pictures with equal hashes, the best first: group g has the images 3g - 2 to 3g.
SELECT lumina.create_catalog('holiday');
INSERT INTO lumina.images (catalog, sha256, size, format, width, height, ahash, dhash, dct, pdq, hash_valid)
    SELECT 1, sha256(convert_to(n::text, 'UTF8')), 9000000 - n % 3 * 1000000, 'jpeg', 6000 - n % 3 * 2000, 3000,
        h, h, h, repeat(h::text, 4)::phash, true
    FROM generate_series(0, 32) n, LATERAL (SELECT substr(md5((n / 3)::text), 1, 16)::phash(64) AS h) x
    ORDER BY n;
INSERT INTO lumina.image_files (catalog, image, path, original_path)
    SELECT 1, i.id, p.path, p.path FROM lumina.images i, LATERAL (SELECT format('/photos/%s.jpg', i.id) AS path) p;
SELECT lumina.detect_duplicates('holiday', 0);
CALL lumina.wait_for_job(1);

-- ## Call a function of your own: on_resolve
CREATE SCHEMA app;
CREATE TABLE app.album_pictures (album text, image bigint);
