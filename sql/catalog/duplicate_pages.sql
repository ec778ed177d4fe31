-- The groups of a catalog page by page, and the columns of lumina.duplicate_groups that make it fast.
--
-- A page is read by an index in the order of its groups. What the order is by is written with a group and never
-- changes, so that a group that stays is on one page, whatever is decided meanwhile. What is left of a group is in
-- current_images, current_redundant and current_savings, which triggers keep: groups of which nothing redundant is left
-- are in no index of these. What redundant is: see current_files. A group in which a run and a decision have met may
-- say that more is left than is: pages leave it out all the same, since they read its files. Where an import has met
-- the end of a run, it may say that less is left, by the files that are new.

-- Read forwards or backwards. Each index costs every run, so that three orders have one, whose parts they merge.
CREATE INDEX duplicate_groups_savings ON lumina.duplicate_groups (catalog, kind, confidence, savings, id) WHERE is_open;
CREATE INDEX duplicate_groups_date ON lumina.duplicate_groups (catalog, captured_at, id) WHERE is_open;
CREATE INDEX duplicate_groups_folder ON lumina.duplicate_groups (catalog, folder, id) WHERE is_open;

-- The files of a group that are there, the one to keep first: see current_files. Not STRICT, without SET: so it is
-- inlined. Each OFFSET 0 keeps its look-up by an index, whatever the planner believes.
CREATE FUNCTION lumina_internal.group_files(of_group int8, preferred bytea, protected bytea)
    RETURNS TABLE (file_place int8, image int8, place int4, distance int2, status lumina.image_status, size int8,
        file int8, path text, place_in_image int8, is_protected bool, is_wanted bool, is_spare bool, keeps_image bool,
        is_redundant bool)
    STABLE LANGUAGE sql
BEGIN ATOMIC
    SELECT f.file_place, f.image, f.place, f.distance, f.status, f.size, f.file, f.path, f.nth, f.is_protected,
        f.is_wanted, f.is_spare, f.keeps_image, f.is_spare OR NOT (f.image_place = 1 OR f.keeps_image)
    FROM (SELECT row_number() OVER (ORDER BY m.place, f.nth) AS file_place, m.image, m.place, m.distance, i.status,
            i.size, f.file, f.path, f.nth, f.is_protected, f.is_wanted,
            f.nth > 1 AND NOT f.is_protected AND NOT f.is_wanted AS is_spare,
            i.keeps_image, dense_rank() OVER (ORDER BY m.place) AS image_place
        FROM lumina.duplicate_members m
        CROSS JOIN LATERAL (SELECT i.size, i.status,
                protected IS NOT NULL AND EXISTS (SELECT FROM lumina.image_files o WHERE o.image = m.image
                    AND o.state = 'keep' AND lumina_internal.is_below(protected, o.path)) AS keeps_image
            FROM lumina.images i WHERE i.id = m.image AND i.status <> 'rejected' OFFSET 0) i
        CROSS JOIN LATERAL (SELECT f.*, row_number() OVER
                (ORDER BY f.folder, NOT f.is_protected, NOT f.is_wanted, f.import_job, f.number,
                    f.path COLLATE "C") AS nth
            FROM lumina_internal.files_there(m.image, preferred, protected) f OFFSET 0) f
        WHERE m.group_id = of_group) f;
END;
REVOKE EXECUTE ON FUNCTION lumina_internal.group_files(int8, bytea, bytea) FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.group_files(int8, bytea, bytea) IS
    'Internal: the files of a group that are there, the one to keep first';

-- Preferred folders and protected sources of a catalog, each NULL where there are none.
CREATE FUNCTION lumina_internal.file_lists(of_catalog int8, OUT preferred bytea, OUT protected bytea)
    STABLE LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    SELECT lumina_internal.folder_list(c.settings->'preferred_folders'),
            -- In most catalogs none is.
            CASE WHEN EXISTS (SELECT FROM lumina.sources s WHERE s.catalog = c.id AND s.protected)
                THEN lumina_internal.protected_folders(c.id) END
        INTO preferred, protected FROM lumina.catalogs c WHERE c.id = of_catalog;
