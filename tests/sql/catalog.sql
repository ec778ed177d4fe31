-- The catalog: images and files, duplicates as a job, and what each wrong call says.
CREATE EXTENSION lumina;
SET client_min_messages = warning; -- how far a job is, wait_for_job says on a slow machine alone
\set SHOW_CONTEXT never
SELECT lumina.create_catalog('holiday');
SELECT lumina.create_catalog('empty', destination => '/srv/photos');
SELECT id, name, owner, destination, import_mode, directory_template, file_template, settings FROM lumina.catalogs
    ORDER BY id;

-- Images with their files. A beach: three that are near one another in a row, one rejected, one without a file. A
-- castle twice with equal hashes. A dog in two places. A cat and a crop of it, which are near by some hashes only. Flat
-- pictures.
CREATE TABLE photos (name text, format text, width int, height int, size int8, ahash bit(64), dhash bit(64),
    dct bit(64), pdq text,
    valid bool, status lumina.image_status);
INSERT INTO photos VALUES
    ('beach.jpg', 'jpeg', 6000, 4000, 8000000, x'00ff00ff00ff00ff', x'0f0f0f0f0f0f0f0f', x'3333333333333333', '00ff',
        true, 'active'),
    ('beach-small.jpg', 'jpeg', 1500, 1000, 900000, x'00ff00ff00ff00fe', x'0f0f0f0f0f0f0f0c', x'3333333333333333',
        '00ff', true, 'active'),
    ('beach-edit.jpg', 'jpeg', 3000, 2000, 2000000, x'00ff00ff00ff00fc', x'0f0f0f0f0f0f0f30', x'3333333333333330',
        '00ff', true, 'active'),
    ('beach-bad.jpg', 'jpeg', 6000, 4000, 8000001, x'00ff00ff00ff00ff', x'0f0f0f0f0f0f0f0f', x'3333333333333333',
        '00ff', true, 'rejected'),
    ('castle.tif', 'tiff', 4000, 3000, 36000000, x'1234567812345678', x'fedcba98fedcba98', x'aaaaaaaaaaaaaaaa',
        'a5c3', true, 'active'),
    ('castle.png', 'png', 4000, 3000, 20000000, x'1234567812345678', x'fedcba98fedcba98', x'aaaaaaaaaaaaaaaa', 'a5c3',
        true, 'active'),
    ('dog.jpg', 'jpeg', 3000, 2000, 3000000, x'f0e1d2c3b4a59687', x'8899aabbccddeeff', x'7171717171717171', '1248',
        true, 'active'),
    ('cat.jpg', 'jpeg', 3000, 2000, 2500000, x'cc33cc33cc33cc33', x'6666999966669999', x'c5c5c5c5c5c5c5c5', '8421',
        true, 'active'),
    ('cat-crop.jpg', 'jpeg', 2000, 2000, 1500000, x'cc33cc33cc33cdcc', x'66669999666699ff', x'c5c5c5c5c5c5c5ff',
        '8421', true, 'active'),
    ('wall.jpg', 'jpeg', 3000, 2000, 500000, x'0000000000000000', x'0000000000000000', x'0000000000000000', '0000',
        false, 'active'),
    ('sky.jpg', 'jpeg', 3000, 2000, 500001, x'0000000000000000', x'0000000000000000', x'0000000000000000', '0000',
        false, 'active'),
    ('beach-lost.jpg', 'jpeg', 6000, 4000, 8000002, x'00ff00ff00ff00ff', x'0f0f0f0f0f0f0f0f', x'3333333333333333',
        '00ff', true, 'active');
INSERT INTO lumina.images (catalog, sha256, size, format, width, height, ahash, dhash, dct, pdq, hash_valid, status)
SELECT c.id, sha256(p.name::bytea), p.size, p.format, p.width, p.height, p.ahash::phash, p.dhash::phash, p.dct::phash,
    repeat(p.pdq, 16)::phash, p.valid, p.status
FROM photos p, lumina.catalogs c WHERE c.name = 'holiday' ORDER BY p.ctid;
CREATE VIEW named AS SELECT i.*, p.name FROM lumina.images i JOIN photos p ON sha256(p.name::bytea) = i.sha256;
INSERT INTO lumina.image_files (catalog, image, path, original_path)
SELECT catalog, id, '/srv/' || name, '/srv/' || name FROM named WHERE name <> 'beach-lost.jpg' ORDER BY id;
INSERT INTO lumina.image_files (catalog, image, path, original_path)
SELECT catalog, id, '/backup/' || name, '/backup/' || name FROM named WHERE name IN ('dog.jpg', 'castle.png')
    ORDER BY id;

