-- Import: files of the server's file system into a catalog, by a job.
--
-- A file may be read where it lies under lumina.import_roots, as configured for the importing role: for the role in
-- this database, the role, this database, or the server. What a session has SET does not count: the job runs elsewhere,
-- and later. Each file that is found has a row of import_items, with what became of it.

CREATE TYPE lumina.item_action AS ENUM ('reference', 'copy', 'move', 'skip');
COMMENT ON TYPE lumina.item_action IS 'What an import does with one file';
CREATE TYPE lumina.item_state AS ENUM ('found', 'ready', 'imported', 'skipped', 'failed');
COMMENT ON TYPE lumina.item_state IS 'How far an import has come with one file';
CREATE TABLE lumina.import_items (
    id int8 GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    job int8 NOT NULL,
    catalog int8 NOT NULL,
    path text COLLATE "C" NOT NULL CHECK (path LIKE '/%' AND octet_length(path) <= 2500),
    size int8 CHECK (size >= 0),
    sha256 bytea CHECK (octet_length(sha256) = 32),
    action lumina.item_action,
    state lumina.item_state NOT NULL DEFAULT 'found',
    reason text CHECK (reason ~ '^[a-z0-9_]+$'),
    error text,
    image int8,
    -- Of a preview: what was found, to be imported as it is where the file is still the same.
    analysis jsonb,
    changed_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (job, path),
    FOREIGN KEY (job, catalog) REFERENCES lumina.jobs (id, catalog) ON DELETE CASCADE,
    FOREIGN KEY (catalog, image) REFERENCES lumina.images (catalog, id) ON DELETE SET NULL (image),
    -- What is imported all the same may have a word on what is wrong with it.
    CHECK (state <> 'found' OR reason IS NULL),
    CHECK (state NOT IN ('skipped', 'failed') OR reason IS NOT NULL),
    CHECK ((state = 'ready') = (analysis IS NOT NULL))
);
CREATE INDEX import_items_to_do ON lumina.import_items (job, id) WHERE state IN ('found', 'ready');
CREATE INDEX import_items_image ON lumina.import_items (image) WHERE image IS NOT NULL;
COMMENT ON TABLE lumina.import_items IS 'One row a file that an import has found, with what became of it and why';
ALTER TABLE lumina.import_items ENABLE ROW LEVEL SECURITY;
CREATE POLICY readable ON lumina.import_items FOR SELECT
    USING (catalog = ANY ((SELECT lumina.readable_catalogs())::int8[]));
GRANT SELECT ON lumina.import_items TO PUBLIC;

CREATE FUNCTION lumina_internal.import_roots(caller oid) RETURNS text
    STABLE LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT coalesce(
        (SELECT substr(s.setting, length('lumina.import_roots=') + 1)
            FROM (SELECT r.setrole, r.setdatabase, unnest(r.setconfig) AS setting
                FROM pg_catalog.pg_db_role_setting r) s
            WHERE s.setting LIKE 'lumina.import\_roots=%' AND s.setrole IN (caller, 0)
                AND s.setdatabase IN (0, (SELECT d.oid FROM pg_catalog.pg_database d
                    WHERE d.datname = current_database()))
            ORDER BY s.setrole <> 0 DESC, s.setdatabase <> 0 DESC LIMIT 1),
        (SELECT g.setting FROM pg_catalog.pg_settings g
            WHERE g.name = 'lumina.import_roots' AND g.source = 'command line'),
        -- Where one of the files cannot be read, for somebody is about to change it, what was read last stays in force.
        (SELECT g.reset_val FROM pg_catalog.pg_settings g WHERE g.name = 'lumina.import_roots'
            AND EXISTS (SELECT FROM pg_catalog.pg_file_settings f WHERE f.error IS NOT NULL AND f.name IS NULL)),
        (SELECT f.setting FROM pg_catalog.pg_file_settings f WHERE f.name = 'lumina.import_roots' AND f.error IS NULL
            ORDER BY f.seqno DESC LIMIT 1),
        '');