END $$;
REVOKE EXECUTE ON FUNCTION lumina_internal.file_lists(int8) FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.file_lists(int8) IS
    'Internal: preferred folders and protected sources of a catalog, as group_files reads them';

-- A path of each of some images.
CREATE FUNCTION lumina_internal.paths_of(images int8[]) RETURNS TABLE (place int8, path text)
    STABLE LANGUAGE sql
BEGIN ATOMIC
    SELECT a.place, p.path
    FROM unnest(images) WITH ORDINALITY a (image, place)
    CROSS JOIN LATERAL (SELECT q.path FROM lumina.image_files q WHERE q.image = a.image
        ORDER BY coalesce(q.import_job, 0), CASE WHEN q.import_job IS NULL THEN q.id ELSE 0 END, q.path LIMIT 1) p;
END;
REVOKE EXECUTE ON FUNCTION lumina_internal.paths_of(int8[]) FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.paths_of(int8[]) IS 'Internal: a path of each of some images';

CREATE FUNCTION lumina_internal.and_more(further int4) RETURNS text[]
    STABLE LANGUAGE sql -- as format is: so it is inlined
RETURN CASE WHEN further > 0 THEN ARRAY[format('... and %s more', further)] ELSE '{}' END;
REVOKE EXECUTE ON FUNCTION lumina_internal.and_more(int4) FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.and_more(int4) IS 'Internal: says that a list goes on';

-- Counts what is left of groups. The groups are locked before they are counted, in the order of their ids: what
-- another transaction has changed of a group is committed by then, and counted. As each statement takes a snapshot of
-- its own, the function is VOLATILE.
CREATE FUNCTION lumina_internal.refresh_groups(groups int8[]) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    -- A plan depends on no number of groups; planning one takes longer than counting a group.
    SET plan_cache_mode = force_generic_plan
    SET jit = off SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
    ordered CONSTANT int8[] := ARRAY(SELECT DISTINCT n FROM unnest(groups) n ORDER BY n);
    of_catalog int8;
    lists record;
BEGIN
    IF cardinality(ordered) >= lumina_internal.many_groups() THEN
        PERFORM lumina_internal.refresh_many_groups(ordered);
        RETURN;
    END IF;
    PERFORM FROM unnest(ordered) AS n CROSS JOIN LATERAL (SELECT FROM lumina.duplicate_groups g
        WHERE g.id = n OFFSET 0 FOR NO KEY UPDATE) g;
    FOR of_catalog IN SELECT DISTINCT g.catalog FROM unnest(ordered) AS n
            CROSS JOIN LATERAL (SELECT g.catalog FROM lumina.duplicate_groups g WHERE g.id = n OFFSET 0) g LOOP
        lists := lumina_internal.file_lists(of_catalog);
        UPDATE lumina.duplicate_groups g
        SET current_images = l.images, current_redundant = l.redundant, current_savings = l.savings
        FROM (SELECT n AS id, f.* FROM unnest(ordered) AS n CROSS JOIN LATERAL (
            SELECT count(DISTINCT f.image)::int4 AS images,
                (count(*) FILTER (WHERE f.is_redundant))::int4 AS redundant,
                coalesce(sum(f.size) FILTER (WHERE f.is_redundant), 0)::int8 AS savings
            FROM lumina_internal.group_files(n, lists.preferred, lists.protected) f OFFSET 0) f) l
        WHERE g.id = l.id AND g.catalog = of_catalog
            AND (g.current_images, g.current_redundant, g.current_savings)
                IS DISTINCT FROM (l.images, l.redundant, l.savings);
    END LOOP;
