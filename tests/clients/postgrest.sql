-- What PostgREST sends, request by request, against the set-up that docs/clients.md recommends.
--
-- Run by scripts/test-clients in psql, in a database of its own without the extension; the answers are compared with
-- postgrest.out. PostgREST sends each value of a request as a parameter without a type: PREPARE without types does the
-- same. It begins each request's transaction by setting the role and the search path: the exposed schema, then
-- db-extra-search-path.

-- The set-up, by the owner of the database.
CREATE SCHEMA extensions;
CREATE EXTENSION lumina SCHEMA extensions;
SET search_path = public, extensions;

CREATE TABLE photos (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL, dhash phash(64));
CREATE SCHEMA api;
CREATE VIEW api.photos AS SELECT id, name, dhash FROM public.photos;
CREATE FUNCTION api.near(hash text, max_distance int)
RETURNS TABLE (id bigint, name text, dhash phash, distance int) STABLE
BEGIN ATOMIC
    SELECT p.id, p.name, p.dhash, p.dhash <~> hash::phash AS distance
    FROM api.photos p
    WHERE phash_within(p.dhash, hash::phash, max_distance)
    ORDER BY distance, p.id;
END;

CREATE ROLE web_anon NOLOGIN;
CREATE ROLE authenticator LOGIN NOINHERIT;
GRANT web_anon TO authenticator;
GRANT USAGE ON SCHEMA api, extensions TO web_anon;
GRANT SELECT, INSERT, UPDATE ON api.photos TO web_anon;

SET SESSION AUTHORIZATION authenticator;
SET search_path TO DEFAULT;
PREPARE begin_request AS
    SELECT set_config('search_path', '"api", "public", "extensions"', true), set_config('role', 'web_anon', true);

\echo POST /photos, with Prefer: return=representation
BEGIN;
EXECUTE begin_request \g /dev/null
PREPARE post(json) AS
WITH pgrst_source AS (
    INSERT INTO "api"."photos" ("name", "dhash") SELECT "pgrst_body"."name", "pgrst_body"."dhash"
    FROM (SELECT $1 AS json_data) pgrst_payload,
        LATERAL (
            SELECT "name", "dhash"
            FROM json_to_recordset(pgrst_payload.json_data) AS _("name" text, "dhash" extensions.phash(64))
        ) pgrst_body
    RETURNING "api"."photos".*
)
SELECT coalesce(json_agg(_postgrest_t), '[]') AS body FROM (SELECT * FROM pgrst_source) _postgrest_t;
EXECUTE post('[{"name": "a", "dhash": "C3A1F0E00F1E3C78"}, {"name": "b", "dhash": "c3a1f0e00f1e3c79"},
    {"name": "c", "dhash": "3c5e0f1ff0e1c387"}, {"name": "d", "dhash": null}]');
COMMIT;

\echo POST /photos, a hash of another width than the column: 400
BEGIN;
EXECUTE begin_request \g /dev/null
EXECUTE post('[{"name": "e", "dhash": "c3a1"}]');
ROLLBACK;

\echo POST /photos, no hash at all: 400
BEGIN;
EXECUTE begin_request \g /dev/null
EXECUTE post('[{"name": "e", "dhash": "nothex"}]');
ROLLBACK;

\echo GET /photos?dhash=eq.c3a1f0e00f1e3c78
BEGIN READ ONLY;
EXECUTE begin_request \g /dev/null
PREPARE eq AS
WITH pgrst_source AS (SELECT "api"."photos".* FROM "api"."photos" WHERE "api"."photos"."dhash" = $1)
SELECT coalesce(json_agg(_postgrest_t), '[]') AS body FROM (SELECT * FROM pgrst_source) _postgrest_t;
EXECUTE eq('c3a1f0e00f1e3c78');
COMMIT;

\echo GET /photos?dhash=in.(c3a1f0e00f1e3c78,3c5e0f1ff0e1c387)&order=dhash.desc
BEGIN READ ONLY;
EXECUTE begin_request \g /dev/null
PREPARE in_list AS
WITH pgrst_source AS (
    SELECT "api"."photos".* FROM "api"."photos" WHERE "api"."photos"."dhash" = ANY ($1)
    ORDER BY "api"."photos"."dhash" DESC
)
SELECT coalesce(json_agg(_postgrest_t), '[]') AS body FROM (SELECT * FROM pgrst_source) _postgrest_t;
EXECUTE in_list('{"c3a1f0e00f1e3c78","3c5e0f1ff0e1c387"}');
COMMIT;

\echo GET /photos?dhash=cd.<c3a1f0e00f1e3c78,5>&select=id&order=id
BEGIN READ ONLY;
EXECUTE begin_request \g /dev/null
PREPARE contained AS
WITH pgrst_source AS (
    SELECT "api"."photos"."id" FROM "api"."photos" WHERE "api"."photos"."dhash" <@ $1 ORDER BY "api"."photos"."id"
)
SELECT coalesce(json_agg(_postgrest_t), '[]') AS body FROM (SELECT * FROM pgrst_source) _postgrest_t;
EXECUTE contained('<c3a1f0e00f1e3c78,5>');
COMMIT;

\echo GET /photos?dhash=cd.<c3a1,5>, a hash of another width than the column: 400, not an empty list
BEGIN READ ONLY;
EXECUTE begin_request \g /dev/null
EXECUTE contained('<c3a1,5>');
ROLLBACK;