END;
REVOKE EXECUTE ON FUNCTION lumina_internal.import_roots(oid) FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.import_roots(oid) IS 'Internal: lumina.import_roots as it is configured for a role';

CREATE FUNCTION lumina_internal.checked_path(roots text, path text) RETURNS text
    VOLATILE STRICT LANGUAGE c AS 'MODULE_PATHNAME', 'checked_path';
REVOKE EXECUTE ON FUNCTION lumina_internal.checked_path(text, text) FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.checked_path(text, text) IS
    'Internal: a path that may be imported, without what is idle in it; an error where it may not';
CREATE FUNCTION lumina_internal.path_steps(roots text, path text, OUT step text, OUT obstacle text, OUT hint text)
    RETURNS SETOF record
    VOLATILE STRICT LANGUAGE c AS 'MODULE_PATHNAME', 'path_steps';
REVOKE EXECUTE ON FUNCTION lumina_internal.path_steps(text, text) FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.path_steps(text, text) IS
    'Internal: each step to a path, with what is in the way there';

CREATE FUNCTION lumina_internal.check_path(caller oid, path text) RETURNS TABLE (step text, obstacle text, hint text)
    VOLATILE LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF path IS NULL THEN
        RAISE null_value_not_allowed USING MESSAGE = 'path must not be NULL', HINT = 'Give a directory of the server.';
    ELSIF NOT EXISTS (SELECT FROM lumina.catalogs c WHERE 'import' = ANY (lumina_internal.rights(caller, c.id)))
            AND NOT EXISTS (SELECT FROM pg_roles r WHERE r.oid = caller AND r.rolsuper) THEN
        RAISE insufficient_privilege USING MESSAGE = 'permission denied to look at paths of the server',
            HINT = 'Roles that may import into a catalog may: '
                'its owner grants it by lumina.grant_catalog(..., ''import'').';
    END IF;
    RETURN QUERY SELECT s.step, s.obstacle, s.hint
        FROM lumina_internal.path_steps(lumina_internal.import_roots(caller), path) s;
END $$;
REVOKE EXECUTE ON FUNCTION lumina_internal.check_path(oid, text) FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.check_path(oid, text) IS 'Internal: check_path for a caller';
CREATE FUNCTION lumina.check_path(path text) RETURNS TABLE (step text, obstacle text, hint text)
    VOLATILE LANGUAGE c AS 'MODULE_PATHNAME', 'as_owner';
COMMENT ON FUNCTION lumina.check_path(text) IS
    'Whether the current role may import a path of the server: each step to it, and what is in the way there; NULL '
    'where nothing is';

CREATE FUNCTION lumina_internal.import(caller oid, catalog_name text, path text, mode text, preview bool) RETURNS int8
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    wanted int8 := lumina_internal.catalog(caller, catalog_name, 'import');
    how text := coalesce(mode, (SELECT c.import_mode::text FROM lumina.catalogs c WHERE c.id = wanted));
BEGIN
    IF path IS NULL OR preview IS NULL THEN
        RAISE null_value_not_allowed USING MESSAGE = 'path and preview must not be NULL',
            HINT = 'Write lumina.import(''holiday'', ''/srv/photos''), say.';
    ELSIF how NOT IN ('reference', 'copy', 'move') THEN
        RAISE invalid_parameter_value USING MESSAGE = format('unknown import mode "%s"', left(how, 80)),
            HINT = 'The modes are reference, copy and move.';
    ELSIF how <> 'reference' THEN
        RAISE feature_not_supported USING MESSAGE = format('import mode "%s" is not supported yet', how),
            HINT = 'mode => ''reference'' leaves the files where they are.';
    ELSIF current_setting('server_encoding') <> 'UTF8' THEN
        RAISE feature_not_supported USING
            MESSAGE = format('files cannot be imported into a database of encoding %s',
                current_setting('server_encoding')),
            HINT = 'Names of files are UTF-8: make a database with ENCODING ''UTF8'' for the catalog.';
    END IF;
    RETURN lumina_internal.submit(caller, 'import', wanted,
        jsonb_build_object('path', lumina_internal.checked_path(lumina_internal.import_roots(caller), path),
            'mode', how, 'preview', preview));