END $$;
REVOKE EXECUTE ON FUNCTION lumina_internal.refresh_groups(int8[]) FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.refresh_groups(int8[]) IS 'Internal: counts what is left of groups';

CREATE FUNCTION lumina_internal.refresh_groups_of(images int8[]) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    SET plan_cache_mode = force_generic_plan SET enable_seqscan = off AS $$
DECLARE
    groups int8[];
BEGIN
    -- A group that was decided is hidden: it is counted when that is taken back.
    IF cardinality(images) >= lumina_internal.many_groups() THEN
        groups := lumina_internal.groups_of_many(images);
    ELSE
        groups := ARRAY(SELECT g.id FROM unnest(images) AS n
            CROSS JOIN LATERAL (SELECT m.group_id FROM lumina.duplicate_members m WHERE m.image = n OFFSET 0) m
            CROSS JOIN LATERAL (SELECT g.id FROM lumina.duplicate_groups g
                WHERE g.id = m.group_id AND g.decision IS NULL OFFSET 0) g);
    END IF;
    IF groups <> '{}' THEN
        PERFORM lumina_internal.refresh_groups(groups);
    END IF;
END $$;
REVOKE EXECUTE ON FUNCTION lumina_internal.refresh_groups_of(int8[]) FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.refresh_groups_of(int8[]) IS
    'Internal: counts what is left of the groups in which images are';

-- Once a statement, and not once a row: all groups may be resolved by one. Two lists of the same rows are joined, of
-- which the planner knows the size in the first calls alone: never by a loop in a loop.
CREATE FUNCTION lumina_internal.refresh_groups_of_images() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    SET enable_nestloop = off AS $$
DECLARE
    images CONSTANT int8[] := ARRAY(SELECT b.id FROM rows_before b JOIN rows_after a ON a.id = b.id
        WHERE (a.status = 'rejected') <> (b.status = 'rejected') OR a.size <> b.size);
BEGIN
    IF images <> '{}' THEN
        PERFORM lumina_internal.refresh_groups_of(images);
    END IF;
    RETURN NULL;
END $$;
REVOKE EXECUTE ON FUNCTION lumina_internal.refresh_groups_of_images() FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.refresh_groups_of_images() IS
    'Internal: counts what is left of groups where the status of images has changed';
CREATE TRIGGER refresh_groups AFTER UPDATE ON lumina.images
    REFERENCING OLD TABLE AS rows_before NEW TABLE AS rows_after
    FOR EACH STATEMENT EXECUTE FUNCTION lumina_internal.refresh_groups_of_images();

CREATE FUNCTION lumina_internal.refresh_groups_of_files() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    SET enable_nestloop = off AS $$
DECLARE
    images int8[];
BEGIN
    IF TG_OP = 'INSERT' THEN
        images := ARRAY(SELECT a.image FROM rows_after a);
    ELSE
        images := ARRAY(SELECT unnest(ARRAY[a.image, b.image]) FROM rows_before b JOIN rows_after a ON a.id = b.id
            WHERE (a.image, a.state, a.missing_since IS NULL, a.device, a.inode, a.path)
                IS DISTINCT FROM (b.image, b.state, b.missing_since IS NULL, b.device, b.inode, b.path));
    END IF;
    IF images <> '{}' THEN
        PERFORM lumina_internal.refresh_groups_of(images);
    END IF;
    RETURN NULL;
END $$;
REVOKE EXECUTE ON FUNCTION lumina_internal.refresh_groups_of_files() FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.refresh_groups_of_files() IS
    'Internal: counts what is left of groups where files have come, are gone or are back';
CREATE TRIGGER refresh_groups_inserted AFTER INSERT ON lumina.image_files REFERENCING NEW TABLE AS rows_after
    FOR EACH STATEMENT EXECUTE FUNCTION lumina_internal.refresh_groups_of_files();
CREATE TRIGGER refresh_groups_updated AFTER UPDATE ON lumina.image_files
    REFERENCING OLD TABLE AS rows_before NEW TABLE AS rows_after
    FOR EACH STATEMENT EXECUTE FUNCTION lumina_internal.refresh_groups_of_files();

