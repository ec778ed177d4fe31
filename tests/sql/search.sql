-- Bulk search: pairs, matches, groups, plan; and what each wrong call says.
CREATE EXTENSION lumina;
SET lumina.search_threads = 2;
CREATE TABLE photos (id int PRIMARY KEY, hash phash(64), thumb phash);
INSERT INTO photos VALUES
    (1, '0000000000000000', 'ff00'), (2, '0000000000000001', 'ff01'), (3, '0000000000000003', 'ff03'),
    (4, '0000000000000007', '00ff'), (5, 'ffffffffffffffff', 'abcd'), (6, 'ffffffffffffffff', 'abcd'),
    (7, NULL, 'abcd'), (8, 'c3a1f0e00f1e3c78', NULL), (9, 'c3a1f0e00f1e3c79', '1234');

-- Each pair once, the smaller id first; NULL hashes are skipped.
SELECT * FROM phash_pairs('SELECT id, hash FROM photos', 2) ORDER BY a, b;
SELECT * FROM phash_pairs('SELECT id, hash FROM photos', 0) ORDER BY a, b;
SELECT count(*) FROM phash_pairs('SELECT id, hash FROM photos', 64);
SELECT * FROM phash_pairs('SELECT -id, hash FROM photos ORDER BY id', 1) ORDER BY a, b;
SELECT * FROM phash_pairs('TABLE photos LIMIT 0', ARRAY[2, 2]);
SELECT * FROM phash_pairs('SELECT id, NULL::phash FROM photos', 2);
SELECT * FROM phash_pairs('VALUES (1, phash ''ab''), (2, ''aa''), (3, ''54'')', 1);
SELECT * FROM phash_pairs('WITH p AS (SELECT id, thumb FROM photos WHERE id > 4) SELECT * FROM p;', 0) ORDER BY a, b;
SELECT * FROM phash_pairs($q$SELECT id, hash FROM photos WHERE hash <@ phash_ball('ffffffffffffffff', 3) -- mine $q$,
    3);

-- Several hash columns: all of them near, a distance for each.
SELECT * FROM phash_pairs('SELECT id, hash, thumb FROM photos', ARRAY[2, 1]) ORDER BY a, b;
SELECT * FROM phash_pairs('SELECT id, hash, thumb FROM photos', ARRAY[2, 16]) ORDER BY a, b;
SELECT * FROM phash_pairs('SELECT id, hash FROM photos', ARRAY[1]) ORDER BY a, b;
SELECT * FROM phash_pairs('SELECT id, thumb, thumb, thumb FROM photos', '[7:9]={0,1,2}'::int[]) ORDER BY a, b;

-- Two sets. Nothing keeps a row from meeting itself.
SELECT * FROM phash_matches('SELECT id, hash FROM photos WHERE id < 3', 'SELECT id, hash FROM photos', 1)
ORDER BY left_id, right_id;
SELECT * FROM phash_matches($$VALUES (100, phash 'abcc', phash 'ab')$$,
    $$SELECT id, thumb, 'ab'::phash FROM photos WHERE thumb IS NOT NULL$$, ARRAY[1, 0]) ORDER BY right_id;
SELECT * FROM phash_matches('SELECT id, hash FROM photos WHERE false', 'SELECT id, thumb FROM photos', 2);
SELECT * FROM phash_matches('SELECT id, thumb FROM photos', 'SELECT id, hash FROM photos WHERE false', 2);

-- Groups. The primary comes first in each, and names what is near the group without being in it.
SELECT * FROM phash_groups('SELECT id, hash FROM photos', 2) ORDER BY group_id, NOT is_primary, member;
SELECT * FROM phash_groups('SELECT id, hash FROM photos', 2, 'star') ORDER BY group_id, NOT is_primary, member;
SELECT * FROM phash_groups('SELECT id, hash FROM photos', 2, strategy => 'component')
ORDER BY group_id, NOT is_primary, member;
SELECT * FROM phash_groups('SELECT id, hash, thumb FROM photos', ARRAY[2, 16]) ORDER BY group_id, NOT is_primary,
    member;