END $$;
REVOKE EXECUTE ON FUNCTION lumina_internal.import(oid, text, text, text, bool) FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.import(oid, text, text, text, bool) IS 'Internal: import for a caller';
CREATE FUNCTION lumina.import(catalog text, path text, mode text DEFAULT NULL, preview bool DEFAULT false) RETURNS int8
    LANGUAGE c AS 'MODULE_PATHNAME', 'as_owner';
COMMENT ON FUNCTION lumina.import(text, text, text, bool) IS
    'Submits a job that imports the photographs of a directory of the server, or one file, or what is new or changed '
    'since; returns the job''s id';

CREATE FUNCTION lumina_internal.run_import(caller oid, wanted int8) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    target lumina.jobs := lumina_internal.job(caller, wanted);
    is_queued bool;
    active int8;
BEGIN
    PERFORM lumina_internal.check_version();
    PERFORM lumina_internal.catalog(caller, c.name, 'import') FROM lumina.catalogs c WHERE c.id = target.catalog;
    BEGIN
        is_queued := lumina_internal.approve_preview(wanted);
    EXCEPTION WHEN unique_violation THEN
        SELECT j.id INTO active FROM lumina.jobs j
            WHERE j.catalog = target.catalog AND j.kind = 'import' AND j.state IN ('queued', 'running');
        RAISE object_in_use USING
            MESSAGE = format('a job of kind import is active in this catalog already: %s',
                coalesce(active::text, 'a new one')),
            HINT = 'Wait for it: CALL lumina.wait_for_job(...).';
    END;
    IF NOT is_queued THEN
        RAISE object_not_in_prerequisite_state USING
            MESSAGE = format('job %s is no preview of an import that is ready', wanted),
            HINT = 'SELECT lumina.import(..., preview => true) makes one; it is ready once everything was looked at.';
    END IF;
    PERFORM lumina_internal.start_worker_at_commit(wanted);
END $$;
REVOKE EXECUTE ON FUNCTION lumina_internal.run_import(oid, int8) FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.run_import(oid, int8) IS 'Internal: run_import for a caller';
CREATE FUNCTION lumina.run_import(job int8) RETURNS void LANGUAGE c AS 'MODULE_PATHNAME', 'as_owner';
COMMENT ON FUNCTION lumina.run_import(int8) IS
    'Imports what a preview has found; what has changed since is analyzed again';

-- What the worker writes, a batch at a time. `outcomes` is a list of what crates/import calls a FileOutcome. Returns
-- how many failed.
CREATE FUNCTION lumina_internal.import_batch(
    of_job int8, of_catalog int8, of_source int8, outcomes jsonb, is_preview bool)
    RETURNS int8
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    -- The image of each place, before.
    before jsonb := (SELECT coalesce(jsonb_object_agg(t.id, f.image), '{}')
        FROM jsonb_array_elements(outcomes) e JOIN lumina.import_items t ON t.id = (e->>'item')::int8
        CROSS JOIN LATERAL (SELECT f.image FROM lumina.image_files f
            WHERE f.path = t.path AND f.catalog + 0 = of_catalog OFFSET 0) f);
    weights float8[] := lumina_internal.score_weights(of_catalog);
    failed int8;
    is_lost bool;