-- Files that somebody has decided to keep are not redundant beside others of their image.
CREATE FUNCTION lumina_internal.refresh_groups_of_wanted() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM lumina_internal.refresh_groups_of(ARRAY(SELECT DISTINCT f.image FROM changed d
        CROSS JOIN LATERAL (SELECT f.image FROM lumina.image_files f WHERE f.id = d.file OFFSET 0) f));
    RETURN NULL;
END $$;
REVOKE EXECUTE ON FUNCTION lumina_internal.refresh_groups_of_wanted() FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.refresh_groups_of_wanted() IS
    'Internal: counts what is left of groups where files are wanted, or no longer';
CREATE TRIGGER refresh_groups_inserted AFTER INSERT ON lumina.distinct_files REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION lumina_internal.refresh_groups_of_wanted();
CREATE TRIGGER refresh_groups_deleted AFTER DELETE ON lumina.distinct_files REFERENCING OLD TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION lumina_internal.refresh_groups_of_wanted();

-- Counts what is left of the groups with files below some folders: what is redundant of them has changed. The catalog
-- is locked: no decision reads lists of folders that change at the same moment.
CREATE FUNCTION lumina_internal.refresh_groups_below(of_catalog int8, folders text[]) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    SET jit = off SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
    -- A source may be one file.
    images CONSTANT int8[] := ARRAY(SELECT DISTINCT f.image
        FROM (SELECT DISTINCT rtrim(n, '/') AS path FROM unnest(folders) n) s
        CROSS JOIN LATERAL (SELECT f.image FROM lumina.image_files f WHERE f.path = s.path AND f.catalog = of_catalog
            UNION ALL SELECT f.image FROM lumina.image_files f
                WHERE f.path > s.path || '/' AND f.path < s.path || '0' AND f.catalog = of_catalog) f);
BEGIN
    PERFORM lumina_internal.refresh_groups_of(images);
END $$;
REVOKE EXECUTE ON FUNCTION lumina_internal.refresh_groups_below(int8, text[]) FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.refresh_groups_below(int8, text[]) IS
    'Internal: counts what is left of the groups with files below some folders';

-- Which file of an image is first depends on preferred folders, and so whether that is one more beside files that are
-- protected or wanted.
CREATE FUNCTION lumina_internal.refresh_groups_of_lists() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF TG_TABLE_NAME = 'sources' THEN
        -- Written, and not locked alone: a decision whose snapshot is older is refused then.
        UPDATE lumina.catalogs c SET import_mode = c.import_mode WHERE c.id = coalesce(NEW.catalog, OLD.catalog);
        IF FOUND THEN
            PERFORM lumina_internal.refresh_groups_below(coalesce(NEW.catalog, OLD.catalog),
                array_remove(ARRAY[OLD.path, NEW.path], NULL));
        END IF;
    ELSE
        PERFORM lumina_internal.refresh_groups_below(NEW.id,
            ARRAY(SELECT s.path FROM lumina.sources s WHERE s.catalog = NEW.id AND s.protected));
        PERFORM lumina_internal.refresh_groups_of(ARRAY(SELECT DISTINCT f.image FROM lumina.distinct_files d
            CROSS JOIN LATERAL (SELECT f.image FROM lumina.image_files f WHERE f.id = d.file OFFSET 0) f
            WHERE d.catalog = NEW.id));
    END IF;
    RETURN NULL;
END $$;
REVOKE EXECUTE ON FUNCTION lumina_internal.refresh_groups_of_lists() FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.refresh_groups_of_lists() IS
    'Internal: counts what is left of groups where protected sources or preferred folders have changed';