SELECT * FROM phash_groups('SELECT id, hash, thumb FROM photos', ARRAY[2, 16], 'component')
ORDER BY group_id, NOT is_primary, member;
SELECT * FROM phash_groups('SELECT id, hash FROM photos WHERE id IN (1, 9)', 2);
-- What to keep and what to delete.
SELECT p.id, g.group_id IS NOT NULL AND NOT is_primary AS redundant
FROM photos p LEFT JOIN phash_groups('SELECT id, hash FROM photos', 2) g ON member = id ORDER BY id;

-- Ids of other types.
CREATE DOMAIN photo_id AS int CHECK (VALUE > 0);
CREATE DOMAIN hash64 AS phash(64);
SELECT a, b, pg_typeof(a) AS of, distance FROM phash_pairs('SELECT id::int2, hash FROM photos', 1) ORDER BY a, b;
SELECT a, b, pg_typeof(a) AS of FROM phash_pairs('SELECT id::int2, hash FROM photos', 0, NULL::int2);
SELECT a, b, pg_typeof(a) AS of FROM phash_pairs('SELECT id, hash FROM photos', 0, 0);
SELECT a, b, pg_typeof(a) AS of FROM phash_pairs('SELECT id::photo_id, hash::hash64 FROM photos', 0);
SELECT a, b, pg_typeof(a) AS of
FROM phash_pairs('SELECT id::photo_id, hash::hash64 FROM photos', 0, id => NULL::photo_id);
SELECT a, b, pg_typeof(a) AS of, distances
FROM phash_pairs('SELECT md5(id::text)::uuid, hash FROM photos', ARRAY[1], id => NULL::uuid) ORDER BY a, b;
SELECT a, b, pg_typeof(a) AS of FROM phash_pairs($$SELECT repeat(id || '.jpg ', id), hash FROM photos$$, 1,
    id => ''::text)
ORDER BY a, b;
SELECT a, b, pg_typeof(a) AS of FROM phash_pairs('SELECT p, hash FROM photos p', 0, NULL::photos);
SELECT a, b, pg_typeof(a) AS of FROM phash_pairs($$SELECT ARRAY[id, 0], hash FROM photos$$, 0, NULL::int[]);
SELECT left_id, right_id FROM phash_matches($$VALUES (true, phash 'ab')$$, $$VALUES (false, phash 'aa')$$, ARRAY[1],
    true);
SELECT member, is_primary, also_near, pg_typeof(also_near) AS of
FROM phash_groups('SELECT id::text, hash FROM photos', 2, id => NULL::text) ORDER BY group_id, NOT is_primary, member;
SELECT member, is_primary, also_near, pg_typeof(also_near) AS of
FROM phash_groups('SELECT id, hash FROM photos', 2, 'star', NULL::int) ORDER BY group_id, NOT is_primary, member;
SELECT member, also_near, also_near = ARRAY[4::photo_id] AS the_fourth
FROM phash_groups('SELECT id::photo_id, hash FROM photos', ARRAY[2], 'clique', NULL::photo_id)
WHERE is_primary ORDER BY group_id;

-- What a search would do.
SELECT rows, distinct_hashes, method, hash_column, widths, tolerances, flips, candidates > 0 AS compares,
    milliseconds >= 0 AS takes_time, memory > 0 AS takes_memory, threads, device
FROM phash_plan('SELECT id, hash FROM photos', 2);
SELECT rows, method FROM phash_plan('SELECT id, hash, thumb FROM photos', ARRAY[64, 16]);
SELECT * FROM phash_plan('SELECT id, hash FROM photos WHERE false', 2);
CREATE TABLE many AS SELECT i AS id, ('x' || substr(md5(i::text), 1, 16))::bit(64)::phash(64) AS hash
FROM generate_series(1, 20000) i;
-- Bands: together as wide as the hash, and by the pigeonhole one of them is within its tolerance.
SELECT rows, distinct_hashes, method, hash_column, (SELECT sum(width) FROM unnest(widths) width) AS width,
    (SELECT sum(tolerance + 1) FROM unnest(tolerances) tolerance) AS "distance + 1", candidates < 20000 * 20000 / 2
        AS fewer
