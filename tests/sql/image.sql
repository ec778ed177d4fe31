CREATE EXTENSION lumina;
\set png 'decode(''iVBORw0KGgoAAAANSUhEUgAAAEAAAAAwCAAAAACEICPDAAABH0lEQVR42qWWOxaCMBBFHx52ksbsZQqXapG9pHItWoAHSObL2HAQ7/uQMbA8kfr0NYejpgR6BR5JHmsmPjICvW5HTqBtB/LwWJ4Crkrs8TmBdj0l3R7TKjTo5xM/JGB+T0r8SYD1I8V+qMDyw7cjH5yDIf5QoUkYifaI/Rc4/pSgySQJ8UP3gLUPVJD4o0LT8AKJ91UoFXhxF96+CuWjXLQTFGi8LaDaO1bB4o0ERnxTwLQ3Knj4Q2DaecrB050KLnulgpc/CRAf33rCrCn7awUSeArOgWN4pJtIm/0HgQDXVSCmPoVGeY5PoTnotUb5S4JeAXK9H7AC/32fXG8os8Bp36Y7yyju+74EHXf5TeC2/f5kyvBYM/EBYPmmcOAH/S9Dxqd4ytMAAAAASUVORK5CYII='', ''base64'')'
\set jpeg 'decode(''/9j/4AAQSkZJRgABAQAAAQABAAD/4QCsRXhpZgAATU0AKgAAAAgABAEPAAIAAAAGAAAAPgEQAAIAAAAOAAAARAESAAMAAAABAAYAAIdpAAQAAAABAAAAUgAAAABDYW5vbgBDYW5vbiBFT1MgNDBEAAAEgpoAAwAAAAIAAQD6kAMAAgAAABQAAACIkBEAAgAAAAcAAACckpEAAgAAAAMyNQAAAAAAADIwMjM6MDQ6MTUgMTQ6MzI6MTgAKzAyOjAwAAD/2wBDABQODxIPDRQSEBIXFRQYHjIhHhwcHj0sLiQySUBMS0dARkVQWnNiUFVtVkVGZIhlbXd7gYKBTmCNl4x9lnN+gXz/wAALCAAwAEABAREA/8QAGwAAAgMBAQEAAAAAAAAAAAAAAAMEBQYCBwH/xAAzEAABAwMBBAYJBQAAAAAAAAABAgMRAAQxIQUSQWEGExVRcXIiMjRCUoGRsdEUY6Lh8P/aAAgBAQAAPwDOUVNt9kX9y0HGrZRQcFRCZ5ieFJurO4s17ly0psnE4PgcHNIopjLDtwspZQVECTGEjvJ4Dmaf1zdppaK33eLykY8k4797Q4xrMStJ0a2WhSBfPp3jvHqknAj3vGft4VpKW8y3cNKaeQFtqEEGsPtWxOz71TIJUgjeQTkg/wCI+VKZtwtBcdcDTIMbxBJUeISOJjwGJIkUPXAWgNtNhpkGd0EkqPAqPEx4DMASaRRXojDSWGG2kElLaQkE5gCKZRVN0nbZRbMvvoU4pCylKAvdGon0tJj0cCDzFUj1m7cLCnrkqIECU6JHcBOg5Cl9mfvfx/uk3Vn+nbC+s3pMREVFr0K0uE3Vq0+mIcSFQDMHiJ5YpwBOBXUhPq6nvrOdLLhIYYtxBUpW+ddQAIxzk/SkUVD2n7Onzj7GqutF0c2iLdktXaw3blUNuKJ9bSUjlxnAnXIrTBaVoCkEFBEggyDzqPeXrFi0XLhYTpIT7yvAcaxG0L1d/drfcG7OiUzISO6reioe0/Z0+cfY1G6lu01u077vBlK8eeMd27oc40lDz7twsKeWVECBOEjuA4DkK+tXVwwkpZfdbSTMIWQJ+VcOOLdWVurUtZypRkmuatO0mfhX9B+aO0mfhX9B+aj3l22+0EoCgQqdRX//2Q=='', ''base64'')'
CREATE TABLE images (name text PRIMARY KEY, bytes bytea);
\echo two images of the same: a PNG, and a JPEG that a camera held on its side
\set ECHO none
INSERT INTO images VALUES ('png', :png), ('jpeg', :jpeg);
\set ECHO all
SELECT name, image_phash(bytes, 'dhash') AS dhash, image_phash(bytes, 'dhash', orient => false) AS as_stored
    FROM images;