CREATE TRIGGER refresh_groups_updated AFTER UPDATE ON lumina.sources FOR EACH ROW
    WHEN ((OLD.protected, OLD.path) IS DISTINCT FROM (NEW.protected, NEW.path) AND (OLD.protected OR NEW.protected))
    EXECUTE FUNCTION lumina_internal.refresh_groups_of_lists();
CREATE TRIGGER refresh_groups_deleted AFTER DELETE ON lumina.sources FOR EACH ROW
    WHEN (OLD.protected) EXECUTE FUNCTION lumina_internal.refresh_groups_of_lists();
CREATE TRIGGER refresh_groups AFTER UPDATE OF settings ON lumina.catalogs FOR EACH ROW
    WHEN (OLD.settings->'preferred_folders' IS DISTINCT FROM NEW.settings->'preferred_folders')
    EXECUTE FUNCTION lumina_internal.refresh_groups_of_lists();

-- A place in an order: that of the last group of a page, after which the next page goes on. As a text it is
-- 'savings 900000 17', say. It names values and not a row, so that it is good after the row has gone.
CREATE TYPE lumina_internal.page_place AS (
    kind lumina.group_kind, confidence int2, savings int8, captured_at timestamptz, folder text, id int8);
COMMENT ON TYPE lumina_internal.page_place IS 'Internal: a place in an order of groups';

-- The place that a text says, or the one before the first group; checks the order, too.
CREATE FUNCTION lumina_internal.page_place(order_by text, after text) RETURNS lumina_internal.page_place
    STABLE LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    said text[];
    place lumina_internal.page_place;
    most CONSTANT int8 := 9223372036854775807;
BEGIN
    IF order_by IS NULL THEN
        RAISE null_value_not_allowed USING MESSAGE = 'order_by must not be NULL', HINT = 'Leave it out for savings.';
    ELSIF order_by NOT IN ('savings', 'kind', 'confidence', 'date', 'folder') THEN
        RAISE invalid_parameter_value USING MESSAGE = format('unknown order "%s"', left(order_by, 80)),
            HINT = 'The orders are savings, kind, confidence, date and folder.';
    END IF;
    place := ROW('exact', 32767, most, 'infinity', '', CASE order_by WHEN 'folder' THEN 0 ELSE most END);
    IF after IS NULL THEN
        RETURN place;
    END IF;
    said := regexp_match(after, CASE order_by
        WHEN 'savings' THEN '^savings (\d{1,18}) (\d{1,18})$'
        WHEN 'kind' THEN '^kind (exact|identical|near) (\d{1,18}) (\d{1,18})$'
        WHEN 'confidence' THEN '^confidence (\d{1,3}) (\d{1,18}) (\d{1,18})$'
        WHEN 'date' THEN '^date (none|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}) (\d{1,18})$'
        WHEN 'folder' THEN '^folder (.*) (\d{1,18})$' END);
    BEGIN
        CASE order_by
            WHEN 'savings' THEN
                place.savings := said[1]::int8;
            WHEN 'kind' THEN
                place.kind := said[1]::lumina.group_kind;
                place.savings := said[2]::int8;
            WHEN 'confidence' THEN
                place.confidence := said[1]::int2;
                place.savings := said[2]::int8;
            WHEN 'date' THEN
                place.captured_at := CASE said[1] WHEN 'none' THEN '-infinity'
                    ELSE said[1]::timestamp AT TIME ZONE 'UTC' END;
            WHEN 'folder' THEN
                place.folder := said[1];
        END CASE;
    EXCEPTION WHEN data_exception THEN
        said := NULL; -- the 31st of February
    END;
    IF said IS NULL THEN
        RAISE invalid_parameter_value USING
            MESSAGE = format('"%s" is no place in the order %s', left(after, 80), order_by),
            HINT = 'Give the "cursor" of the last row of the page before, which was in the same order.';
    END IF;
    place.id := said[cardinality(said)]::int8;
    RETURN place;