FROM phash_plan('SELECT id, hash FROM many', 5);
-- The id is not looked at.
SELECT method FROM phash_plan('SELECT NULL, hash FROM many', 5);
SELECT count(*) FROM phash_pairs('SELECT id, hash FROM many UNION ALL SELECT -id, hash FROM many', 3);

-- Wherever a table may stand, and more.
SELECT id, near FROM photos,
    LATERAL (SELECT array_agg(right_id ORDER BY right_id) AS near
        FROM phash_matches(format('SELECT 0, %L::phash', hash), 'SELECT id, hash FROM photos', 1)) l
WHERE hash IS NOT NULL ORDER BY id;
SELECT id FROM photos WHERE id IN (SELECT b FROM phash_pairs('SELECT id, hash FROM photos', 1)) ORDER BY id;
WITH near AS (SELECT * FROM phash_pairs('SELECT id, hash FROM photos', 1)) SELECT a.b FROM near a
    JOIN near b ON a.b = b.a;
SELECT (phash_pairs('SELECT id, hash FROM photos', 0)).*;
SELECT * FROM ROWS FROM (phash_pairs('SELECT id, hash FROM photos', 0), generate_series(1, 2)) WITH ORDINALITY;
-- A search of what a search has found.
SELECT * FROM phash_pairs($$
    SELECT a, hash FROM phash_pairs('SELECT id, hash FROM photos', 1) JOIN photos ON id = a$$, 2) ORDER BY a, b;
PREPARE near(text, int) AS SELECT count(*) FROM phash_pairs($1, $2);
EXECUTE near('SELECT id, hash FROM photos', 0); EXECUTE near('SELECT id, hash FROM photos', 1);
EXECUTE near('SELECT id, hash FROM photos', 2); EXECUTE near('SELECT id, thumb FROM photos', 0);
EXECUTE near('SELECT id, thumb FROM photos', 1); EXECUTE near('SELECT id, hash FROM photos', -1);
EXECUTE near('SELECT id, hash FROM photos', 64); EXECUTE near('SELECT id, hash FROM photos', 1);
BEGIN;
DECLARE held SCROLL CURSOR WITH HOLD FOR SELECT * FROM phash_pairs('SELECT id, hash FROM photos', 1) ORDER BY a, b;
FETCH 2 FROM held;
INSERT INTO photos VALUES (10, 'c3a1f0e00f1e3c78');
-- Rows of the same transaction are seen, by the next statement.
SELECT * FROM phash_pairs('SELECT id, hash FROM photos', 0) ORDER BY a, b;
COMMIT;
FETCH 2 FROM held;
FETCH LAST FROM held;
CLOSE held;
DELETE FROM photos WHERE id = 10;
BEGIN TRANSACTION ISOLATION LEVEL SERIALIZABLE READ ONLY;
SELECT * FROM phash_groups('SELECT id, hash FROM photos', 0);
COMMIT;
CREATE FUNCTION tried(query text, distance int) RETURNS text LANGUAGE plpgsql AS $$
DECLARE said text; hinted text;
BEGIN
    INSERT INTO photos VALUES (10, 'c3a1f0e00f1e3c78');
    RETURN (SELECT count(*) FROM phash_pairs(query, distance));
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS said = MESSAGE_TEXT, hinted = PG_EXCEPTION_HINT;
    RETURN concat_ws(': ', SQLSTATE, said, nullif(hinted, ''));
END $$;
SELECT tried('SELECT id, hash FROM photos', 0);
DELETE FROM photos WHERE id = 10;
SELECT tried('SELECT id / 0, hash FROM photos', 0);
SELECT tried('SELECT id', 0);
SELECT count(*) FROM generate_series(1, 100) i, tried('SELECT ' || i, i) t WHERE t LIKE '42804%';
SELECT count(*) FROM photos;
CREATE VIEW twins AS SELECT * FROM phash_pairs('SELECT id, hash FROM photos', 0);
SELECT * FROM twins;
CREATE MATERIALIZED VIEW kept AS SELECT * FROM phash_groups('SELECT id, hash FROM public.photos', 2);
SELECT count(*) FROM kept;