BEGIN
    -- A catalog that grows is a small one to the planner, until it is analyzed: joined by the catalog, each batch would
    -- read all of it. So items are found by their id alone, images by their content, and files by their path, one by
    -- one (OFFSET 0).
    IF NOT is_preview THEN
        INSERT INTO lumina.images (catalog, sha256, size, format, width, height, orientation, truncated, damaged_data,
                captured_at, date_source, date_confidence, camera_make, camera_model, lens_model, focal_length,
                aperture, exposure_time, iso, latitude, longitude, metadata, ahash, dhash, dct, pdq, pdq_quality,
                hash_valid, sharpness, jpeg_quality, originality, detail, fineness, chosen_score)
            SELECT DISTINCT ON (o.sha256) of_catalog, decode(o.sha256, 'hex'), (o.file_status->>'size')::int8, f.format,
                f.width, f.height, f.orientation, f.truncated, coalesce(f.damaged_data, false), f.captured_at,
                f.date_source, f.date_confidence, f.camera_make, f.camera_model, f.lens_model, f.focal_length,
                f.aperture, f.exposure_time, f.iso, f.latitude, f.longitude, f.metadata,
                f.ahash::@extschema@.phash(64), f.dhash::@extschema@.phash(64), f.dct::@extschema@.phash(64),
                f.pdq::@extschema@.phash(256), f.pdq_quality, f.hash_valid, f.sharpness, f.jpeg_quality,
                coalesce(f.originality, 1), f.detail, f.fineness,
                CASE WHEN weights IS NOT NULL THEN lumina_internal.weighted_score(weights,
                    lumina.quality_format(f.format)::float4, lumina.quality_resolution(f.width, f.height)::float4,
                    lumina.quality_size(f.format, (o.file_status->>'size')::int8)::float4,
                    lumina.quality_metadata(f.camera_make, f.camera_model, f.lens_model, f.focal_length, f.aperture,
                        f.exposure_time, f.iso, f.latitude, f.longitude)::float4,
                    lumina.composite_format(f.format, f.jpeg_quality)::float4,
                    lumina.composite_resolution(f.width, f.height)::float4,
                    lumina.composite_size((o.file_status->>'size')::int8, f.width, f.height)::float4,
                    lumina.composite_sharpness(f.sharpness)::float4) END
            FROM jsonb_to_recordset(outcomes) o (item int8, state text, sha256 text, file_status jsonb, facts jsonb),
                jsonb_to_record(o.facts) f (format text, width int4, height int4, orientation int2, truncated bool,
                    damaged_data bool, captured_at timestamptz, date_source text, date_confidence int2,
                    camera_make text, camera_model text, lens_model text, focal_length float4, aperture float4,
                    exposure_time float8, iso int4, latitude float8, longitude float8, metadata jsonb, ahash text,
                    dhash text, dct text, pdq text, pdq_quality int2, hash_valid bool, sharpness float4,
                    jpeg_quality int2, originality int2, detail float4, fineness float4)
            WHERE o.state = 'image' AND jsonb_typeof(o.facts) = 'object'
            ORDER BY o.sha256, o.item
            ON CONFLICT (catalog, sha256) DO NOTHING;
        -- The date of a content is that of the most trusted source of any of its files; of these one that is not
        -- suspicious, then the earliest: whichever of them is read first, or at all in this import.
        UPDATE lumina.images i SET captured_at = d.captured_at, date_source = d.date_source,
                date_confidence = d.date_confidence, metadata = i.metadata - 'has_time' - 'suspicious_date' || d.marks
            FROM (SELECT DISTINCT ON (o.sha256) decode(o.sha256, 'hex') AS sha256, f.*
                FROM jsonb_to_recordset(outcomes) o (state text, sha256 text, date jsonb),
                    jsonb_to_record(o.date) f
                        (captured_at timestamptz, date_source text, date_confidence int2, marks jsonb)
                WHERE o.state = 'image' AND jsonb_typeof(o.date) = 'object'
                ORDER BY o.sha256, f.date_confidence DESC, f.marks ? 'suspicious_date', f.captured_at) d
            CROSS JOIN LATERAL (SELECT i.id FROM lumina.images i
                WHERE i.sha256 = d.sha256 AND i.catalog + 0 = of_catalog
                AND (-d.date_confidence, d.marks ? 'suspicious_date', d.captured_at)
                    < (-coalesce(i.date_confidence, 0), i.metadata ? 'suspicious_date', i.captured_at) OFFSET 0) worse
            WHERE i.id = worse.id;
        -- What was at this place before is another content now, and keeps its row in images.
        INSERT INTO lumina.image_files AS f (catalog, image, path, original_path, source, import_job, size, device,
                inode, modified_at, changed_at)
            SELECT of_catalog, i.id, t.path, t.path, of_source, of_job, s.size, s.device, s.inode,
                lumina_internal.from_micros(s.modified), lumina_internal.from_micros(s.changed)
            FROM jsonb_to_recordset(outcomes) o (item int8, state text, sha256 text, file_status jsonb)
            JOIN lumina.import_items t ON t.id = o.item
            CROSS JOIN LATERAL (SELECT i.id FROM lumina.images i
                WHERE i.sha256 = decode(o.sha256, 'hex') AND i.catalog + 0 = of_catalog OFFSET 0) i
            CROSS JOIN LATERAL jsonb_to_record(o.file_status) s
                (size int8, device int8, inode int8, modified int8, changed int8)
            WHERE o.state = 'image'
            -- In the order of the walk, as far as it goes: which of equal files is the one to keep does not depend on
            -- it.
            ORDER BY o.item
            ON CONFLICT (catalog, path) DO UPDATE SET image = excluded.image, size = excluded.size,
                device = excluded.device, inode = excluded.inode, modified_at = excluded.modified_at,
                changed_at = excluded.changed_at, missing_since = NULL,
                state = CASE WHEN f.image = excluded.image THEN f.state ELSE 'keep' END;
    END IF;
    WITH written AS (UPDATE lumina.import_items t SET
            state = CASE o.state WHEN 'image' THEN CASE WHEN is_preview THEN 'ready' ELSE 'imported' END
                ELSE o.state END::lumina.item_state,
            action = CASE o.state WHEN 'image' THEN 'reference' WHEN 'skipped' THEN 'skip' END::lumina.item_action,
            size = coalesce((o.outcome->'file_status'->>'size')::int8, t.size),
            sha256 = decode(o.outcome->>'sha256', 'hex'),
            -- A content that was there before: at another place, or at this one, where something else of the file has
            -- changed.
            reason = CASE WHEN o.state <> 'image' OR o.facts IS NOT NULL THEN o.outcome->>'reason'
                WHEN (before->>t.id::text)::int8 = i.id THEN 'same_content' ELSE 'copy' END,
            error = o.outcome->>'error',
            image = coalesce(i.id, CASE WHEN o.outcome->>'reason' = 'unchanged' THEN (before->>t.id::text)::int8 END),
            analysis = CASE WHEN is_preview AND o.state = 'image' THEN o.outcome END, changed_at = clock_timestamp()
        FROM (SELECT (e->>'item')::int8 AS item, e->>'state' AS state, nullif(e->'facts', 'null') AS facts, e AS outcome
            FROM jsonb_array_elements(outcomes) e) o
        LEFT JOIN LATERAL (SELECT i.id FROM lumina.images i
            WHERE i.sha256 = decode(o.outcome->>'sha256', 'hex') AND i.catalog + 0 = of_catalog OFFSET 0) i ON true
        WHERE t.id = o.item RETURNING t.state, t.image)
    SELECT count(*) FILTER (WHERE w.state = 'failed'),
            coalesce(bool_or(w.state = 'imported' AND w.image IS NULL), false)
        INTO failed, is_lost FROM written w;
    IF is_lost THEN
        RAISE integrity_constraint_violation USING MESSAGE = 'a file was to be imported whose content nobody has found';
    END IF;
    RETURN failed;