END $$;
REVOKE EXECUTE ON FUNCTION lumina_internal.page_place(text, text) FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.page_place(text, text) IS
    'Internal: the place in an order that a text says, by default the one before the first group';

-- The text of the place of a group.
CREATE FUNCTION lumina_internal.page_cursor(order_by text, g lumina.duplicate_groups) RETURNS text
    STABLE LANGUAGE sql
BEGIN ATOMIC
    SELECT CASE order_by
        WHEN 'savings' THEN concat_ws(' ', 'savings', g.savings, g.id)
        WHEN 'kind' THEN concat_ws(' ', 'kind', g.kind, g.savings, g.id)
        WHEN 'confidence' THEN concat_ws(' ', 'confidence', g.confidence, g.savings, g.id)
        WHEN 'date' THEN concat_ws(' ', 'date', CASE WHEN isfinite(g.captured_at)
            THEN to_char(g.captured_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US') ELSE 'none' END, g.id)
        WHEN 'folder' THEN concat_ws(' ', 'folder', g.folder, g.id) END;
END;
REVOKE EXECUTE ON FUNCTION lumina_internal.page_cursor(text, lumina.duplicate_groups) FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.page_cursor(text, lumina.duplicate_groups) IS
    'Internal: the place of a group in an order, as a text';

-- The next groups after a place. By bytes, kind and confidence as many are read of each kind and confidence as are
-- returned; there are at most 67 of these, and hardly ever more than ten. A comparison of rows is one condition of an
-- index.
CREATE FUNCTION lumina_internal.next_groups(
    of_catalog int8, order_by text, after lumina_internal.page_place, most int4) RETURNS int8[]
    STABLE LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    SET plan_cache_mode = force_generic_plan
    SET jit = off SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off AS $$
DECLARE
    found int8[];
    start CONSTANT lumina_internal.page_place := lumina_internal.page_place(order_by, NULL);
BEGIN
    CASE order_by
        WHEN 'savings', 'kind', 'confidence' THEN
            found := ARRAY(SELECT p.id
                FROM (SELECT s.*, CASE order_by WHEN 'kind' THEN s.kind = after.kind
                        WHEN 'confidence' THEN s.confidence = after.confidence ELSE true END AS goes_on
                    FROM (SELECT k.kind, 100::int2 AS confidence
                            FROM unnest('{exact,identical}'::lumina.group_kind[]) AS k (kind)
                        UNION ALL SELECT 'near', ((25 * (64 - distance) + 8) / 16)::int2
                            FROM generate_series(0, 64) AS d (distance)) s
                    WHERE CASE order_by WHEN 'kind' THEN s.kind >= after.kind
                        WHEN 'confidence' THEN s.confidence <= after.confidence ELSE true END) s
                CROSS JOIN LATERAL (SELECT g.savings, g.id FROM lumina.duplicate_groups g
                    WHERE g.catalog = of_catalog AND g.kind = s.kind AND g.confidence = s.confidence AND g.is_open
                        AND (g.savings, g.id) < (CASE WHEN s.goes_on THEN after.savings ELSE start.savings END,
                            CASE WHEN s.goes_on THEN after.id ELSE start.id END)
                    ORDER BY g.savings DESC, g.id DESC LIMIT most) p
                ORDER BY CASE order_by WHEN 'kind' THEN s.kind END,
                    CASE order_by WHEN 'confidence' THEN s.confidence END DESC, p.savings DESC, p.id DESC
                LIMIT most);
        WHEN 'date' THEN
            found := ARRAY(SELECT g.id FROM lumina.duplicate_groups g WHERE g.catalog = of_catalog AND g.is_open
                    AND (g.captured_at, g.id) < (after.captured_at, after.id)
                ORDER BY g.captured_at DESC, g.id DESC LIMIT most);
        WHEN 'folder' THEN
            found := ARRAY(SELECT g.id FROM lumina.duplicate_groups g WHERE g.catalog = of_catalog AND g.is_open
                    AND (g.folder, g.id) > (after.folder, after.id)
                ORDER BY g.folder, g.id LIMIT most);
    END CASE;
    RETURN found;
END $$;
REVOKE EXECUTE ON FUNCTION lumina_internal.next_groups(int8, text, lumina_internal.page_place, int4) FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.next_groups(int8, text, lumina_internal.page_place, int4) IS
    'Internal: the ids of the next groups of an order';

-- A page of groups. Of a group with very many files the first ones are read, and of what is near the first ones, too.
CREATE FUNCTION lumina_internal.some_duplicates(of_catalog int8, max_groups int4, order_by text,
        place lumina_internal.page_place, max_others int4, max_near int4)
    RETURNS TABLE (group_id int8, kind lumina.group_kind, keep text, others text[], distances int2[], more int4,
        confidence int2, savings int8, also_near text[], cursor text)
    STABLE LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    SET plan_cache_mode = force_generic_plan
    SET jit = off SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
    SET enable_sort = off AS $$
#variable_conflict use_column
DECLARE
    remaining int4 := max_groups;
    lists CONSTANT record := lumina_internal.file_lists(of_catalog);
    ids int8[];
    shown int4;
BEGIN
    -- More than once where a page is not filled: where less is left of a group than its row says.
    LOOP
        ids := lumina_internal.next_groups(of_catalog, order_by, place, max_groups);
        RETURN QUERY
        SELECT g.id, g.kind, f.paths[1], f.paths[2:], f.distances[2:],
            -- Where there are fewer than were asked for all were read.
            CASE WHEN f.count <= max_others THEN 0 ELSE greatest(g.current_redundant + 1 - f.count, 0) END,
            g.confidence,
            CASE WHEN f.count > max_others AND g.current_redundant >= f.count THEN g.current_savings ELSE f.savings END,
            -- Of most groups there is none.
            CASE WHEN g.also_near <> '{}' THEN (SELECT array_agg(a.path ORDER BY a.place)
                FROM lumina_internal.paths_of(g.also_near[:max_near]) a) END
                || lumina_internal.and_more(g.also_near_count - least(cardinality(g.also_near), max_near)),
            g.cursor
        FROM unnest(ids) WITH ORDINALITY AS p (id, place)
        CROSS JOIN LATERAL (SELECT d.*, lumina_internal.page_cursor(order_by, d) AS cursor
            FROM lumina.duplicate_groups d WHERE d.id = p.id OFFSET 0) g
        CROSS JOIN LATERAL (
            SELECT array_agg(f.path ORDER BY f.file_place) AS paths,
                array_agg(f.distance ORDER BY f.file_place) AS distances, count(*)::int4 AS count,
                coalesce(sum(f.size) FILTER (WHERE f.file_place > 1), 0)::int8 AS savings
            FROM (SELECT * FROM lumina_internal.group_files(p.id, lists.preferred, lists.protected) g
                WHERE g.file_place = 1 OR g.is_redundant LIMIT max_others + 1) f OFFSET 0) f
        WHERE f.count > 1
        ORDER BY p.place LIMIT remaining;
        GET DIAGNOSTICS shown = ROW_COUNT;
        remaining := remaining - shown;
        EXIT WHEN remaining = 0 OR cardinality(ids) < max_groups;
        SELECT d.kind, d.confidence, d.savings, d.captured_at, d.folder, d.id INTO place
            FROM lumina.duplicate_groups d WHERE d.id = ids[cardinality(ids)];
    END LOOP;
END $$;
REVOKE EXECUTE ON FUNCTION lumina_internal.some_duplicates(int8, int4, text, lumina_internal.page_place, int4, int4)
    FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.some_duplicates(int8, int4, text, lumina_internal.page_place, int4, int4) IS
    'Internal: a page of the groups of a catalog';

CREATE FUNCTION lumina_internal.duplicates(
        caller oid, catalog_name text, max_groups int4, order_by text, after text, max_others int4,
        OUT group_id int8, OUT kind lumina.group_kind, OUT keep text, OUT others text[], OUT distances int2[],
        OUT confidence int2, OUT win_back text, OUT savings int8, OUT also_near text[], OUT more int4, OUT cursor text)
    RETURNS SETOF record STABLE LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    -- Look-ups of what is near, of which there are hardly any, are estimated as many: compiling takes longer than all.
    SET jit = off AS $$
#variable_conflict use_column
DECLARE
    -- First of all: a catalog that is not there is an error, not an empty result.
    wanted int8 := lumina_internal.catalog(caller, catalog_name, 'read');
    place lumina_internal.page_place := lumina_internal.page_place(order_by, after);
    most_others CONSTANT int4 := least(coalesce(max_others, CASE WHEN max_groups IS NULL THEN 2147483647 ELSE 100 END),
        2147483646);
BEGIN
    IF max_groups NOT BETWEEN 1 AND 10000 THEN
        RAISE numeric_value_out_of_range USING MESSAGE = format('max_groups %s is not between 1 and 10000', max_groups),
            HINT = 'Leave it out for all groups, or go on after the last one of a page: after => its "cursor".';
    ELSIF max_others < 1 THEN
        RAISE numeric_value_out_of_range USING MESSAGE = format('max_others %s is not positive', max_others),
            HINT = 'Leave it out for 100 in a page, and for all without max_groups.';
    ELSIF max_groups IS NULL AND after IS NOT NULL THEN
        RAISE invalid_parameter_value USING MESSAGE = 'after goes with max_groups alone',
            HINT = 'Say how many groups a page has: max_groups => 100.';
    ELSIF max_groups IS NULL AND (SELECT count(*) FROM (SELECT FROM lumina.duplicate_groups g
            WHERE g.catalog = wanted AND g.is_open LIMIT lumina_internal.many_groups()) g)
            >= lumina_internal.many_groups() THEN
        RETURN QUERY SELECT d.group_id, d.kind, d.keep, d.others, d.distances, d.confidence,
            pg_size_pretty(d.savings), d.savings, d.also_near, d.more, d.cursor
            FROM lumina_internal.all_duplicates(wanted, order_by, most_others) d;
    ELSE
        RETURN QUERY SELECT d.group_id, d.kind, d.keep, d.others, d.distances, d.confidence,
            pg_size_pretty(d.savings), d.savings, d.also_near, d.more, d.cursor
            FROM lumina_internal.some_duplicates(wanted, coalesce(max_groups, 2147483647), order_by, place, most_others,
                -- Each is a look-up, as a file of the group is: a quarter, rounded up.
                CASE WHEN max_groups IS NULL THEN 2147483647 ELSE (most_others - 1) / 4 + 1 END) d;
    END IF;
END $$;
REVOKE EXECUTE ON FUNCTION lumina_internal.duplicates(oid, text, int4, text, text, int4) FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.duplicates(oid, text, int4, text, text, int4) IS
    'Internal: duplicates for a caller';
CREATE FUNCTION lumina.duplicates(catalog text, max_groups int4 DEFAULT NULL, order_by text DEFAULT 'savings',
        after text DEFAULT NULL, max_others int4 DEFAULT NULL, OUT group_id int8, OUT kind lumina.group_kind,
        OUT keep text, OUT others text[], OUT distances int2[], OUT confidence int2, OUT win_back text,
        OUT savings int8, OUT also_near text[], OUT more int4, OUT cursor text)
    RETURNS SETOF record STABLE ROWS 1000 LANGUAGE c AS 'MODULE_PATHNAME', 'as_owner';
COMMENT ON FUNCTION lumina.duplicates(text, int4, text, text, int4) IS
    'The current groups of a catalog, all or a page: the file to keep, the others with their distances, what else is '
    'near, and the cursor after which the next page goes on; most bytes first, or by kind, confidence, date or folder';