-- Wrong queries.
SELECT * FROM phash_pairs('SELECT', 2);
SELECT * FROM phash_pairs('SELECT id FROM photos', 2);
SELECT * FROM phash_pairs('SELECT hash, id FROM photos', 2);
SELECT * FROM phash_pairs('SELECT id, hash::text FROM photos', 2);
SELECT * FROM phash_pairs('SELECT id, ''00'' FROM photos', 2);
SELECT * FROM phash_pairs('SELECT id, hash, id FROM photos', ARRAY[2, 2]);
SELECT * FROM phash_pairs('SELECT id::text, hash FROM photos', 2);
SELECT * FROM phash_pairs('SELECT id::numeric, hash FROM photos', 2);
SELECT * FROM phash_pairs('SELECT id, hash FROM photos', 2, NULL::uuid);
SELECT * FROM phash_pairs('SELECT id, hash FROM photos', 2, NULL::int2);
SELECT * FROM phash_pairs('SELECT id % 3, hash FROM photos', 2);
SELECT * FROM phash_matches('SELECT id, hash FROM photos', 'SELECT 7, hash FROM photos', 2);
SELECT * FROM phash_groups('SELECT ''x''::text, hash FROM photos', 2, id => ''::text);
SELECT * FROM phash_pairs('SELECT nullif(id, 3), hash FROM photos', 2);
SELECT * FROM phash_pairs('SELECT 1 / (id - 3), hash FROM photos', 2);
SELECT * FROM phash_pairs('SELECT id, hash FORM photos', 2);
SELECT * FROM phash_pairs('SELECT id, hash FROM nowhere', 2);
SELECT * FROM phash_pairs('SELECT id, hahs FROM photos', 2);
SELECT * FROM phash_pairs('SELECT $1, hash FROM photos', 2);
SELECT * FROM phash_pairs('CREATE TABLE mine (id int)', 2);
SELECT * FROM phash_pairs('DELETE FROM photos RETURNING id, hash', 2);
SELECT * FROM phash_pairs('INSERT INTO photos VALUES (10)', 2);
SELECT * FROM phash_pairs('UPDATE photos SET hash = NULL', 2);
SELECT * FROM phash_pairs('TRUNCATE photos', 2);
SELECT * FROM phash_pairs('COMMIT', 2);
SELECT * FROM phash_pairs('SHOW search_path', 2);
SELECT * FROM phash_pairs('EXPLAIN SELECT id, hash FROM photos', 2);
SELECT * FROM phash_pairs('EXECUTE near(''SELECT id, hash FROM photos'', 1)', 2);
SELECT * FROM phash_pairs('COPY photos TO STDOUT', 2);
SELECT * FROM phash_pairs('DECLARE c CURSOR FOR SELECT id, hash FROM photos', 2);
SELECT * FROM phash_pairs('SELECT id, hash INTO mine FROM photos', 2);
SELECT * FROM phash_pairs('CREATE TABLE mine AS SELECT id, hash FROM photos', 2);
SELECT * FROM phash_pairs('WITH gone AS (DELETE FROM photos RETURNING id, hash) SELECT * FROM gone', 2);
SELECT * FROM phash_pairs('SELECT id, hash FROM photos FOR UPDATE', 2);
SELECT * FROM phash_pairs('SELECT * FROM (SELECT id, hash FROM photos FOR SHARE) locked', 2);
SELECT * FROM phash_pairs('SELECT id, hash FROM photos; SELECT id, hash FROM photos', 2);
SELECT * FROM phash_pairs('SELECT id, hash FROM photos; DROP TABLE photos', 2);
SELECT * FROM phash_pairs('', 2);
SELECT * FROM phash_pairs(' ; -- nothing', 2);
SELECT count(*) FROM photos;