END $$;
REVOKE EXECUTE ON FUNCTION lumina_internal.import_batch(int8, int8, int8, jsonb, bool) FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.import_batch(int8, int8, int8, jsonb, bool) IS
    'Internal: writes what an import has found of some files';

CREATE FUNCTION lumina_internal.from_micros(micros int8) RETURNS timestamptz
    IMMUTABLE STRICT LANGUAGE sql
BEGIN ATOMIC
    -- In two parts: a multiple of an interval is a float8 on its way, with no room for microseconds of far times.
    SELECT '1970-01-01 00:00:00+00'::timestamptz + micros / 1000000 * '1 second'::interval
        + micros % 1000000 * '1 microsecond'::interval;
END;
REVOKE EXECUTE ON FUNCTION lumina_internal.from_micros(int8) FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.from_micros(int8) IS 'Internal: a time that is given in microseconds since 1970';

-- What the files of a directory are beside the photographs of it, once all of them are looked at.
CREATE FUNCTION lumina_internal.finish_import(of_job int8, of_catalog int8, directory text, is_preview bool)
    RETURNS jsonb
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    first_path text := CASE directory WHEN '/' THEN '/' ELSE directory || '/' END COLLATE "C";
    -- '0' is the character after '/'.
    end_path text := CASE directory WHEN '/' THEN '0' ELSE directory || '0' END COLLATE "C";
    missing int8;
    linked int8;
    result jsonb;