-- The quality of an image stands in its row.
SELECT id, name, round(quality_score::numeric, 2) AS quality, quality_format, round(quality_resolution::numeric, 1)
    AS resolution,
    round(quality_size::numeric, 1) AS size, quality_metadata AS metadata, status, hash_valid
FROM named ORDER BY quality_score DESC, id;

-- A job: its number comes at once, its groups come whole. Those with the most bytes to win back come first.
SELECT lumina.detect_duplicates('holiday') AS job \gset
SELECT :job AS job;
CALL lumina.wait_for_job(:job);
SELECT job, catalog, kind, state, phase, percent, bar, done, total, failed, eta, note FROM lumina.job_progress;
SELECT * FROM lumina.duplicates('holiday');
SELECT catalog, group_id, kind, image, path, keep, distance, similarity, size FROM lumina.image_duplicates
    ORDER BY group_id, file;
SELECT catalog, run, job, rule, strategy, images, compared, near_pairs, groups, exact, identical, near, members,
    redundant_files,
    savings, win_back FROM lumina.duplicate_statistics;
-- How far apart, in each hash of the rule, from the image to keep.
SELECT m.group_id, i.name, place, is_primary, distance, similarity, ahash_distance, dhash_distance, dct_distance,
    pdq_distance
FROM lumina.duplicate_members m JOIN named i ON i.id = m.image ORDER BY m.group_id, m.place;

-- Other strategies: in a star every image is near the first, in a component near another one.
SELECT lumina.detect_duplicates('holiday', strategy => 'star') AS job \gset
CALL lumina.wait_for_job(:job);
SELECT group_id, kind, keep, others, distances, confidence, also_near FROM lumina.duplicates('holiday');
SELECT lumina.detect_duplicates('holiday', strategy => 'component') AS job \gset
CALL lumina.wait_for_job(:job);
SELECT group_id, kind, keep, others, distances, confidence, also_near FROM lumina.duplicates('holiday');

-- Other rules. Distances are those of the hashes that the rule names, of 64 bits.
SELECT lumina.detect_duplicates('holiday', max_distance => 0) AS job \gset
CALL lumina.wait_for_job(:job);
SELECT group_id, kind, keep, others, distances FROM lumina.duplicates('holiday');
SELECT lumina.detect_duplicates('holiday', rule => 'verified') AS job \gset
CALL lumina.wait_for_job(:job);
SELECT group_id, kind, keep, others, distances, confidence FROM lumina.duplicates('holiday');
-- Equal in one hash of several is near, not identical.
SELECT lumina.detect_duplicates('holiday', rule => '[{"dhash": 3}, {"dct": 1}]') AS job \gset
CALL lumina.wait_for_job(:job);
SELECT group_id, kind, keep, others, distances FROM lumina.duplicates('holiday');
-- A rule of one's own, with components.
SELECT lumina.detect_duplicates('holiday', rule => '[{"dhash": 3}, {"ahash": 8, "pdq": 60}]', strategy => 'component')
    AS job \gset
CALL lumina.wait_for_job(:job);
SELECT group_id, kind, keep, others, distances, confidence FROM lumina.duplicates('holiday');
SELECT rule, strategy, compared, near_pairs, exact, identical, near FROM lumina.duplicate_statistics;
-- Each run replaces the groups of the one before; what it was asked for, and what it counted, stays.
SELECT r.id, r.job, is_current, r.rule, r.strategy, r.groups, r.members, (SELECT count(*)
    FROM lumina.duplicate_groups g WHERE g.run = r.id) AS kept
FROM lumina.duplicate_runs r ORDER BY id;
SELECT kind, state, parameters, attempts, failures, result FROM lumina.jobs WHERE id = :job;

-- A catalog without images has no groups; one that was never searched has none, either.
SELECT * FROM lumina.duplicates('empty');
SELECT lumina.detect_duplicates('empty') AS job \gset
CALL lumina.wait_for_job(:job);
SELECT catalog, images, compared, near_pairs, groups, savings, win_back FROM lumina.duplicate_statistics
    ORDER BY catalog;

-- Cancelled before it ran, tried again. A job is rolled back with its submitter.
BEGIN;
SET LOCAL client_min_messages = notice;
SELECT lumina.detect_duplicates('holiday') AS job \gset
SELECT lumina.cancel_job(:job);
COMMIT;
SELECT state, percent, note FROM lumina.job_progress WHERE job = :job;
CALL lumina.wait_for_job(:job);
SELECT lumina.cancel_job(:job);
SELECT lumina.retry_job(:job) AS again \gset
CALL lumina.wait_for_job(:again);
SELECT lumina.cancel_job(:again);
SELECT id - parent AS later, state FROM lumina.jobs WHERE id = :again;
BEGIN;
SELECT lumina.detect_duplicates('holiday') AS job \gset
ROLLBACK;
SELECT * FROM lumina.job_progress WHERE job = :job;