-- Wrong distances.
SELECT * FROM phash_pairs('SELECT id, hash FROM photos', -1);
SELECT * FROM phash_pairs('SELECT id, hash FROM photos', 65);
SELECT * FROM phash_pairs('SELECT id, thumb FROM photos', 17);
SELECT * FROM phash_groups('SELECT id, hash FROM photos', 2147483647);
SELECT * FROM phash_matches('SELECT id, hash FROM photos', 'SELECT id, hash FROM photos', -2147483648);
SELECT * FROM phash_pairs('SELECT id, hash, thumb FROM photos', ARRAY[2, -1]);
SELECT * FROM phash_pairs('SELECT id, hash, thumb FROM photos', ARRAY[2, 17]);
SELECT * FROM phash_pairs('SELECT id, hash, thumb FROM photos', 2);
SELECT * FROM phash_pairs('SELECT id, hash, thumb FROM photos', ARRAY[2]);
SELECT * FROM phash_pairs('SELECT id, hash FROM photos', ARRAY[2, 2]);
SELECT * FROM phash_matches('SELECT id, hash FROM photos', 'SELECT id, hash, thumb FROM photos', ARRAY[2]);
SELECT * FROM phash_groups('SELECT id, hash FROM photos', '{}'::int[]);
SELECT * FROM phash_pairs('SELECT id, hash FROM photos', ARRAY[NULL]::int[]);
SELECT * FROM phash_plan('SELECT id, hash FROM photos', ARRAY[[2], [2]]);
SELECT * FROM phash_pairs('SELECT id, hash FROM photos', NULL::int);
SELECT * FROM phash_pairs('SELECT id, hash FROM photos', NULL::int[]);
SELECT * FROM phash_pairs(NULL, 2);
SELECT * FROM phash_matches(NULL, 'SELECT id, hash FROM photos', 2);
SELECT * FROM phash_matches('SELECT id, hash FROM photos', NULL, 2);
SELECT * FROM phash_plan(NULL, 2);

-- Wrong widths, wrong strategies.
INSERT INTO photos VALUES (10, NULL, 'abcdef');
SELECT * FROM phash_pairs('SELECT id, thumb FROM photos ORDER BY id', 2);
SELECT * FROM phash_pairs('SELECT id, thumb::phash(16) FROM photos ORDER BY id', 2);
SELECT count(*) FROM phash_pairs('SELECT id, thumb FROM photos WHERE phash_bits(thumb) = 16', 2);
DELETE FROM photos WHERE id = 10;
SELECT * FROM phash_matches('SELECT id, hash FROM photos', 'SELECT id, thumb FROM photos', 2);
SELECT * FROM phash_groups('SELECT id, hash FROM photos', 2, 'cliques');
SELECT * FROM phash_groups('SELECT id, hash FROM photos', 2, strategy => NULL);
SELECT * FROM phash_groups('SELECT id, hash FROM photos', 2, '');

-- Too many pairs: the error names the hashes that they are of.
CREATE TABLE dark AS SELECT id, CASE WHEN id % 2 = 0 THEN hash ELSE '0000000000000000' END AS hash FROM many;
SELECT * FROM phash_pairs('SELECT id, hash FROM dark', 3);
SELECT * FROM phash_pairs('SELECT id, hash, phash ''ab'' FROM dark', ARRAY[3, 8]);
SELECT * FROM phash_matches('SELECT id, hash FROM dark', 'SELECT id, hash FROM dark', 0);
SET lumina.max_pairs = 6;
SELECT * FROM phash_pairs('SELECT id, hash FROM photos', 2);
SET lumina.max_pairs = 0;
SELECT * FROM phash_pairs('SELECT id, hash FROM photos', 0);
SELECT * FROM phash_pairs('SELECT id, hash FROM photos WHERE id < 5', 0);
SET lumina.max_pairs = 7;
SELECT count(*) FROM phash_pairs('SELECT id, hash FROM photos', 2);
-- Groups count pairs of distinct hashes: equal ones are together without being paired.
SELECT count(*) FROM phash_groups('SELECT id, hash FROM dark', 3);
SET lumina.max_pairs = 5;
SELECT * FROM phash_groups('SELECT id, hash FROM photos', 2);
SET lumina.max_pairs = 1000;
SET lumina.max_pairs_limit = 6;
SELECT * FROM phash_pairs('SELECT id, hash FROM photos', 2);
RESET lumina.max_pairs;
RESET lumina.max_pairs_limit;

