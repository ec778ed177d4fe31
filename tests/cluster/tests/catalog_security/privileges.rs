//! What PUBLIC may do with each object of the schema `lumina`: the decisions, which are compared with the catalog; and
//! rules that all objects keep.

/// The objects with the privileges that PUBLIC has on them.
pub(crate) const QUERY: &str = r#"
    SELECT format('%s %s: %s', kind, name, coalesce(string_agg(privilege_type, ' ' ORDER BY privilege_type) FILTER (WHERE grantee = 0), 'nothing'))
    FROM (
        SELECT CASE prokind WHEN 'p' THEN 'procedure' ELSE 'function' END AS kind, format('%s(%s)', proname, (SELECT string_agg(format_type(type, NULL), ', ' ORDER BY place)
            FROM unnest(proargtypes::oid[]) WITH ORDINALITY a (type, place))) AS name, proowner AS owner,
            coalesce(proacl, acldefault('f', proowner)) AS acl FROM pg_proc WHERE pronamespace = 'lumina'::regnamespace
        UNION ALL SELECT CASE relkind WHEN 'r' THEN 'table' WHEN 'v' THEN 'view' WHEN 'S' THEN 'sequence' ELSE 'relation of kind ' || relkind::text END,
            relname, relowner, coalesce(relacl, acldefault(CASE relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", relowner))
            FROM pg_class WHERE relnamespace = 'lumina'::regnamespace AND relkind NOT IN ('i', 'c')
        UNION ALL SELECT 'type', typname, typowner, coalesce(typacl, acldefault('T', typowner))
            FROM pg_type WHERE typnamespace = 'lumina'::regnamespace AND typrelid = 0 AND typcategory <> 'A'
        UNION ALL SELECT 'schema', nspname, nspowner, coalesce(nspacl, acldefault('n', nspowner)) FROM pg_namespace WHERE nspname = 'lumina'
    ) objects CROSS JOIN LATERAL (SELECT * FROM aclexplode(acl)) granted
    GROUP BY kind, name ORDER BY 1"#;

/// The expected result of [`QUERY`]. EXECUTE on an internal function, one whose name begins with `_`, is for the
/// extension's owner alone, except for those that views and constraints call with the caller's rights.
pub(crate) const EXPECTED: &str = "\
    function _acts_for(oid, lumina.role): nothing
    function _adopt_catalog(oid, text): nothing
    function _approve_preview(bigint): nothing
    function _cancel_job(oid, bigint): nothing
    function _catalog(oid, text, lumina.access_right): nothing
    function _check_job_change(): nothing
    function _check_path(oid, text): nothing
    function _check_version(): nothing
    function _checked_grant(oid, text, text, text): nothing
    function _checked_path(text, text): nothing
    function _create_catalog(oid, text, text): nothing
    function _detect_duplicates(oid, text, integer, text, text, text): nothing
    function _drop_catalog(oid, text): nothing
    function _duplicates_html(oid, text, integer): nothing
    function _finish_import(bigint, bigint, text, boolean): nothing
    function _from_micros(bigint): nothing
    function _grant_catalog(oid, text, text, text): nothing
    function _home(): nothing
    function _import(oid, text, text, text, boolean): nothing
    function _import_batch(bigint, bigint, bigint, jsonb, boolean): nothing
    function _import_roots(oid): nothing
    function _is_raw(text): EXECUTE
    function _job(oid, bigint): nothing
    function _job_alive(regclass, bigint): EXECUTE
    function _job_place(bigint, oid, bigint, text): EXECUTE
    function _job_right(text): EXECUTE
    function _job_settings(): nothing
    function _keep_original_path(): nothing
    function _notify_job(): nothing
    function _notify_at_commit(text): nothing
    function _page(bigint, text, integer): nothing
    function _page_groups(bigint, integer, integer, integer): nothing
    function _page_summary(bigint): nothing
    function _pair_rule(jsonb): EXECUTE
    function _path_steps(text, text): nothing
    function _readable_catalog(oid, text): nothing
    function _readable_catalogs(oid): nothing
    function _remove_expired_jobs(): nothing
    function _resume_jobs(oid, boolean): nothing
    function _retry_job(oid, bigint): nothing
    function _revoke_catalog(oid, text, text, text): nothing
    function _reassign_catalog(oid, text, text): nothing
    function _rights(oid, bigint): nothing
    function _role(oid): nothing
    function _role_oid(lumina.role): nothing
    function _run_import(oid, bigint): nothing
    function _start_worker_at_commit(bigint): nothing
    function _start_worker_now(): nothing
    function _start_workers_at_end(integer, boolean): nothing
    function _stop_workers(oid): nothing
    function _submit(oid, text, bigint, jsonb, bigint): nothing
    function adopt_catalog(text): EXECUTE
    function cancel_job(bigint): EXECUTE
    function check_path(text): EXECUTE
    function create_catalog(text, text): nothing
    function detect_duplicates(text, integer, text, text, text): EXECUTE
    function drop_catalog(text): EXECUTE
    function duplicates(text): EXECUTE
    function duplicates_html(text, integer): EXECUTE
    function gpu_info(): nothing
    function gpu_reset(): nothing
    function grant_catalog(text, text, text): EXECUTE
    function import(text, text, text, boolean): EXECUTE
    function is_job_kind(text): EXECUTE
    function library_version(): EXECUTE
    function quality_format(text): EXECUTE
    function quality_metadata(text, text, text, real, real, double precision, integer, double precision, double precision): EXECUTE
    function quality_resolution(integer, integer): EXECUTE
    function quality_score(text, integer, integer, bigint, double precision): EXECUTE
    function quality_size(text, bigint): EXECUTE
    function readable_catalog(text): EXECUTE
    function readable_catalogs(): EXECUTE
    function reassign_catalog(text, text): EXECUTE
    function resume_jobs(boolean): EXECUTE
    function retry_job(bigint): EXECUTE
    function revoke_catalog(text, text, text): EXECUTE
    function role_cmp(lumina.role, lumina.role): EXECUTE
    function role_eq(lumina.role, lumina.role): EXECUTE
    function role_ge(lumina.role, lumina.role): EXECUTE
    function role_gt(lumina.role, lumina.role): EXECUTE
    function role_hash(lumina.role): EXECUTE
    function role_in(cstring): EXECUTE
    function role_le(lumina.role, lumina.role): EXECUTE
    function role_lt(lumina.role, lumina.role): EXECUTE
    function role_ne(lumina.role, lumina.role): EXECUTE
    function role_out(lumina.role): EXECUTE
    function role_recv(internal): EXECUTE
    function role_send(lumina.role): EXECUTE
    function run_import(bigint): EXECUTE
    function stop_workers(): nothing
    procedure wait_for_job(bigint): EXECUTE
    schema lumina: USAGE
    sequence catalogs_id_seq: nothing
    sequence duplicate_groups_id_seq: nothing
    sequence duplicate_runs_id_seq: nothing
    sequence image_files_id_seq: nothing
    sequence images_id_seq: nothing
    sequence import_items_id_seq: nothing
    sequence jobs_id_seq: nothing
    sequence sources_id_seq: nothing
    table catalog_grants: SELECT
    table catalogs: SELECT
    table duplicate_groups: SELECT
    table duplicate_members: SELECT
    table duplicate_runs: SELECT
    table image_files: SELECT
    table images: SELECT
    table import_items: SELECT
    table job_cancellations: SELECT
    table jobs: SELECT
    table sidecars: SELECT
    table sources: SELECT
    table workers_stopped: SELECT
    type access_right: USAGE
    type file_state: USAGE
    type group_kind: USAGE
    type image_status: USAGE
    type import_mode: USAGE
    type item_action: USAGE
    type item_state: USAGE
    type job_state: USAGE
    type role: USAGE
    view _current_files: SELECT
    view duplicate_statistics: SELECT
    view image_duplicates: SELECT
    view import_items_detail: SELECT
    view import_jobs_summary: SELECT
    view job_progress: SELECT";

/// Queries that must return no rows.
pub(crate) const RULES: [(&str, &str); 8] = [
    (
        "functions that run as their owner pin their search_path",
        "SELECT oid::regprocedure::text FROM pg_proc WHERE pronamespace = 'lumina'::regnamespace AND prosecdef
            AND proconfig IS DISTINCT FROM ARRAY['search_path=pg_catalog, pg_temp']",
    ),
    (
        "functions in PL/pgSQL, too",
        "SELECT p.oid::regprocedure::text FROM pg_proc p JOIN pg_language l ON l.oid = prolang
            WHERE pronamespace = 'lumina'::regnamespace AND lanname = 'plpgsql'
            AND NOT coalesce(proconfig @> ARRAY['search_path=pg_catalog, pg_temp'], false)",
    ),
    (
        "functions that run as their owner are internal; of those that everybody may call, one only looks where the server is",
        "SELECT oid::regprocedure::text FROM pg_proc WHERE pronamespace = 'lumina'::regnamespace AND prosecdef
            AND (proname NOT LIKE '\\_%' OR has_function_privilege('public', oid, 'EXECUTE') AND proname <> '_job_place')",
    ),
    (
        "tables have row-level security, but the one that is for all catalogs",
        "SELECT oid::regclass::text FROM pg_class WHERE relnamespace = 'lumina'::regnamespace AND relkind IN ('r', 'p')
            AND NOT relrowsecurity AND relname <> 'workers_stopped'",
    ),
    (
        "row-level security lets rows be read, for everybody alike",
        "SELECT polrelid::regclass || ' ' || polname FROM pg_policy JOIN pg_class c ON c.oid = polrelid
            WHERE relnamespace = 'lumina'::regnamespace AND (polcmd <> 'r' OR polroles <> '{0}' OR NOT polpermissive)",
    ),
    (
        "views show what whoever asks may read",
        "SELECT oid::regclass::text FROM pg_class WHERE relnamespace = 'lumina'::regnamespace AND relkind = 'v'
            AND NOT coalesce(reloptions, '{}') @> '{security_invoker=true}'",
    ),
    (
        "nothing is granted by column, or by default",
        "SELECT attrelid::regclass || '.' || attname FROM pg_attribute JOIN pg_class c ON c.oid = attrelid
            WHERE relnamespace = 'lumina'::regnamespace AND attacl IS NOT NULL
        UNION ALL SELECT defaclobjtype::text FROM pg_default_acl",
    ),
    (
        "all objects are the extension's, and belong to its owner",
        "SELECT pg_describe_object(o.classid, o.oid, 0) FROM (
            SELECT 'pg_proc'::regclass AS classid, oid, proowner AS owner FROM pg_proc WHERE pronamespace = 'lumina'::regnamespace
            UNION ALL SELECT 'pg_class'::regclass, oid, relowner FROM pg_class
                WHERE relnamespace = 'lumina'::regnamespace AND relkind IN ('r', 'v')
            UNION ALL SELECT 'pg_namespace'::regclass, oid, nspowner FROM pg_namespace WHERE nspname = 'lumina') o
        JOIN pg_extension x ON extname = 'lumina'
        WHERE owner <> extowner OR NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = o.classid AND d.objid = o.oid
            AND d.refclassid = 'pg_extension'::regclass AND d.refobjid = x.oid AND d.deptype = 'e')",
    ),
];
