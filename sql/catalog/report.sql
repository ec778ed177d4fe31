-- The report of duplicates, one HTML page: the groups with small pictures, and the file to keep marked; some of the
-- bursts, and what was decided. All of it is bounded, and looked up by indexes.
--
-- Pictures are made of the files as they lie there, below the roots of the catalog's owner, and only where a file is
-- still the content that was imported: so that a reader of the catalog sees what is in it, and nothing else.

CREATE FUNCTION lumina_internal.camera_name(make text, model text) RETURNS text
    IMMUTABLE LANGUAGE sql
RETURN nullif(concat_ws(' ', CASE WHEN starts_with(model, make) THEN NULL ELSE make END, model), '');
REVOKE EXECUTE ON FUNCTION lumina_internal.camera_name(text, text) FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.camera_name(text, text) IS 'Internal: make and model of a camera as one name';

CREATE FUNCTION lumina_internal.report_summary(of_catalog int8) RETURNS jsonb
    STABLE STRICT LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT jsonb_build_object('catalog', c.name,
        'generated', to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI "UTC"'),
        'rule', coalesce(r.rule, '[]'), 'strategy', coalesce(r.strategy, ''), 'images', coalesce(r.images, 0),
        'weights', lumina_internal.score_weights(c.id), 'groups', g.groups, 'redundant_files', g.redundant_files,
        'savings', g.savings)
    FROM lumina.catalogs c
    LEFT JOIN lumina.duplicate_runs r ON r.catalog = c.id AND r.is_current
    CROSS JOIN LATERAL (SELECT count(*) AS groups, coalesce(sum(g.current_redundant::int8), 0) AS redundant_files,
            coalesce(sum(g.current_savings), 0) AS savings
        FROM lumina.duplicate_groups g WHERE g.run = r.id AND g.catalog = c.id AND g.is_open) g
    WHERE c.id = of_catalog;
END;
REVOKE EXECUTE ON FUNCTION lumina_internal.report_summary(int8) FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.report_summary(int8) IS
    'Internal: what the report says of the whole catalog';

-- How many bursts there are, and the newest of those whose best image is there and not rejected.
CREATE FUNCTION lumina_internal.report_bursts(of_catalog int8, most int4) RETURNS jsonb
    STABLE STRICT LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    SET jit = off SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
    SET enable_bitmapscan = off SET enable_sort = off