-- Other settings.
SET lumina.search_memory = '1MB';
SELECT * FROM phash_pairs('SELECT i, hash FROM many, generate_series(1, 10) i', 2);
SET lumina.search_memory = '1GB';
SET lumina.search_memory_limit = '1MB';
SELECT * FROM phash_pairs('SELECT i, hash FROM many, generate_series(1, 10) i', 2);
RESET lumina.search_memory;
RESET lumina.search_memory_limit;
SET lumina.concurrent_searches = 0;
SELECT * FROM phash_pairs('SELECT id, hash FROM photos', 0);
RESET lumina.concurrent_searches;
SET lumina.device = cpu;
SELECT * FROM phash_pairs('SELECT id, hash FROM photos', 0);
SET lumina.device = gpu;
RESET lumina.device;
SET lumina.search_threads = 1;
SELECT threads FROM phash_plan('SELECT id, hash FROM photos', 0);
SET lumina.search_threads = 1000;
SELECT threads FROM phash_plan('SELECT id, hash FROM photos', 0);
SET lumina.search_threads_limit = 3;
SELECT threads FROM phash_plan('SELECT id, hash FROM photos', 0);
RESET lumina.search_threads_limit;
SET lumina.search_threads = -1;
SET lumina.search_threads = 2;
SET lumina.max_pair = 5;
SELECT name, setting, unit, context, vartype FROM pg_settings WHERE name LIKE 'lumina.%' ORDER BY name;

-- Only those who were granted it may call; limits are the superuser's; a search sees what its caller may see.
CREATE ROLE auditor;
ALTER TABLE photos ENABLE ROW LEVEL SECURITY;
CREATE POLICY odd ON photos TO auditor USING (id % 2 = 1);
SET ROLE auditor;
SELECT * FROM phash_pairs('SELECT id, hash FROM photos', 2);
SELECT * FROM phash_matches('SELECT id, hash FROM photos', 'SELECT id, hash FROM photos', ARRAY[2]);
SELECT * FROM phash_groups('SELECT id, hash FROM photos', 2, NULL::int);
SELECT * FROM phash_plan('SELECT id, hash FROM photos', 2);
RESET ROLE;
GRANT EXECUTE ON FUNCTION phash_pairs(text, int4) TO auditor;
SET ROLE auditor;
SELECT * FROM phash_pairs('SELECT id, hash FROM photos', 2);
RESET ROLE;
GRANT SELECT ON photos TO auditor;
SET ROLE auditor;
SELECT * FROM phash_pairs('SELECT id, hash FROM photos', 2) ORDER BY a, b;
SELECT * FROM twins;
SET lumina.max_pairs = 1000;
SET lumina.max_pairs_limit = 1000;
SET lumina.search_memory_limit = '1MB';
SET lumina.search_threads_limit = 1;
SET lumina.concurrent_searches = 1000;
RESET ROLE;
SELECT proname, pg_get_function_identity_arguments(oid) AS arguments FROM pg_proc
WHERE proname ~ '^phash_(pairs|matches|groups|plan)' AND has_function_privilege('pg_monitor', oid, 'EXECUTE');

-- In a schema that is not on the search path, beside a type of the same name.
DROP EXTENSION lumina CASCADE;
\set SHOW_CONTEXT never
CREATE SCHEMA hashes;
CREATE EXTENSION lumina SCHEMA hashes;
CREATE TYPE phash AS (a int);
SELECT a, b, pg_typeof(a) AS of FROM hashes.phash_pairs($$VALUES ('x', hashes.phash 'ab'), ('y', 'aa')$$, 1,
    id => ''::text);
SELECT * FROM hashes.phash_groups($$VALUES (1, hashes.phash 'ab'), (2, 'aa')$$, ARRAY[1]) ORDER BY member;
SELECT method FROM hashes.phash_plan($$VALUES (1, hashes.phash 'ab'), (2, 'aa')$$, 1);
