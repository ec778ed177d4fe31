-- The duplicates of a catalog as a page to look at: the groups with small pictures, and the file to keep marked.
--
-- Pictures are made of the files as they lie there, below the roots of the catalog's owner, and only where a file is
-- still the content that was imported: so that a reader of the catalog sees what is in it, and nothing else.

CREATE FUNCTION lumina_internal.page_summary(of_catalog int8) RETURNS jsonb
    STABLE STRICT LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT jsonb_build_object('catalog', c.name,
        'generated', to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI "UTC"'),
        'rule', coalesce(r.rule, '[]'), 'strategy', coalesce(r.strategy, ''), 'images', coalesce(r.images, 0),
        'groups', count(DISTINCT f.group_id), 'redundant_files', count(f.file), 'savings', coalesce(sum(f.size), 0))
    FROM lumina.catalogs c
    LEFT JOIN lumina.duplicate_runs r ON r.catalog = c.id AND r.is_current
    LEFT JOIN lumina_internal.current_files f ON f.catalog = c.id AND f.file_place > 1
    WHERE c.id = of_catalog
    GROUP BY c.id, r.id;
END;
REVOKE EXECUTE ON FUNCTION lumina_internal.page_summary(int8) FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.page_summary(int8) IS
    'Internal: what a page of duplicates says of the whole catalog';

-- Of a group with very many images only some are shown, those nearest to the one to keep.
CREATE FUNCTION lumina_internal.page_groups(of_catalog int8, first int4, most int4, most_images int4)
    RETURNS SETOF jsonb
    STABLE STRICT LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    WITH images AS (
        SELECT c.group_id, c.image, min(c.place) AS place, min(c.distance) AS distance,
            (array_agg(c.path ORDER BY c.file_place))[1:100] AS files,
            coalesce(sum(c.size) FILTER (WHERE c.file_place > 1), 0) AS savings, count(*) AS count
        FROM lumina_internal.current_files c WHERE c.catalog = of_catalog GROUP BY c.group_id, c.image
    ), groups AS (
        SELECT i.group_id, sum(i.savings) AS savings FROM images i
        GROUP BY i.group_id HAVING sum(i.count) > 1 ORDER BY sum(i.savings) DESC, i.group_id OFFSET first LIMIT most
    ), numbered AS (
        SELECT i.*, row_number() OVER (PARTITION BY i.group_id ORDER BY i.place) AS row,
            count(*) OVER (PARTITION BY i.group_id) AS of
        FROM images i JOIN groups USING (group_id)
    ), shown AS (
        SELECT i.group_id, max(i.of) AS of,
            jsonb_agg(jsonb_build_object('files', i.files, 'more_files', i.count - cardinality(i.files),
                'sha256', encode(x.sha256, 'hex'), 'size', x.size, 'format', x.format,
                'width', x.width, 'height', x.height,
                'raw', lumina_internal.is_raw(x.format), 'truncated', x.truncated,
                -- A file's time says when it was copied, mostly.
                'captured', CASE WHEN x.date_source <> 'file_time'
                    THEN to_char(x.captured_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') END,
                'camera', nullif(concat_ws(' ',
                    CASE WHEN NOT starts_with(x.camera_model, x.camera_make) THEN x.camera_make END,
                    x.camera_model), ''),
                'quality', x.quality_score, 'quality_format', x.quality_format, 'quality_metadata', x.quality_metadata,
                'distance', i.distance,
                'distances', jsonb_build_object('ahash', d.ahash_distance, 'dhash', d.dhash_distance,
                    'dct', d.dct_distance, 'pdq', d.pdq_distance)) ORDER BY i.place) AS images
        FROM numbered i
        JOIN lumina.images x ON x.id = i.image
        JOIN lumina.duplicate_members d ON d.image = i.image AND d.group_id = i.group_id
        WHERE i.row <= most_images
        GROUP BY i.group_id
    )
    SELECT jsonb_build_object('id', g.id, 'kind', g.kind, 'confidence', g.confidence, 'savings', s.savings,
        'images', m.images, 'more_images', greatest(m.of - most_images, 0),
        'also_near', (SELECT coalesce(jsonb_agg(p.path ORDER BY a.place), '[]')
            FROM unnest(g.also_near) WITH ORDINALITY a (image, place)
            CROSS JOIN LATERAL (SELECT q.path FROM lumina.image_files q WHERE q.image = a.image
                ORDER BY coalesce(q.import_job, 0), CASE WHEN q.import_job IS NULL THEN q.id ELSE 0 END,
                    q.path LIMIT 1) p),
        'also_near_more', g.also_near_count - cardinality(g.also_near))
    FROM groups s
    JOIN lumina.duplicate_groups g ON g.id = s.group_id
    JOIN shown m ON m.group_id = s.group_id
    ORDER BY s.savings DESC, g.id;
END;
REVOKE EXECUTE ON FUNCTION lumina_internal.page_groups(int8, int4, int4, int4) FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.page_groups(int8, int4, int4, int4) IS
    'Internal: the groups of a page of duplicates, most bytes first';

CREATE FUNCTION lumina_internal.page(of_catalog int8, roots text, most int4) RETURNS text
    VOLATILE STRICT LANGUAGE c AS 'MODULE_PATHNAME', 'page_of_duplicates';
REVOKE EXECUTE ON FUNCTION lumina_internal.page(int8, text, int4) FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.page(int8, text, int4) IS 'Internal: makes the page of duplicates of a catalog';

CREATE FUNCTION lumina_internal.duplicates_html(caller oid, catalog_name text, max_groups int4) RETURNS text
    VOLATILE LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    wanted int8 := lumina_internal.catalog(caller, catalog_name, 'read');
    owner oid := (SELECT lumina_internal.role_oid(c.owner) FROM lumina.catalogs c WHERE c.id = wanted);
BEGIN
    IF max_groups IS NULL THEN
        RAISE null_value_not_allowed USING MESSAGE = 'max_groups must not be NULL', HINT = 'Leave it out for 500.';
    ELSIF max_groups NOT BETWEEN 1 AND 10000 THEN
        RAISE numeric_value_out_of_range USING MESSAGE = format('max_groups %s is not between 1 and 10000', max_groups),
            HINT = 'The page shows the groups with most bytes to win back.';
    ELSIF current_setting('server_encoding') <> 'UTF8' THEN
        RAISE feature_not_supported USING
            MESSAGE = format('no page is made in a database of encoding %s', current_setting('server_encoding')),
            HINT = 'lumina.duplicates(...) lists the groups.';
    END IF;
    RETURN lumina_internal.page(wanted, lumina_internal.import_roots(owner), max_groups);
END $$;
REVOKE EXECUTE ON FUNCTION lumina_internal.duplicates_html(oid, text, int4) FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.duplicates_html(oid, text, int4) IS 'Internal: duplicates_html for a caller';
CREATE FUNCTION lumina.duplicates_html(catalog text, max_groups int4 DEFAULT 500) RETURNS text
    VOLATILE LANGUAGE c AS 'MODULE_PATHNAME', 'as_owner';
COMMENT ON FUNCTION lumina.duplicates_html(text, int4) IS
    'The duplicates of a catalog as one HTML page with small pictures: what to keep of each group, why, and what '
    'deleting the others wins back';