BEGIN
    -- The planner knows nothing of paths and checksums, and a new job or catalog is a small one to it: joined freely,
    -- each item would be compared with all of them. So equal contents are found by sorting, and files and items by
    -- their path, one by one (OFFSET 0).
    -- Of the files of a new content the first of the walk brought it, and the others are its copies, whichever is read
    -- first.
    WITH item AS (
        SELECT t.id, t.reason, t.error, min(t.id) FILTER (WHERE t.reason = 'copy') OVER (PARTITION BY t.sha256) AS first
        FROM lumina.import_items t
        WHERE t.job = of_job AND t.state IN ('ready', 'imported') AND t.sha256 IS NOT NULL
    ), late AS (
        SELECT t.first, t.id AS read, t.reason, t.error
        FROM item t WHERE t.id > t.first AND coalesce(t.reason, '') NOT IN ('copy', 'same_content')
    )
    UPDATE lumina.import_items t SET reason = CASE t.id WHEN l.first THEN l.reason ELSE 'copy' END,
            error = CASE t.id WHEN l.first THEN l.error END
        FROM late l WHERE t.id IN (l.first, l.read);
    IF is_preview THEN
        RETURN (SELECT jsonb_build_object('files', count(*),
                'new_files', count(*) FILTER (WHERE t.state = 'ready'
                    AND coalesce(t.reason, '') NOT IN ('copy', 'same_content')),
                'duplicate_files', count(*) FILTER (WHERE t.state = 'ready' AND t.reason = 'copy'),
                'unchanged_files', count(*) FILTER (WHERE t.state = 'skipped' AND t.reason = 'unchanged'),
                'skipped_files', count(*) FILTER (WHERE t.state = 'skipped' AND t.reason <> 'unchanged'),
                'error_files', count(*) FILTER (WHERE t.state = 'failed'),
                'total_size', coalesce(sum(t.size) FILTER (WHERE t.state = 'ready'), 0))
            FROM lumina.import_items t WHERE t.job = of_job);
    END IF;
    -- First those of which nothing says that they are there as they were; then of these, those that are not below what
    -- was not looked into.
    WITH gone AS MATERIALIZED (
        SELECT f.id, f.path FROM lumina.image_files f
        WHERE f.catalog = of_catalog AND (f.path >= first_path AND f.path < end_path OR f.path = directory)
            AND f.missing_since IS NULL
            AND NOT EXISTS (SELECT FROM lumina.import_items t WHERE t.job = of_job AND t.path = f.path
                AND (t.state = 'imported' OR t.reason IN ('unchanged', 'permission_denied', 'io_error', 'out_of_memory',
                    'over_limit', 'changed_while_read', 'not_written', 'internal_error')) OFFSET 0)
    )
    UPDATE lumina.image_files f SET missing_since = now() FROM gone g
        WHERE f.id = g.id
            -- Each directory above it is looked up.
            AND NOT EXISTS (SELECT FROM generate_series(2, cardinality(string_to_array(g.path, '/')) - 1) n
                CROSS JOIN LATERAL (SELECT FROM lumina.import_items t
                    WHERE t.job = of_job AND t.path = array_to_string((string_to_array(g.path, '/'))[:n], '/')
                        AND t.size IS NULL
                        AND (t.state = 'failed' OR t.reason IN ('hidden', 'synology', 'too_deep', 'directory_loop'))
                    OFFSET 0) t OFFSET 0)
            -- What a later import has seen, of a preview that is run late, is not for this one to judge.
            AND NOT EXISTS (SELECT FROM lumina.jobs j JOIN lumina.import_items t ON t.job = j.id AND t.path = g.path
                WHERE j.catalog = of_catalog AND j.kind = 'import' AND j.id > of_job OFFSET 0);
    GET DIAGNOSTICS missing = ROW_COUNT;
    DELETE FROM lumina.sidecars s WHERE s.catalog = of_catalog AND s.path >= first_path AND s.path < end_path
        AND NOT EXISTS (SELECT FROM lumina.jobs j JOIN lumina.import_items t ON t.job = j.id AND t.path = s.path
            WHERE j.catalog = of_catalog AND j.kind = 'import' AND j.id > of_job OFFSET 0);
    -- IMG_1.CR2.xmp goes with IMG_1.CR2 alone; IMG_1.xmp with the raw file before the JPEG, a film with the JPEG before
    -- the raw file. IMG_1_HEVC.MOV, as iCloud calls it, is the film of IMG_1.HEIC where no IMG_1_HEVC.HEIC is there.
    -- Takeout's names (crates/import/src/sidecar.rs): the number is that of the photograph, and a name of 46 characters
    -- is cut.
    INSERT INTO lumina.sidecars (catalog, path, file, kind, size)
        SELECT DISTINCT ON (t.path) of_catalog, t.path, f.id,
            CASE WHEN t.reason = 'video' THEN 'video' WHEN t.path ~* '\.json$' THEN 'metadata' ELSE 'edit' END, t.size
        FROM lumina.import_items t
        CROSS JOIN LATERAL (
            SELECT regexp_replace(t.path, '\.[^./]*$', '') COLLATE "C" AS key, 0 AS turn, false AS is_cut
            UNION ALL SELECT regexp_replace(t.path, '_HEVC\.[^./]*$', '', 'i') COLLATE "C", 1, false
                WHERE t.reason = 'video' AND t.path ~* '_HEVC\.[^./]*$'
            UNION ALL SELECT regexp_replace(t.path, '(\.[^./]+)?(\.s[a-z-]*)?(\(\d+\))?\.json$', '\3\1', 'i')
                    COLLATE "C", 1, false
                WHERE t.reason = 'sidecar' AND t.path ~* '\.json$'
            UNION ALL SELECT regexp_replace(t.path, '\.*(\(\d+\))?\.json$', '', 'i') COLLATE "C", 2, true
                WHERE t.reason = 'sidecar' AND t.path ~* '/[^/]{46}(\(\d+\))?\.json$'
            OFFSET 0) k
        CROSS JOIN LATERAL (
            -- Paths that are this but for their extension are from "key." to before "key/": '/' is the character after
            -- '.'.
            SELECT p.id, p.image, p.path, false AS is_whole FROM lumina.image_files p
                WHERE p.path >= k.key || '.' AND p.path < k.key || '/' AND substr(p.path, length(k.key) + 2) !~ '[./]'
                    AND p.catalog + 0 = of_catalog AND p.missing_since IS NULL
            UNION ALL SELECT p.id, p.image, p.path, true FROM lumina.image_files p
                WHERE p.path = k.key AND p.catalog + 0 = of_catalog AND p.missing_since IS NULL
            UNION ALL SELECT p.id, p.image, p.path, false FROM lumina.image_files p
                WHERE k.is_cut AND p.path > k.key AND p.path < k.key || U&'\+10FFFF'
                    AND substr(p.path, length(k.key) + 1) !~ '/'
                    AND p.catalog + 0 = of_catalog AND p.missing_since IS NULL
            OFFSET 0) f
        CROSS JOIN LATERAL (SELECT i.format FROM lumina.images i WHERE i.id = f.image OFFSET 0) i
        WHERE t.job = of_job AND t.reason IN ('sidecar', 'video') AND f.path >= first_path AND f.path < end_path
        ORDER BY t.path, k.turn, f.is_whole DESC, lumina_internal.is_raw(i.format) = (t.reason = 'sidecar') DESC,
            f.path
        ON CONFLICT (catalog, path) DO NOTHING;
    GET DIAGNOSTICS linked = ROW_COUNT;
    UPDATE lumina.sources SET last_scanned_at = now() WHERE catalog = of_catalog AND path = directory;
    SELECT jsonb_build_object('files', count(*), 'bytes', coalesce(sum(t.size), 0),
            'imported', count(*) FILTER (WHERE t.state = 'imported'),
            'images', count(*) FILTER (WHERE t.state = 'imported'
                AND coalesce(t.reason, '') NOT IN ('copy', 'same_content')),
            'copies', count(*) FILTER (WHERE t.state = 'imported' AND t.reason = 'copy'),
            'unchanged', count(*) FILTER (WHERE t.state = 'skipped' AND t.reason = 'unchanged'),
            'skipped', count(*) FILTER (WHERE t.state = 'skipped' AND t.reason <> 'unchanged'),
            'failed', count(*) FILTER (WHERE t.state = 'failed'), 'missing', missing, 'sidecars', linked)
        INTO result FROM lumina.import_items t WHERE t.job = of_job;
    RETURN result;
