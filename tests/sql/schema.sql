-- The extension in a schema of its own, which is not on the search path.
CREATE SCHEMA lumina;
\set SHOW_CONTEXT never
CREATE EXTENSION lumina SCHEMA lumina;
DROP SCHEMA lumina;
CREATE SCHEMA lumina_internal;
CREATE EXTENSION lumina SCHEMA lumina_internal;
-- Nor does it take over a schema that is somebody's.
CREATE EXTENSION lumina SCHEMA public;
DROP SCHEMA lumina_internal;
CREATE SCHEMA hashes;
CREATE EXTENSION lumina SCHEMA hashes;
ALTER EXTENSION lumina SET SCHEMA public;
CREATE TABLE photos (h hashes.phash(64) PRIMARY KEY);
INSERT INTO photos VALUES ('c3a1f0e00f1e3c78');
EXPLAIN (COSTS off) SELECT * FROM photos WHERE hashes.phash_within(h, 'c3a1f0e00f1e3c79', 1);
SELECT h OPERATOR(hashes.<~>) 'c3a1f0e00f1e3c79' AS distance FROM photos WHERE hashes.phash_within(h,
    'c3a1f0e00f1e3c79', 1);
SELECT * FROM photos WHERE hashes.phash_within(h, 'c3a1', 1);
SELECT count(DISTINCT h) FROM photos;
SELECT * FROM photos a JOIN photos b USING (h);
-- A user's own objects of the same names are not mistaken for it.
CREATE TYPE phash AS (a int);
CREATE FUNCTION phash_ball(hashes.phash, int) RETURNS text LANGUAGE sql AS 'SELECT ''mine''';
EXPLAIN (COSTS off) SELECT * FROM photos WHERE hashes.phash_within(h, 'c3a1f0e00f1e3c79', 1);
-- Every object has a comment, but for the sequences behind identity columns, and the row types of tables, which are
-- objects of the extension from Postgres 18 on.
SELECT pg_describe_object(classid, objid, 0) AS uncommented
FROM pg_depend WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e'
    AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'lumina')
    AND classid <> 'pg_opfamily'::regclass
    AND NOT EXISTS (SELECT FROM pg_class WHERE classid = 'pg_class'::regclass AND oid = objid AND relkind = 'S')
    AND NOT EXISTS (SELECT FROM pg_type t LEFT JOIN pg_class r ON r.oid = typrelid
        WHERE classid = 'pg_type'::regclass AND t.oid = objid AND (typcategory = 'A' OR relkind <> 'c'))
    AND obj_description(objid, classid::regclass::text::name) IS NULL;