SELECT method, image_phash(bytes, method) FROM images, unnest(ARRAY['ahash', 'dhash', 'dct', 'phash', 'whash',
    'median', 'block', 'pdq']) method
    WHERE name = 'png';
SELECT size, phash_bits(image_phash(bytes, 'dct', size)), image_phash(bytes, 'dct', size) FROM images, unnest(ARRAY[4,
    12, 16]) size
    WHERE name = 'png';
SELECT name, hash, quality FROM images, image_pdq(bytes);
\x on
SELECT name, ahash, dhash, dct, whash, median, block, pdq, pdq_quality, round(sharpness::numeric, 3) AS sharpness,
    width, height, format, orientation FROM images, image_phashes(bytes);
\x off
SELECT transform, hash, hash <~> image_phash(bytes, 'dhash') AS distance FROM images, image_phash_dihedral(bytes,
    'dhash')
    WHERE name = 'png';
SELECT transform, hash FROM images, image_phash_dihedral(bytes, 'pdq') WHERE name = 'png';
SELECT f.transform, f.hash, f.hash <~> d.hash AS distance FROM images,
    phash_dihedral(image_phash(bytes, 'pdq'), 'pdq') f
    JOIN LATERAL image_phash_dihedral(bytes, 'pdq') d USING (transform) WHERE name = 'png';
SELECT method, count(*), sum(f.hash <~> d.hash) AS distances FROM images,
    unnest(ARRAY['ahash', 'dhash', 'dct', 'whash', 'median', 'block']) method,
    phash_dihedral(image_phash(bytes, method, 16), method) f JOIN image_phash_dihedral(bytes, method, 16) d
    USING (transform) WHERE name = 'png' GROUP BY method ORDER BY method;
SELECT jsonb_pretty(image_info(bytes)) AS png FROM images WHERE name = 'png';
SELECT jsonb_pretty(image_info(bytes)) AS jpeg FROM images WHERE name = 'jpeg';
-- a column that is always right
ALTER TABLE images ADD dhash phash(64) GENERATED ALWAYS AS (image_phash(bytes, 'dhash')) STORED;
SELECT name, dhash FROM images;
-- NULL
SELECT image_phash(NULL, 'dhash') IS NULL AS hash, image_info(NULL) IS NULL AS info;
SELECT * FROM image_pdq(NULL);
SELECT count(*) FROM image_phash_dihedral(NULL, 'dhash');
SELECT count(*) FROM phash_dihedral(NULL, 'dhash');
-- wrong arguments
SELECT phash_dihedral('c3a1f0e00f1e3c78', 'sha256');
SELECT phash_dihedral('c3a1f0e00f1e3c78', 'pdq');
SELECT phash_dihedral('c3a1f0', 'dct');
SELECT image_phash(bytes, 'sha256') FROM images;
SELECT image_phash(bytes, 'dhash', 5) FROM images;
SELECT image_phash(bytes, 'dhash', -8) FROM images;
SELECT image_phash(bytes, 'whash', 12) FROM images;
SELECT image_phash(bytes, 'pdq', 32) FROM images;
SELECT image_phash_dihedral(bytes, 'sha256') FROM images;
-- no images
\set VERBOSITY verbose
\set SHOW_CONTEXT never
SELECT image_phash('', 'dhash');
SELECT image_phash('\x00', 'dhash');
SELECT image_phash('not an image', 'dhash');
SELECT image_phash('\x504b0304140000000800', 'dhash');
SELECT image_phash('<svg xmlns="http://www.w3.org/2000/svg"/>', 'dhash');
SELECT image_info('%PDF-1.7');
SELECT image_phash('\x0000001c6674797061766966000000006d696631617669666d696166', 'dhash');
SELECT image_info('\x0000001c6674797061766966000000006d696631617669666d696166');
-- damaged ones
SELECT image_phash('\x0000001c6674797068656963000000006d6966316865696368656978', 'dhash');
SELECT image_phash(substr(bytes, 1, 300), 'dhash') FROM images WHERE name = 'png';
SELECT image_phash(substr(bytes, 1, 700), 'dhash') FROM images WHERE name = 'jpeg';
-- limits
SET lumina.max_image_pixels = 3000;
SELECT image_phash(bytes, 'dhash') FROM images;
SET lumina.max_image_pixels = 3072;
SELECT count(image_phash(bytes, 'dhash')) FROM images;
SET lumina.image_memory = '1MB';
SELECT image_phash(bytes, 'dhash') FROM images;
RESET lumina.image_memory;
SET lumina.max_image_pixels_limit = 100;
SELECT image_phash(bytes, 'dhash') FROM images;
