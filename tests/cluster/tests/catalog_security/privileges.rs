//! What PUBLIC may do with each object of the schemas `lumina` and `lumina_internal`: the decisions, which are compared
//! with the catalog; and rules that all objects keep.

/// The objects with the privileges that PUBLIC has on them.
pub(crate) const QUERY: &str = r#"
    SELECT format('%s %s: %s', kind, name,
        coalesce(string_agg(privilege_type, ' ' ORDER BY privilege_type) FILTER (WHERE grantee = 0), 'nothing'))
    FROM (
        SELECT CASE prokind WHEN 'p' THEN 'procedure' ELSE 'function' END AS kind,
            format('%s.%s(%s)', nspname, proname, (SELECT string_agg(format_type(type, NULL), ', ' ORDER BY place)
                FROM unnest(proargtypes::oid[]) WITH ORDINALITY a (type, place))) AS name, proowner AS owner,
            coalesce(proacl, acldefault('f', proowner)) AS acl FROM pg_proc JOIN pg_namespace n ON n.oid = pronamespace
            WHERE nspname IN ('lumina', 'lumina_internal')
        UNION ALL SELECT CASE relkind WHEN 'r' THEN 'table' WHEN 'v' THEN 'view' WHEN 'S' THEN 'sequence'
                ELSE 'relation of kind ' || relkind::text END,
            format('%s.%s', nspname, relname), relowner,
            coalesce(relacl, acldefault(CASE relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", relowner))
            FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace
            WHERE nspname IN ('lumina', 'lumina_internal') AND relkind NOT IN ('i', 'c')
        UNION ALL SELECT 'type', format('%s.%s', nspname, typname), typowner,
            coalesce(typacl, acldefault('T', typowner))
            FROM pg_type JOIN pg_namespace n ON n.oid = typnamespace
            WHERE nspname IN ('lumina', 'lumina_internal') AND typrelid = 0 AND typcategory <> 'A'
        UNION ALL SELECT 'schema', nspname, nspowner, coalesce(nspacl, acldefault('n', nspowner)) FROM pg_namespace
            WHERE nspname IN ('lumina', 'lumina_internal')
    ) objects CROSS JOIN LATERAL (SELECT * FROM aclexplode(acl)) granted
    GROUP BY kind, name ORDER BY 1"#;

/// The expected result of [`QUERY`]. EXECUTE on an internal function is for the extension's owner alone, except for
/// nine that views and jobs call with a user's rights (`files_there`, `folder_list`, `folder_rank`, `is_below`,
/// `is_raw`, `is_sibling`, `job_alive`, `job_place`, `known_time`), and two that depend on their argument alone.
pub(crate) const EXPECTED: &str = "\
    function lumina.adopt_catalog(text): EXECUTE
    function lumina.cancel_job(bigint): EXECUTE
    function lumina.check_path(text): EXECUTE
    function lumina.composite_format(text, integer): EXECUTE
    function lumina.composite_resolution(integer, integer): EXECUTE
    function lumina.composite_score(text, integer, integer, integer, bigint, double precision): EXECUTE
    function lumina.composite_sharpness(double precision): EXECUTE
    function lumina.composite_size(bigint, integer, integer): EXECUTE
    function lumina.create_catalog(text, text): nothing
    function lumina.detect_bursts(text, text, interval, integer, text): EXECUTE
    function lumina.detect_duplicates(text, integer, text, text, text, boolean, text): EXECUTE
    function lumina.drop_catalog(text): EXECUTE
    function lumina.duplicates(text, integer, text, text, integer): EXECUTE
    function lumina.duplicates_html(text, integer, text, text): EXECUTE
    function lumina.explain_pair(bigint, bigint): EXECUTE
    function lumina.gpu_info(): nothing
    function lumina.gpu_reset(): nothing
    function lumina.grant_catalog(text, text, text): EXECUTE
    function lumina.import(text, text, text, boolean): EXECUTE
    function lumina.is_job_kind(text): EXECUTE
    function lumina.keep_all(bigint): EXECUTE
    function lumina.keep_best(bigint): EXECUTE
    function lumina.keep_best_in_all(text, double precision, boolean, boolean): EXECUTE
    function lumina.kept_apart(bigint): EXECUTE
    function lumina.library_version(): EXECUTE
    function lumina.list_bursts(text, text, integer, boolean): EXECUTE
    function lumina.protect_source(text, text, boolean): EXECUTE
    function lumina.quality_format(text): EXECUTE
    function lumina.quality_metadata(text, text, text, real, real, double precision, integer, \
        double precision, double precision): EXECUTE
    function lumina.quality_resolution(integer, integer): EXECUTE
    function lumina.quality_score(text, integer, integer, bigint, double precision): EXECUTE
    function lumina.quality_size(text, bigint): EXECUTE
    function lumina.readable_catalog(text): EXECUTE
    function lumina.readable_catalogs(): EXECUTE
    function lumina.reassign_catalog(text, text): EXECUTE
    function lumina.resolve(bigint, bigint[]): EXECUTE
    function lumina.resume_jobs(boolean): EXECUTE
    function lumina.retry_job(bigint): EXECUTE
    function lumina.revoke_catalog(text, text, text): EXECUTE
    function lumina.role_cmp(lumina.role, lumina.role): EXECUTE
    function lumina.role_eq(lumina.role, lumina.role): EXECUTE
    function lumina.role_ge(lumina.role, lumina.role): EXECUTE
    function lumina.role_gt(lumina.role, lumina.role): EXECUTE
    function lumina.role_hash(lumina.role): EXECUTE
    function lumina.role_in(cstring): EXECUTE
    function lumina.role_le(lumina.role, lumina.role): EXECUTE
    function lumina.role_lt(lumina.role, lumina.role): EXECUTE
    function lumina.role_ne(lumina.role, lumina.role): EXECUTE
    function lumina.role_out(lumina.role): EXECUTE
    function lumina.role_recv(internal): EXECUTE
    function lumina.role_send(lumina.role): EXECUTE
    function lumina.run_import(bigint): EXECUTE
    function lumina.score_quality(text): EXECUTE
    function lumina.set_catalog_option(text, text, jsonb): EXECUTE
    function lumina.set_burst_best(bigint, bigint): EXECUTE
    function lumina.set_image_status(text, bigint[], text): EXECUTE
    function lumina.split_group(bigint, bigint[]): EXECUTE
    function lumina.stop_workers(): nothing
    function lumina.undo(bigint): EXECUTE
    function lumina_internal.acts_for(oid, lumina.role): nothing
    function lumina_internal.adopt_catalog(oid, text): nothing
    function lumina_internal.all_duplicates(bigint, text, integer): nothing
    function lumina_internal.and_more(integer): nothing
    function lumina_internal.apart_from(bigint, bigint): nothing
    function lumina_internal.approve_preview(bigint): nothing
    function lumina_internal.call_hook(oid, oid, text, bigint, bigint, text[], text[]): nothing
    function lumina_internal.cancel_job(oid, bigint): nothing
    function lumina_internal.carried(bigint, bigint[], bigint[]): nothing
    function lumina_internal.catalog(oid, text, lumina.access_right): nothing
    function lumina_internal.changed_hashes(bigint, bigint[]): nothing
    function lumina_internal.changed_images(bigint, bigint): nothing
    function lumina_internal.camera_name(text, text): nothing
    function lumina_internal.check_job_change(): nothing
    function lumina_internal.check_path(oid, text): nothing
    function lumina_internal.check_version(): nothing
    function lumina_internal.checked_folders(bigint, jsonb): nothing
    function lumina_internal.checked_grant(oid, text, text, text): nothing
    function lumina_internal.checked_hook(bigint, jsonb): nothing
    function lumina_internal.checked_option(oid, bigint, text, jsonb): nothing
    function lumina_internal.checked_path(text, text): nothing
    function lumina_internal.checked_quality(jsonb): nothing
    function lumina_internal.create_catalog(oid, text, text): nothing
    function lumina_internal.current_rule(bigint): nothing
    function lumina_internal.detect_bursts(oid, text, text, interval, integer, text): nothing
    function lumina_internal.detect_duplicates(oid, text, integer, text, text, text, boolean, text): nothing
    function lumina_internal.drop_catalog(oid, text): nothing
    function lumina_internal.duplicates(oid, text, integer, text, text, integer): nothing
    function lumina_internal.duplicates_html(oid, text, integer, text, text): nothing
    function lumina_internal.decide(oid, lumina.action_kind, bigint, bigint[]): nothing
    function lumina_internal.enact(lumina.duplicate_groups, lumina.action_kind, oid, bigint, bigint, jsonb): nothing
    function lumina_internal.explain_apart(lumina.images, lumina.images): nothing
    function lumina_internal.explain_hashes(lumina.images, lumina.images, jsonb): nothing
    function lumina_internal.explain_image(lumina.images): nothing
    function lumina_internal.explain_pair(oid, bigint, bigint): nothing
    function lumina_internal.file_lists(bigint): nothing
    function lumina_internal.files_there(bigint, bytea, bytea): EXECUTE
    function lumina_internal.finish_import(bigint, bigint, text, boolean): nothing
    function lumina_internal.folder_list(jsonb): EXECUTE
    function lumina_internal.folder_rank(bytea, text): EXECUTE
    function lumina_internal.from_micros(bigint): nothing
    function lumina_internal.grant_catalog(oid, text, text, text): nothing
    function lumina_internal.group_files(bigint, bytea, bytea): nothing
    function lumina_internal.groups_of(bigint, bigint[]): nothing
    function lumina_internal.group_to_decide(oid, bigint): nothing
    function lumina_internal.groups_of_many(bigint[]): nothing
    function lumina_internal.group_verdicts(bigint, bytea, bytea, double precision, boolean): nothing
    function lumina_internal.is_outdated(bigint): nothing
    function lumina_internal.kept_apart(oid, bigint): nothing
    function lumina_internal.known_time(timestamp with time zone, smallint): EXECUTE
    function lumina_internal.refuse_outdated(lumina.duplicate_groups, bigint[], bytea): nothing
    function lumina_internal.spare_names(bigint[], bytea, bytea): nothing
    function lumina_internal.home(): nothing
    function lumina_internal.hook_function(bigint, text): nothing
    function lumina_internal.import(oid, text, text, text, boolean): nothing
    function lumina_internal.import_batch(bigint, bigint, bigint, jsonb, boolean): nothing
    function lumina_internal.import_roots(oid): nothing
    function lumina_internal.index_is_cheaper(bigint, jsonb, bigint[]): nothing
    function lumina_internal.is_below(bytea, text): EXECUTE
    function lumina_internal.is_raw(text): EXECUTE
    function lumina_internal.is_sibling(lumina.images, lumina.images): EXECUTE
    function lumina_internal.job(oid, bigint): nothing
    function lumina_internal.job_alive(regclass, bigint): EXECUTE
    function lumina_internal.job_place(bigint, oid, bigint, text): EXECUTE
    function lumina_internal.job_right(text): EXECUTE
    function lumina_internal.job_settings(): nothing
    function lumina_internal.keep_actions(): nothing
    function lumina_internal.keep_all(oid, bigint): nothing
    function lumina_internal.keep_apart(bigint, bigint, bigint, bigint[], integer[], bigint[], bigint[]): nothing
    function lumina_internal.keep_best(oid, bigint): nothing
    function lumina_internal.keep_best_in_all(oid, text, double precision, boolean, boolean): nothing
    function lumina_internal.keep_original_path(): nothing
    function lumina_internal.many_groups(): nothing
    function lumina_internal.member_files(bigint, bytea, bytea): nothing
    function lumina_internal.member_images(bigint, bytea, bytea): nothing
    function lumina_internal.next_groups(bigint, text, lumina_internal.page_place, integer): nothing
    function lumina_internal.kept_paths(bigint): nothing
    function lumina_internal.members_now(lumina.duplicate_groups): nothing
    function lumina_internal.names_of(bigint[], bytea): nothing
    function lumina_internal.most_changes(): nothing
    function lumina_internal.near_by_index(bigint, jsonb, bigint[], boolean): nothing
    function lumina_internal.near_query(bigint, jsonb, text): nothing
    function lumina_internal.note_distinct(): nothing
    function lumina_internal.note_everything(bigint): nothing
    function lumina_internal.note_frames(): nothing
    function lumina_internal.note_images(bigint, bigint[]): nothing
    function lumina_internal.note_inserted_files(): nothing
    function lumina_internal.note_inserted_images(): nothing
    function lumina_internal.note_removed_files(): nothing
    function lumina_internal.note_removed_images(): nothing
    function lumina_internal.note_removed_members(): nothing
    function lumina_internal.note_truncated(): nothing
    function lumina_internal.note_updated_files(): nothing
    function lumina_internal.note_updated_images(): nothing
    function lumina_internal.notify_at_commit(text): nothing
    function lumina_internal.notify_job(): nothing
    function lumina_internal.page_cursor(text, lumina.duplicate_groups): nothing
    function lumina_internal.page_place(text, text): nothing
    function lumina_internal.pair_reason(text, text, text): nothing
    function lumina_internal.pair_rule(jsonb): EXECUTE
    function lumina_internal.path_steps(text, text): nothing
    function lumina_internal.protect_source(oid, text, text, boolean): nothing
    function lumina_internal.protected_folders(bigint): nothing
    function lumina_internal.quality_option(bigint): nothing
    function lumina_internal.paths_of(bigint[]): nothing
    function lumina_internal.readable_catalog(oid, text): nothing
    function lumina_internal.readable_catalogs(oid): nothing
    function lumina_internal.reassign_catalog(oid, text, text): nothing
    function lumina_internal.refresh_groups(bigint[]): nothing
    function lumina_internal.refresh_groups_below(bigint, text[]): nothing
    function lumina_internal.refresh_groups_of(bigint[]): nothing
    function lumina_internal.refresh_groups_of_files(): nothing
    function lumina_internal.refresh_groups_of_images(): nothing
    function lumina_internal.refresh_groups_of_lists(): nothing
    function lumina_internal.refresh_groups_of_wanted(): nothing
    function lumina_internal.refresh_many_groups(bigint[]): nothing
    function lumina_internal.refuse_in_hook(): nothing
    function lumina_internal.remove_action_rows(): nothing
    function lumina_internal.remove_expired_jobs(): nothing
    function lumina_internal.remove_notes(): nothing
    function lumina_internal.report(bigint, text, integer, text, text): nothing
    function lumina_internal.report_bursts(bigint, integer): nothing
    function lumina_internal.report_decisions(bigint, integer): nothing
    function lumina_internal.report_frame(bigint): nothing
    function lumina_internal.report_groups(bigint[], integer): nothing
    function lumina_internal.report_ids(bigint, text, text, integer): nothing
    function lumina_internal.report_summary(bigint): nothing
    function lumina_internal.resolve(oid, bigint, bigint[]): nothing
    function lumina_internal.resume_jobs(oid, boolean): nothing
    function lumina_internal.restore_many(bigint, bigint): nothing
    function lumina_internal.retry_job(oid, bigint): nothing
    function lumina_internal.revoke_catalog(oid, text, text, text): nothing
    function lumina_internal.rights(oid, bigint): nothing
    function lumina_internal.role(oid): nothing
    function lumina_internal.role_oid(lumina.role): nothing
    function lumina_internal.rounded_score(double precision): nothing
    function lumina_internal.run_import(oid, bigint): nothing
    function lumina_internal.run_to_continue(bigint, jsonb): nothing
    function lumina_internal.score_batch(bigint, text, bigint, integer): nothing
    function lumina_internal.score_quality(oid, text): nothing
    function lumina_internal.score_weights(bigint): nothing
    function lumina_internal.search_basis(bigint): nothing
    function lumina_internal.set_catalog_option(oid, text, text, jsonb): nothing
    function lumina_internal.source(bigint, text): nothing
    function lumina_internal.set_burst_best(oid, bigint, bigint): nothing
    function lumina_internal.some_duplicates(bigint, integer, text, lumina_internal.page_place, integer, integer): \
        nothing
    function lumina_internal.rule_distance(jsonb, integer, integer, integer, integer): nothing
    function lumina_internal.run_hook(bigint, bigint): nothing
    function lumina_internal.set_image_status(oid, text, bigint[], text): nothing
    function lumina_internal.split_group(oid, bigint, bigint[]): nothing
    function lumina_internal.split_off(lumina.duplicate_groups, bigint[]): nothing
    function lumina_internal.start_worker_at_commit(bigint): nothing
    function lumina_internal.start_worker_now(): nothing
    function lumina_internal.start_workers_at_end(integer, boolean): nothing
    function lumina_internal.stop_workers(oid): nothing
    function lumina_internal.submit(oid, text, bigint, jsonb, bigint): nothing
    function lumina_internal.weighted_score(double precision[], real, real, real, real, real, real, real, real): nothing
    function lumina_internal.undo(oid, bigint): nothing
    function lumina_internal.unsettled_groups(bigint): nothing
    function lumina_internal.undo_split(lumina.duplicate_actions): nothing
    procedure lumina.wait_for_job(bigint): EXECUTE
    schema lumina: USAGE
    schema lumina_internal: USAGE
    sequence lumina.bursts_id_seq: nothing
    sequence lumina.catalogs_id_seq: nothing
    sequence lumina.duplicate_actions_id_seq: nothing
    sequence lumina.duplicate_groups_id_seq: nothing
    sequence lumina.duplicate_runs_id_seq: nothing
    sequence lumina.image_files_id_seq: nothing
    sequence lumina.images_id_seq: nothing
    sequence lumina.import_items_id_seq: nothing
    sequence lumina.jobs_id_seq: nothing
    sequence lumina.sources_id_seq: nothing
    table lumina.burst_frames: SELECT
    table lumina.bursts: SELECT
    table lumina.action_files: SELECT
    table lumina.action_images: SELECT
    table lumina.catalog_grants: SELECT
    table lumina.catalogs: SELECT
    table lumina.distinct_files: SELECT
    table lumina.distinct_images: SELECT
    table lumina.duplicate_actions: SELECT
    table lumina.duplicate_groups: SELECT
    table lumina.duplicate_members: SELECT
    table lumina.duplicate_runs: SELECT
    table lumina.image_files: SELECT
    table lumina.images: SELECT
    table lumina.import_items: SELECT
    table lumina.job_cancellations: SELECT
    table lumina.jobs: SELECT
    table lumina.sidecars: SELECT
    table lumina.sources: SELECT
    table lumina.workers_stopped: SELECT
    table lumina_internal.image_changes: nothing
    type lumina.access_right: USAGE
    type lumina.action_kind: USAGE
    type lumina.file_state: USAGE
    type lumina.group_kind: USAGE
    type lumina.image_status: USAGE
    type lumina.import_mode: USAGE
    type lumina.item_action: USAGE
    type lumina.item_state: USAGE
    type lumina.job_state: USAGE
    type lumina.role: USAGE
    view lumina.burst_images: SELECT
    view lumina.action_history: SELECT
    view lumina.duplicate_statistics: SELECT
    view lumina.image_duplicates: SELECT
    view lumina.import_items_detail: SELECT
    view lumina.import_jobs_summary: SELECT
    view lumina.job_progress: SELECT
    view lumina_internal.current_files: SELECT";

/// Queries that must return no rows.
pub(crate) const RULES: [(&str, &str); 11] = [
    (
        "no function of the schema for users is internal by its name",
        "SELECT oid::regprocedure::text FROM pg_proc WHERE pronamespace = 'lumina'::regnamespace
            AND proname LIKE '\\_%'",
    ),
    (
        "everybody may call only these internal functions",
        "SELECT oid::regprocedure::text FROM pg_proc WHERE pronamespace = 'lumina_internal'::regnamespace
            AND has_function_privilege('public', oid, 'EXECUTE')
            AND proname NOT IN ('files_there', 'folder_list', 'folder_rank', 'is_below', 'is_raw', 'is_sibling',
                'job_alive', 'job_place', 'job_right', 'known_time', 'pair_rule')",
    ),
    (
        "a function that runs as its caller and calls an internal one has that one, which runs as its owner",
        "SELECT o.oid::regprocedure::text FROM pg_proc o WHERE o.prosrc = 'as_owner'
            AND NOT EXISTS (SELECT FROM pg_proc i
                WHERE i.pronamespace = 'lumina_internal'::regnamespace AND i.proname = o.proname AND i.prosecdef
                AND i.prorettype = o.prorettype AND i.proretset = o.proretset
                AND i.proargtypes::text = concat_ws(' ', 'oid'::regtype::oid, nullif(o.proargtypes::text, '')))",
    ),
    (
        "functions that run as their owner pin their search_path, and else settings of the planner alone",
        "SELECT oid::regprocedure::text FROM pg_proc WHERE pronamespace = 'lumina_internal'::regnamespace AND prosecdef
            AND (NOT coalesce(proconfig @> ARRAY['search_path=pg_catalog, pg_temp'], false)
                OR EXISTS (SELECT FROM unnest(proconfig) c WHERE c <> 'search_path=pg_catalog, pg_temp'
                    AND c NOT LIKE 'enable\\_%=o%' AND c NOT IN ('jit=off', 'plan_cache_mode=force_generic_plan',
                        'max_parallel_workers_per_gather=0')))",
    ),
    (
        "functions in PL/pgSQL, too",
        "SELECT p.oid::regprocedure::text FROM pg_proc p JOIN pg_language l ON l.oid = prolang
            WHERE pronamespace::regnamespace::text IN ('lumina', 'lumina_internal') AND lanname = 'plpgsql'
            AND NOT coalesce(proconfig @> ARRAY['search_path=pg_catalog, pg_temp'], false)",
    ),
    (
        "functions that run as their owner are internal; of those that everybody may call, one only looks \
            where the server is",
        "SELECT oid::regprocedure::text FROM pg_proc
            WHERE pronamespace::regnamespace::text IN ('lumina', 'lumina_internal') AND prosecdef
            AND (pronamespace = 'lumina'::regnamespace
                OR has_function_privilege('public', oid, 'EXECUTE') AND proname <> 'job_place')",
    ),
    (
        "tables have row-level security, but the one that is for all catalogs",
        "SELECT oid::regclass::text FROM pg_class
            WHERE relnamespace::regnamespace::text IN ('lumina', 'lumina_internal') AND relkind IN ('r', 'p')
            AND NOT relrowsecurity AND relname <> 'workers_stopped'",
    ),
    (
        "row-level security lets rows be read, for everybody alike",
        "SELECT polrelid::regclass || ' ' || polname FROM pg_policy JOIN pg_class c ON c.oid = polrelid
            WHERE relnamespace::regnamespace::text IN ('lumina', 'lumina_internal')
            AND (polcmd <> 'r' OR polroles <> '{0}' OR NOT polpermissive)",
    ),
    (
        "views show what the caller may read",
        "SELECT oid::regclass::text FROM pg_class
            WHERE relnamespace::regnamespace::text IN ('lumina', 'lumina_internal') AND relkind = 'v'
            AND NOT coalesce(reloptions, '{}') @> '{security_invoker=true}'",
    ),
    (
        "nothing is granted by column, or by default",
        "SELECT attrelid::regclass || '.' || attname FROM pg_attribute JOIN pg_class c ON c.oid = attrelid
            WHERE relnamespace::regnamespace::text IN ('lumina', 'lumina_internal') AND attacl IS NOT NULL
        UNION ALL SELECT defaclobjtype::text FROM pg_default_acl",
    ),
    (
        "all objects are the extension's, and belong to its owner",
        "SELECT pg_describe_object(o.classid, o.oid, 0) FROM (
            SELECT 'pg_proc'::regclass AS classid, oid, proowner AS owner FROM pg_proc
                WHERE pronamespace::regnamespace::text IN ('lumina', 'lumina_internal')
            UNION ALL SELECT 'pg_class'::regclass, oid, relowner FROM pg_class
                WHERE relnamespace::regnamespace::text IN ('lumina', 'lumina_internal') AND relkind IN ('r', 'v')
            UNION ALL SELECT 'pg_namespace'::regclass, oid, nspowner FROM pg_namespace
                WHERE nspname IN ('lumina', 'lumina_internal')) o
        JOIN pg_extension x ON extname = 'lumina'
        WHERE owner <> extowner OR NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = o.classid AND d.objid = o.oid
            AND d.refclassid = 'pg_extension'::regclass AND d.refobjid = x.oid AND d.deptype = 'e')",
    ),
];