-- Workers that were stopped wait for resume_jobs.
SELECT lumina.stop_workers() >= 0 AS stopped;
SELECT lumina.detect_duplicates('holiday') AS job \gset
SELECT state, note FROM lumina.job_progress WHERE job = :job;
SELECT lumina.detect_duplicates('holiday', strategy => 'star');
SELECT lumina.retry_job(:job);
SELECT lumina.resume_jobs();
CALL lumina.wait_for_job(:job);
SELECT lumina.adopt_catalog('holiday');

-- Rights are granted by name.
SELECT lumina.grant_catalog('holiday', 'postgres', 'curate');
SELECT c.name, role, access, granted_by FROM lumina.catalog_grants g JOIN lumina.catalogs c ON c.id = g.catalog;
SELECT lumina.revoke_catalog('holiday', 'postgres', 'curate');
SELECT lumina.revoke_catalog('holiday', 'postgres', 'curate');
SELECT lumina.grant_catalog('holiday', 'nobody', 'read');
SELECT lumina.grant_catalog('holiday', NULL, 'read');
SELECT lumina.grant_catalog('holiday', 'postgres', 'own');
SELECT lumina.grant_catalog('holiday', 'postgres', NULL);

-- Wrong names of catalogs.
SELECT lumina.create_catalog('holiday');
SELECT lumina.create_catalog('');
SELECT lumina.create_catalog(' x');
SELECT lumina.create_catalog(repeat('x', 201));
SELECT lumina.create_catalog(NULL);
SELECT lumina.create_catalog('photos', 'srv/photos');
SELECT lumina.create_catalog('photos', '/srv/../etc');
SELECT lumina.drop_catalog('unknown');
SELECT lumina.drop_catalog(NULL);
SELECT lumina.detect_duplicates('unknown');
SELECT lumina.detect_duplicates(NULL);
SELECT * FROM lumina.duplicates('unknown');
SELECT * FROM lumina.duplicates(NULL);
SELECT lumina.adopt_catalog('unknown');
SELECT lumina.grant_catalog('unknown', 'postgres', 'read');
SELECT lumina.revoke_catalog('unknown', 'postgres', 'read');

-- Wrong strategies, distances and rules.
SELECT lumina.detect_duplicates('holiday', strategy => 'best');
SELECT lumina.detect_duplicates('holiday', strategy => NULL);
SELECT lumina.detect_duplicates('holiday', -1);
SELECT lumina.detect_duplicates('holiday', 64);
SELECT lumina.detect_duplicates('holiday', 5, rule => 'verified');
SELECT lumina.detect_duplicates('holiday', rule => 'Consensus');
SELECT lumina.detect_duplicates('holiday', rule => NULL);
SELECT lumina.detect_duplicates('holiday', 5, rule => NULL);
SELECT lumina.detect_duplicates('holiday', rule => '[{"dhash": 3}');
SELECT lumina.detect_duplicates('holiday', rule => '[]');
SELECT lumina.detect_duplicates('holiday', rule => '[{}]');
SELECT lumina.detect_duplicates('holiday', rule => '{"dhash": 3}');
SELECT lumina.detect_duplicates('holiday', rule => '[{"phash": 3}]');
SELECT lumina.detect_duplicates('holiday', rule => '[{"dhash": 64}]');
SELECT lumina.detect_duplicates('holiday', rule => '[{"dhash": 3.5}]');
SELECT lumina.detect_duplicates('holiday', rule => '[{"dhash": "3"}]');
SELECT lumina.detect_duplicates('holiday', rule => '[{"\u0000": 3}]');
SELECT lumina.detect_duplicates('holiday', rule => '[{"dhash": 1e999999}]');

-- Jobs that are unknown, have ended, or cannot start before this transaction has.
CALL lumina.wait_for_job(1000);
CALL lumina.wait_for_job(NULL);
SELECT lumina.cancel_job(1000);
SELECT lumina.cancel_job(NULL);
SELECT lumina.retry_job(1000);
SELECT lumina.retry_job(NULL);
SELECT lumina.retry_job(1);
SELECT lumina.cancel_job(1);
BEGIN;
SELECT lumina.detect_duplicates('holiday') AS job \gset
CALL lumina.wait_for_job(:job);
ROLLBACK;