END $$;
REVOKE EXECUTE ON FUNCTION lumina_internal.finish_import(int8, int8, text, bool) FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.finish_import(int8, int8, text, bool) IS
    'Internal: links sidecars, marks files that are gone, and counts';

CREATE VIEW lumina.import_jobs_summary WITH (security_invoker = true) AS
SELECT j.id AS job, c.name AS catalog, j.parameters->>'path' AS path, j.state,
    (j.parameters->>'preview')::bool AS preview,
    n.files, n.imported, n.copies, n.ready, n.unchanged, n.skipped, n.failed, n.bytes,
    CASE WHEN j.state = 'succeeded' THEN 100
        ELSE coalesce(round(100.0 * n.bytes_done / nullif(n.bytes, 0), 2), 0) END AS progress_percent,
    round(extract(epoch FROM coalesce(j.ended_at, now()) - j.created_at), 1) AS duration_seconds, j.created_at
FROM lumina.jobs j
JOIN lumina.catalogs c ON c.id = j.catalog
CROSS JOIN LATERAL (
    SELECT count(*) AS files, count(*) FILTER (WHERE t.state = 'imported') AS imported,
        count(*) FILTER (WHERE t.state = 'imported' AND t.reason = 'copy') AS copies,
        count(*) FILTER (WHERE t.state = 'ready') AS ready,
        count(*) FILTER (WHERE t.state = 'skipped' AND t.reason = 'unchanged') AS unchanged,
        count(*) FILTER (WHERE t.state = 'skipped' AND t.reason <> 'unchanged') AS skipped,
        count(*) FILTER (WHERE t.state = 'failed') AS failed, coalesce(sum(t.size), 0) AS bytes,
        coalesce(sum(t.size) FILTER (WHERE t.state <> 'found'), 0) AS bytes_done
    FROM lumina.import_items t WHERE t.job = j.id) n
WHERE j.kind = 'import'
ORDER BY j.id DESC;
GRANT SELECT ON lumina.import_jobs_summary TO PUBLIC;
COMMENT ON VIEW lumina.import_jobs_summary IS
    'One row an import, newest first: how many files, and what became of them';

CREATE VIEW lumina.import_items_detail WITH (security_invoker = true) AS
SELECT t.job, c.name AS catalog, t.path, t.size, t.action, t.state, t.reason, t.error, t.image, i.format, i.width,
    i.height, i.captured_at, i.quality_score,
    (SELECT count(*) FROM lumina.image_files f WHERE f.image = t.image) AS files, t.changed_at
FROM lumina.import_items t
JOIN lumina.catalogs c ON c.id = t.catalog
LEFT JOIN lumina.images i ON i.id = t.image;
GRANT SELECT ON lumina.import_items_detail TO PUBLIC;
COMMENT ON VIEW lumina.import_items_detail IS
    'One row a file that an import has found, with what became of it, why, and its image';
