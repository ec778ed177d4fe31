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
        'groups', count(g.id), 'redundant_files', coalesce(sum(g.current_files::int8 - 1), 0),
        'savings', coalesce(sum(g.current_savings), 0))
    FROM lumina.catalogs c
    LEFT JOIN lumina.duplicate_runs r ON r.catalog = c.id AND r.is_current
    LEFT JOIN lumina.duplicate_groups g ON g.run = r.id AND g.is_open
    WHERE c.id = of_catalog
    GROUP BY c.id, r.id;
END;
REVOKE EXECUTE ON FUNCTION lumina_internal.page_summary(int8) FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.page_summary(int8) IS
    'Internal: what a page of duplicates says of the whole catalog';

-- Which groups come next on a page, and the place of the last of them, after which it goes on.
CREATE FUNCTION lumina_internal.page_ids(of_catalog int8, order_by text, after text, most int4) RETURNS jsonb
    STABLE LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    ids CONSTANT int8[] := lumina_internal.next_groups(of_catalog, order_by,
        lumina_internal.page_place(order_by, after), most);
BEGIN
    RETURN jsonb_build_object('ids', to_jsonb(ids), 'cursor', (SELECT lumina_internal.page_cursor(order_by, g)
        FROM lumina.duplicate_groups g WHERE g.id = ids[cardinality(ids)]));
END $$;
REVOKE EXECUTE ON FUNCTION lumina_internal.page_ids(int8, text, text, int4) FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.page_ids(int8, text, text, int4) IS
    'Internal: the next groups of a page of duplicates';

-- Of a group with very many images only some are shown, those nearest to the one to keep; no more than 300 files are
-- read.
CREATE FUNCTION lumina_internal.page_groups(ids int8[], most_images int4) RETURNS SETOF jsonb
    STABLE STRICT LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    SET jit = off SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET enable_sort = off
BEGIN ATOMIC
    SELECT jsonb_build_object('id', g.id, 'kind', g.kind, 'confidence', g.confidence,
        'savings', CASE WHEN m.files < 300 THEN m.savings ELSE g.current_savings END, 'images', m.images,
        'more_images', CASE WHEN m.files < 300 THEN m.count ELSE greatest(m.count, g.current_images) END
            - least(m.count, most_images),
        'also_near', (SELECT coalesce(jsonb_agg(a.path ORDER BY a.place), '[]')
            FROM lumina_internal.paths_of(g.also_near) a),
        'also_near_more', g.also_near_count - cardinality(g.also_near))
    FROM (SELECT l.* FROM lumina.duplicate_groups d CROSS JOIN LATERAL lumina_internal.file_lists(d.catalog) l
        WHERE d.id = ids[1] OFFSET 0) lists
    CROSS JOIN unnest(ids) WITH ORDINALITY AS p (id, place)
    CROSS JOIN LATERAL (SELECT * FROM lumina.duplicate_groups d WHERE d.id = p.id OFFSET 0) g
    CROSS JOIN LATERAL (
        SELECT sum(i.savings) AS savings, sum(i.files_count) AS files, count(*) AS count,
            jsonb_agg(x.shown ORDER BY i.place) FILTER (WHERE x.shown IS NOT NULL) AS images
        FROM (SELECT f.image, min(f.place) AS place, min(f.distance) AS distance,
                (array_agg(f.path ORDER BY f.file_place))[1:100] AS files, count(*) AS files_count,
                coalesce(sum(f.size) FILTER (WHERE f.file_place > 1), 0) AS savings,
                row_number() OVER (ORDER BY min(f.place)) AS row
            FROM (SELECT * FROM lumina_internal.group_files(p.id, lists.preferred, lists.protected) LIMIT 300) f
            GROUP BY f.image) i
        LEFT JOIN LATERAL (SELECT jsonb_build_object(
                'files', i.files, 'more_files', i.files_count - cardinality(i.files),
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
                    'dct', d.dct_distance, 'pdq', d.pdq_distance)) AS shown
            FROM lumina.images x
            CROSS JOIN LATERAL (SELECT * FROM lumina.duplicate_members d
                WHERE d.image = x.id AND d.group_id = p.id OFFSET 0) d
            WHERE x.id = i.image AND i.row <= most_images OFFSET 0) x ON true
        OFFSET 0) m
    WHERE m.files > 1
    ORDER BY p.place;
END;
REVOKE EXECUTE ON FUNCTION lumina_internal.page_groups(int8[], int4) FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.page_groups(int8[], int4) IS
    'Internal: groups as a page of duplicates shows them; those of which nothing is left are left out';

CREATE FUNCTION lumina_internal.page(of_catalog int8, roots text, most int4, order_by text, after text) RETURNS text
    VOLATILE STRICT LANGUAGE c AS 'MODULE_PATHNAME', 'page_of_duplicates';
REVOKE EXECUTE ON FUNCTION lumina_internal.page(int8, text, int4, text, text) FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.page(int8, text, int4, text, text) IS
    'Internal: makes the page of duplicates of a catalog; after is empty for the first one';

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
            MESSAGE = format('no page is made in a database of encoding %s', current_setting('server_encoding')),
            HINT = 'lumina.duplicates(...) lists the groups.';
    END IF;
    PERFORM lumina_internal.page_place(order_by, after);
    RETURN lumina_internal.page(wanted, lumina_internal.import_roots(owner), max_groups, order_by, coalesce(after, ''));
END $$;
REVOKE EXECUTE ON FUNCTION lumina_internal.duplicates_html(oid, text, int4, text, text) FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.duplicates_html(oid, text, int4, text, text) IS
    'Internal: duplicates_html for a caller';
CREATE FUNCTION lumina.duplicates_html(catalog text, max_groups int4 DEFAULT 500, order_by text DEFAULT 'savings',
        after text DEFAULT NULL) RETURNS text
    VOLATILE LANGUAGE c AS 'MODULE_PATHNAME', 'as_owner';
COMMENT ON FUNCTION lumina.duplicates_html(text, int4, text, text) IS
    'The duplicates of a catalog as one HTML page with small pictures: what to keep of each group, why, and what '
    'deleting the others wins back';