-- What has ended never changes, by any role; what a job is, neither.
\set VERBOSITY terse
UPDATE lumina.jobs SET state = 'queued', ended_at = NULL WHERE id = 1;
UPDATE lumina.jobs SET owner = 'somebody' WHERE id = 1;
UPDATE lumina.jobs SET result = '{}' WHERE id = 1;
BEGIN;
SELECT lumina.detect_duplicates('holiday') AS job \gset
SAVEPOINT queued;
UPDATE lumina.jobs SET owner = 'somebody' WHERE state = 'queued';
ROLLBACK TO queued;
UPDATE lumina.jobs SET state = 'ready' WHERE state = 'queued';
ROLLBACK TO queued;
UPDATE lumina.jobs SET state = 'running' WHERE state = 'queued';
ROLLBACK;

-- States that make no sense cannot be stored.
INSERT INTO lumina.images (catalog, sha256, size, format, hash_valid) VALUES (1, sha256('1'), 1, 'jpeg', true);
INSERT INTO lumina.images (catalog, sha256, size, format) VALUES (1, sha256('dog.jpg'), 1, 'jpeg');
INSERT INTO lumina.images (catalog, sha256, size, format) VALUES (1, 'short', 1, 'jpeg');
INSERT INTO lumina.images (catalog, sha256, size, format) VALUES (1, sha256('1'), -1, 'jpeg');
INSERT INTO lumina.images (catalog, sha256, size, format) VALUES (1, sha256('1'), 1, 'JPEG');
INSERT INTO lumina.images (catalog, sha256, size, format, ahash) VALUES (1, sha256('1'), 1, 'jpeg', 'ff');
INSERT INTO lumina.images (catalog, sha256, size, format, quality_score) VALUES (1, sha256('1'), 1, 'jpeg', 100);
INSERT INTO lumina.images (catalog, sha256, size, format) VALUES (1000, sha256('1'), 1, 'jpeg');
INSERT INTO lumina.image_files (catalog, image, path, original_path) VALUES (1, 1, 'beach.jpg', '/beach.jpg');
INSERT INTO lumina.image_files (catalog, image, path, original_path) VALUES (1, 1, '/srv/dog.jpg', '/dog.jpg');
INSERT INTO lumina.image_files (catalog, image, path, original_path) VALUES (2, 1, '/beach.jpg',
    '/beach.jpg'); -- another catalog's
UPDATE lumina.image_files SET original_path = '/elsewhere' WHERE id = 1;
INSERT INTO lumina.duplicate_runs (catalog, job, is_current, rule, strategy, images, compared, possible_pairs,
    complete, near_pairs, groups, members)
VALUES (1, :again, true, '[{"dhash": 3}]', 'clique', 0, 0, 0, true, 0, 0, 0);
UPDATE lumina.duplicate_runs SET is_current = true WHERE catalog = 1; -- two current runs
UPDATE lumina.duplicate_runs SET complete = false;
UPDATE lumina.duplicate_runs SET rule = '[{"dhash": 99}]';
UPDATE lumina.duplicate_groups SET kind = 'exact' WHERE kind <> 'exact';
UPDATE lumina.duplicate_members SET place = 0, distance = 0;
UPDATE lumina.duplicate_groups SET confidence = 100;
INSERT INTO lumina.jobs (kind, catalog, owner, system_identifier, database, timeline, directory)
    VALUES ('make_coffee', 1, 'postgres', 0, 0, 0, '');
UPDATE lumina.catalogs SET name = ' x ' WHERE id = 1;
UPDATE lumina.catalogs SET import_mode = 'move' WHERE id = 1; -- without a destination
UPDATE lumina.catalogs SET destination = 'photos' WHERE id = 1;
INSERT INTO lumina.catalog_grants (catalog, role, access, granted_by) VALUES (1, 'postgres', 'own', 'postgres');
INSERT INTO lumina.workers_stopped (is_stopped, stopped_by) VALUES (false, 'postgres');
\set VERBOSITY verbose

-- A catalog goes with all its rows.
SELECT lumina.drop_catalog('holiday');
SELECT (SELECT count(*) FROM lumina.images) AS images, (SELECT count(*) FROM lumina.image_files) AS files,
    (SELECT count(*) FROM lumina.duplicate_runs) AS runs, (SELECT count(*) FROM lumina.duplicate_groups) AS groups,
    (SELECT count(*) FROM lumina.duplicate_members) AS members, (SELECT count(*) FROM lumina.job_progress) AS jobs;
CALL lumina.wait_for_job(1);