\echo GET /photos?dhash=eq.c3a1
BEGIN READ ONLY;
EXECUTE begin_request \g /dev/null
EXECUTE eq('c3a1');
COMMIT;

\echo GET /photos?dhash=is.null&select=id
BEGIN READ ONLY;
EXECUTE begin_request \g /dev/null
WITH pgrst_source AS (SELECT "api"."photos"."id" FROM "api"."photos" WHERE "api"."photos"."dhash" IS NULL)
SELECT coalesce(json_agg(_postgrest_t), '[]') AS body FROM (SELECT * FROM pgrst_source) _postgrest_t;
COMMIT;

\echo PATCH /photos?id=eq.4, with Prefer: return=representation
BEGIN;
EXECUTE begin_request \g /dev/null
PREPARE patch(json) AS
WITH pgrst_source AS (
    UPDATE "api"."photos" SET "dhash" = "pgrst_body"."dhash"
    FROM (SELECT $1 AS json_data) pgrst_payload,
        LATERAL (
            SELECT "dhash" FROM json_to_record(pgrst_payload.json_data) AS _("dhash" extensions.phash(64))
        ) pgrst_body
    WHERE "api"."photos"."id" = $2
    RETURNING "api"."photos".*
)
SELECT coalesce(json_agg(_postgrest_t), '[]') AS body FROM (SELECT * FROM pgrst_source) _postgrest_t;
EXECUTE patch('{"dhash": "c3a1f0e00f1e3c7f"}', '4');
COMMIT;

\echo GET /rpc/near?hash=c3a1f0e00f1e3c79&max_distance=5&order=distance
BEGIN READ ONLY;
EXECUTE begin_request \g /dev/null
PREPARE rpc_get AS
WITH pgrst_source AS (
    SELECT "pgrst_call".* FROM "api"."near"("hash" := $1::text, "max_distance" := $2::integer) pgrst_call
)
SELECT coalesce(json_agg(_postgrest_t), '[]') AS body
FROM (SELECT "near".* FROM "pgrst_source" AS "near" ORDER BY "near"."distance") _postgrest_t;
EXECUTE rpc_get('c3a1f0e00f1e3c79', '5');
COMMIT;

\echo POST /rpc/near
BEGIN READ ONLY;
EXECUTE begin_request \g /dev/null
PREPARE rpc_post(json) AS
WITH pgrst_source AS (
    SELECT "pgrst_call".*
    FROM (SELECT $1 AS json_data) pgrst_payload,
        LATERAL (
            SELECT "hash", "max_distance"
            FROM json_to_record(pgrst_payload.json_data) AS _("hash" text, "max_distance" integer) LIMIT 1
        ) pgrst_body,
        LATERAL "api"."near"("hash" := pgrst_body."hash", "max_distance" := pgrst_body."max_distance") pgrst_call
)
SELECT coalesce(json_agg(_postgrest_t), '[]') AS body FROM (SELECT * FROM pgrst_source) _postgrest_t;
EXECUTE rpc_post('{"hash": "c3a1f0e00f1e3c79", "max_distance": 5}');
COMMIT;

\echo GET /rpc/near?hash=c3a1&max_distance=5, a hash of another width than the column: 400, not an empty list
BEGIN READ ONLY;
EXECUTE begin_request \g /dev/null
EXECUTE rpc_get('c3a1', '5');
ROLLBACK;

\echo The same where the server plans once for all requests: an empty list
BEGIN READ ONLY;
EXECUTE begin_request \g /dev/null
SET LOCAL plan_cache_mode = force_generic_plan;
EXECUTE rpc_get('c3a1', '5');
COMMIT;

\echo The function is planned as if its query stood in its place: the table is searched for the ball.
RESET SESSION AUTHORIZATION;
EXPLAIN (COSTS off) SELECT * FROM api.near('c3a1f0e00f1e3c79', 5);

\echo Without "extensions" in db-extra-search-path there are no operators: 404
SET SESSION AUTHORIZATION authenticator;
PREPARE begin_elsewhere AS
    SELECT set_config('search_path', '"api", "public"', true), set_config('role', 'web_anon', true);
BEGIN READ ONLY;
EXECUTE begin_elsewhere \g /dev/null
SELECT "api"."photos"."id" FROM "api"."photos" WHERE "api"."photos"."dhash" = 'c3a1f0e00f1e3c78';
ROLLBACK;

\echo The operator named with its schema works all the same, and so does a function made with BEGIN ATOMIC.
BEGIN READ ONLY;
EXECUTE begin_elsewhere \g /dev/null
SELECT id, dhash OPERATOR(extensions.<~>) 'c3a1f0e00f1e3c79' FROM api.photos
WHERE extensions.phash_within(dhash, 'c3a1f0e00f1e3c79', 1) ORDER BY id;
SELECT id, distance FROM api.near('c3a1f0e00f1e3c79', 1);
ROLLBACK;

\echo Without USAGE on the schema the same happens as without it on the path: 404
RESET SESSION AUTHORIZATION;
REVOKE USAGE ON SCHEMA extensions FROM web_anon;
SET SESSION AUTHORIZATION authenticator;
BEGIN READ ONLY;
EXECUTE begin_request \g /dev/null
SELECT "api"."photos"."id" FROM "api"."photos" WHERE "api"."photos"."dhash" = 'c3a1f0e00f1e3c78';
ROLLBACK;