BEGIN ATOMIC
    SELECT jsonb_build_object(
        'total', (SELECT count(*) FROM lumina.bursts b WHERE b.catalog = of_catalog),
        'shown', (SELECT coalesce(jsonb_agg(jsonb_build_object('id', b.id, 'frames', b.frames, 'shots', b.shots,
                'started', to_char(b.started_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS'),
                'camera', lumina_internal.camera_name(b.camera_make, b.camera_model), 'is_suspect', b.suspect,
                'best', p.path, 'sha256', encode(b.sha256, 'hex')) ORDER BY b.started_at DESC, b.id), '[]')
            FROM (SELECT n.*, i.sha256
                FROM (SELECT * FROM lumina.bursts b WHERE b.catalog = of_catalog
                    ORDER BY b.started_at DESC, b.id LIMIT 50) n
                CROSS JOIN LATERAL (SELECT i.sha256 FROM lumina.images i
                    WHERE i.id = n.best_image AND i.status <> 'rejected' OFFSET 0) i
                ORDER BY n.started_at DESC, n.id LIMIT most) b
            LEFT JOIN LATERAL (SELECT q.path FROM lumina.image_files q
                WHERE q.image = b.best_image AND q.state = 'keep' AND q.missing_since IS NULL
                ORDER BY coalesce(q.import_job, 0), CASE WHEN q.import_job IS NULL THEN q.id ELSE 0 END, q.path
                LIMIT 1) p ON true));
END;
REVOKE EXECUTE ON FUNCTION lumina_internal.report_bursts(int8, int4) FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.report_bursts(int8, int4) IS
    'Internal: the bursts of a catalog as the report shows them';

-- What was decided, of the latest 100,000 actions. An action that was undone does not stand.
CREATE FUNCTION lumina_internal.report_decisions(of_catalog int8, most int4) RETURNS jsonb
    STABLE STRICT LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    SET jit = off SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off
BEGIN ATOMIC
    WITH latest AS MATERIALIZED (
        SELECT a.id, a.kind, a.images, a.files, a.undo_of FROM lumina.duplicate_actions a WHERE a.catalog = of_catalog
        ORDER BY a.id DESC LIMIT 100000
    )
    SELECT jsonb_build_object('standing', s.standing, 'images_rejected', s.images, 'files_rejected', s.files,
        'is_at_least', (SELECT count(*) FROM latest) = 100000,
        'last', (SELECT coalesce(jsonb_agg(jsonb_build_object('id', a.id, 'kind', a.kind, 'group', a.group_id,
                'actor', a.actor::text, 'at', to_char(a.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI "UTC"'),
                'images', a.images, 'files', a.files, 'undo_of', a.undo_of,
                'undone_by', (SELECT u.id FROM lumina.duplicate_actions u WHERE u.undo_of = a.id)) ORDER BY a.id DESC),
                '[]')
            FROM (SELECT * FROM lumina.duplicate_actions a WHERE a.catalog = of_catalog
                ORDER BY a.id DESC LIMIT most) a))
    FROM (SELECT count(*) AS standing,
            coalesce(sum(l.images) FILTER (WHERE l.kind IN ('keep_best', 'keep_best_in_all', 'resolve')), 0) AS images,
            coalesce(sum(l.files) FILTER (WHERE l.kind IN ('keep_best', 'keep_best_in_all', 'resolve')), 0) AS files
        FROM latest l LEFT JOIN latest u ON u.undo_of = l.id
        WHERE l.kind <> 'undo' AND u.id IS NULL) s;
END;
REVOKE EXECUTE ON FUNCTION lumina_internal.report_decisions(int8, int4) FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.report_decisions(int8, int4) IS
    'Internal: the decisions of a catalog as the report shows them';

-- Which groups come next in the report, and the place of the last of them, after which it goes on.
CREATE FUNCTION lumina_internal.report_ids(of_catalog int8, order_by text, after text, most int4) RETURNS jsonb
    STABLE LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    ids CONSTANT int8[] := lumina_internal.next_groups(of_catalog, order_by,
        lumina_internal.page_place(order_by, after), most);
BEGIN
    RETURN jsonb_build_object('ids', to_jsonb(ids), 'cursor', (SELECT lumina_internal.page_cursor(order_by, g)
        FROM lumina.duplicate_groups g WHERE g.id = ids[cardinality(ids)]));
END $$;
REVOKE EXECUTE ON FUNCTION lumina_internal.report_ids(int8, text, text, int4) FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.report_ids(int8, text, text, int4) IS
    'Internal: the next groups of the report';

-- The frame of a burst that an image is, if it is one.
CREATE FUNCTION lumina_internal.report_frame(of_image int8) RETURNS jsonb
    STABLE LANGUAGE sql
BEGIN ATOMIC
    SELECT jsonb_build_object('burst', b.id, 'frames', b.frames, 'position', f.position, 'shot', f.shot,
        'is_best', coalesce(b.best_image = of_image, false))
    FROM (SELECT * FROM lumina.burst_frames f WHERE f.image = of_image OFFSET 0) f
    CROSS JOIN LATERAL (SELECT * FROM lumina.bursts b WHERE b.id = f.burst OFFSET 0) b;
END;
REVOKE EXECUTE ON FUNCTION lumina_internal.report_frame(int8) FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.report_frame(int8) IS 'Internal: the frame of a burst that an image is';

-- Of a group with very many images only some are shown, those nearest to the one to keep; no more than 300 files are
-- read. Of images and of the files of the one to keep there is all that preference decides by: which is why one is kept
-- (crates/report/src/why.rs).
CREATE FUNCTION lumina_internal.report_groups(ids int8[], most_images int4) RETURNS SETOF jsonb
    STABLE STRICT LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    SET jit = off SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET enable_sort = off
BEGIN ATOMIC
    SELECT jsonb_build_object('id', g.id, 'kind', g.kind, 'confidence', g.confidence,
        'savings', CASE WHEN m.files < 300 THEN m.savings ELSE g.current_savings END, 'images', m.images,
        'more_images', CASE WHEN m.files < 300 THEN m.count ELSE greatest(m.count, g.current_images) END
            - least(m.count, most_images),
        'also_near', (SELECT coalesce(jsonb_agg(jsonb_build_object('path', a.path, 'action', x.action,
                'burst', x.burst) ORDER BY a.place), '[]')
            FROM lumina_internal.paths_of(g.also_near) a
            CROSS JOIN LATERAL lumina_internal.apart_from(g.also_near[a.place], g.id) x),
        'also_near_more', g.also_near_count - cardinality(g.also_near))
    FROM (SELECT l.* FROM lumina.duplicate_groups d CROSS JOIN LATERAL lumina_internal.file_lists(d.catalog) l
        WHERE d.id = ids[1] OFFSET 0) lists
    CROSS JOIN unnest(ids) WITH ORDINALITY AS p (id, place)
    CROSS JOIN LATERAL (SELECT * FROM lumina.duplicate_groups d WHERE d.id = p.id OFFSET 0) g
    CROSS JOIN LATERAL (
        SELECT sum(i.savings) AS savings, sum(i.redundant) AS redundant, sum(i.files_count) AS files, count(*) AS count,
            jsonb_agg(x.shown ORDER BY i.place) FILTER (WHERE x.shown IS NOT NULL) AS images
        FROM (SELECT f.image, min(f.place) AS place, min(f.distance) AS distance,
                (array_agg(f.path ORDER BY f.file_place))[1:100] AS files,
                (array_agg(f.is_protected ORDER BY f.file_place))[1:100] AS protected,
                (array_agg(f.file ORDER BY f.file_place))[1:100] AS ids, count(*) AS files_count,
                coalesce(sum(f.size) FILTER (WHERE f.is_redundant), 0) AS savings,
                count(*) FILTER (WHERE f.is_redundant) AS redundant, bool_or(f.is_wanted) AS has_wanted,
                row_number() OVER (ORDER BY min(f.place)) AS row
            FROM (SELECT * FROM lumina_internal.group_files(p.id, lists.preferred, lists.protected) LIMIT 300) f
            GROUP BY f.image) i
        LEFT JOIN LATERAL (SELECT jsonb_build_object(
                'place', i.place, 'files', i.files, 'protected', i.protected,
                'more_files', i.files_count - cardinality(i.files),
                -- Of files that somebody has decided to keep, the order says nothing.
                'origins', CASE WHEN i.row = 1 AND i.files_count > 1 AND NOT i.has_wanted THEN (
                    SELECT jsonb_agg(jsonb_build_array(lumina_internal.folder_rank(lists.preferred, o.path),
                            coalesce(o.import_job, 0), CASE WHEN o.import_job IS NULL THEN o.id ELSE 0 END)
                        ORDER BY n.place)
                    FROM unnest(i.ids) WITH ORDINALITY n (id, place)
                    CROSS JOIN LATERAL (SELECT * FROM lumina.image_files o WHERE o.id = n.id OFFSET 0) o) END,
                'sha256', encode(x.sha256, 'hex'), 'size', x.size, 'format', x.format,
                'width', x.width, 'height', x.height,
                'raw', lumina_internal.is_raw(x.format), 'damaged', x.truncated OR x.damaged_data,
                -- A file's time says when it was copied, mostly.
                'captured', CASE WHEN x.date_source <> 'file_time'
                    THEN to_char(x.captured_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') END,
                'camera', lumina_internal.camera_name(x.camera_make, x.camera_model),
                -- As a search for duplicates reads them.
                'time', (date_part('epoch',
                    lumina_internal.known_time(x.captured_at, x.date_confidence)) * 1000000)::int8,
                'score', (x.ranking_score * 100)::int4,
                'quality', ARRAY[x.quality_format, x.quality_resolution, x.quality_size, x.quality_metadata],
                'composite', ARRAY[x.composite_format, x.composite_resolution, x.composite_size,
                    x.composite_sharpness],
                'originality', x.originality, 'detail', x.detail, 'fineness', x.fineness,
                'folder', w.folder, 'is_protected', w.is_protected, 'burst', lumina_internal.report_frame(x.id),
                'distance', i.distance,
                'distances', jsonb_build_object('ahash', d.ahash_distance, 'dhash', d.dhash_distance,
                    'dct', d.dct_distance, 'pdq', d.pdq_distance)) AS shown
            FROM lumina.images x
            CROSS JOIN LATERAL (SELECT * FROM lumina.duplicate_members d
                WHERE d.image = x.id AND d.group_id = p.id OFFSET 0) d
            -- Another name of a file counts as well. Most catalogs have neither list: then no file is read.
            CROSS JOIN LATERAL (SELECT min(lumina_internal.folder_rank(lists.preferred, q.path)) AS folder,
                    coalesce(bool_or(lumina_internal.is_below(lists.protected, q.path)), false) AS is_protected
                FROM lumina.image_files q
                WHERE coalesce(lists.preferred, lists.protected) IS NOT NULL
                    AND q.image = x.id AND q.state = 'keep' AND q.missing_since IS NULL OFFSET 0) w
            WHERE x.id = i.image AND i.row <= most_images OFFSET 0) x ON true
        OFFSET 0) m
    WHERE m.redundant > 0 OR m.files >= 300
    ORDER BY p.place;
END;
REVOKE EXECUTE ON FUNCTION lumina_internal.report_groups(int8[], int4) FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.report_groups(int8[], int4) IS
    'Internal: groups as the report shows them; those of which nothing is left are left out';

CREATE FUNCTION lumina_internal.report(of_catalog int8, roots text, most int4, order_by text, after text) RETURNS text
    VOLATILE STRICT LANGUAGE c AS 'MODULE_PATHNAME', 'duplicates_report';
REVOKE EXECUTE ON FUNCTION lumina_internal.report(int8, text, int4, text, text) FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.report(int8, text, int4, text, text) IS
    'Internal: makes the report of the duplicates of a catalog; after is empty for the first page of groups';

CREATE FUNCTION lumina_internal.duplicates_html(
    caller oid, catalog_name text, max_groups int4, order_by text, after text) RETURNS text
    VOLATILE LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    wanted int8 := lumina_internal.catalog(caller, catalog_name, 'read');
    owner oid := (SELECT lumina_internal.role_oid(c.owner) FROM lumina.catalogs c WHERE c.id = wanted);
BEGIN
    IF max_groups IS NULL THEN
        RAISE null_value_not_allowed USING MESSAGE = 'max_groups must not be NULL', HINT = 'Leave it out for 500.';
    ELSIF max_groups NOT BETWEEN 1 AND 10000 THEN
        RAISE numeric_value_out_of_range USING MESSAGE = format('max_groups %s is not between 1 and 10000', max_groups),
            HINT = 'Further groups are on further pages: order_by, and after => a "cursor" of lumina.duplicates(...).';
    ELSIF current_setting('server_encoding') <> 'UTF8' THEN
        RAISE feature_not_supported USING
            MESSAGE = format('no report is made in a database of encoding %s', current_setting('server_encoding')),
            HINT = 'lumina.duplicates(...) lists the groups.';
    END IF;
    PERFORM lumina_internal.page_place(order_by, after);
    RETURN lumina_internal.report(wanted, lumina_internal.import_roots(owner), max_groups, order_by,
        coalesce(after, ''));
END $$;
REVOKE EXECUTE ON FUNCTION lumina_internal.duplicates_html(oid, text, int4, text, text) FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.duplicates_html(oid, text, int4, text, text) IS
    'Internal: duplicates_html for a caller';
CREATE FUNCTION lumina.duplicates_html(catalog text, max_groups int4 DEFAULT 500, order_by text DEFAULT 'savings',
        after text DEFAULT NULL) RETURNS text
    VOLATILE LANGUAGE c AS 'MODULE_PATHNAME', 'as_owner';
COMMENT ON FUNCTION lumina.duplicates_html(text, int4, text, text) IS
    'The duplicates of a catalog as one HTML page with small pictures: what to keep of each group, why, and what '
    'deleting the others wins back; some of the bursts, and what was decided';
