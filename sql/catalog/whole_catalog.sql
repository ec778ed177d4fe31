-- The groups of a whole catalog at once: all of them as rows, and what is left of very many.
--
-- Where there is much to do, tables are joined from end to end, which takes a small part of the time that a look-up for
-- each group takes. The planner is told so, as it knows nothing of tables that were filled a moment ago. Where there is
-- little to do nothing of this is called: it reads whole tables.

-- A function, so that a test can replace it; and STABLE, so that plans that were made before notice.
CREATE FUNCTION lumina_internal.many_groups() RETURNS int4
    STABLE LANGUAGE sql
RETURN 20000;
REVOKE EXECUTE ON FUNCTION lumina_internal.many_groups() FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.many_groups() IS
    'Internal: from how many groups or images on whole tables are joined, and not each looked up';

-- Files that are there of images that are not rejected, of all groups of a catalog: those of files_there. Without SET,
-- so that it is inlined. Two names of one file are looked for among these files alone, and not in the whole table.
CREATE FUNCTION lumina_internal.member_files(of_catalog int8, preferred bytea, protected bytea)
    RETURNS TABLE (group_id int8, image int8, place int4, distance int2, status lumina.image_status, size int8,
        ranking_score float4, is_damaged bool, copy_of int8, file int8, path text, folder int4, is_protected bool,
        is_wanted bool, import_job int8, number int8)
    STABLE LANGUAGE sql
BEGIN ATOMIC
    WITH files AS MATERIALIZED (
        SELECT m.group_id, m.image, m.place, m.distance, i.status, i.size, i.ranking_score,
            i.truncated OR i.damaged_data AS is_damaged, m.copy_of, f.id, f.path,
            coalesce(lumina_internal.folder_rank(preferred, f.path), 65536) AS folder,
            coalesce(lumina_internal.is_below(protected, f.path), false) AS is_protected,
            f.id IN (SELECT d.file FROM lumina.distinct_files d WHERE d.catalog = of_catalog) AS is_wanted,
            coalesce(f.import_job, 0) AS import_job, CASE WHEN f.import_job IS NULL THEN f.id ELSE 0 END AS number,
            f.device, f.inode
        FROM lumina.duplicate_members m
        JOIN lumina.images i ON i.id = m.image AND i.status <> 'rejected'
        JOIN lumina.image_files f ON f.image = m.image AND f.state = 'keep' AND f.missing_since IS NULL
        WHERE m.catalog = of_catalog
    )
    SELECT f.group_id, f.image, f.place, f.distance, f.status, f.size, f.ranking_score, f.is_damaged, f.copy_of, f.id,
        f.path, f.folder, f.is_protected,
        f.is_wanted OR (f.image, f.device, f.inode) IN (SELECT o.image, o.device, o.inode FROM files o
            WHERE o.is_wanted AND o.device IS NOT NULL AND o.inode IS NOT NULL) IS TRUE,
        f.import_job, f.number
    FROM files f
    WHERE NOT EXISTS (SELECT FROM files o
        WHERE o.image = f.image AND o.device = f.device AND o.inode = f.inode AND o.id <> f.id
        AND (NOT o.is_protected, o.folder, o.import_job, o.number, o.path)
            < (NOT f.is_protected, f.folder, f.import_job, f.number, f.path));
END;
REVOKE EXECUTE ON FUNCTION lumina_internal.member_files(int8, bytea, bytea) FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.member_files(int8, bytea, bytea) IS
    'Internal: the files of all groups of a catalog that are there, in no order';

-- Their images, each with how many files of it go where it stays, and whether it stays in any case: see current_files.
CREATE FUNCTION lumina_internal.member_images(of_catalog int8, preferred bytea, protected bytea)
    RETURNS TABLE (group_id int8, image int8, place int4, status lumina.image_status, size int8, ranking_score float4,
        is_damaged bool, copy_of int8, folder int4, files int8, spare_files int8, has_wanted bool, keeps_image bool)
    STABLE LANGUAGE sql
BEGIN ATOMIC
    SELECT f.group_id, f.image, f.place, f.status, f.size, f.ranking_score, f.is_damaged, f.copy_of, min(f.folder),
        count(*),
        -- The first file is none that goes: it is one of these where none that stays is in a folder as good.
        count(*) FILTER (WHERE NOT f.stays) - (coalesce(min(f.folder) FILTER (WHERE NOT f.stays), 65537)
            < coalesce(min(f.folder) FILTER (WHERE f.stays), 65537))::int4,
        bool_or(f.is_wanted),
        protected IS NOT NULL AND EXISTS (SELECT FROM lumina.image_files o WHERE o.image = f.image
            AND o.state = 'keep' AND lumina_internal.is_below(protected, o.path))
    FROM (SELECT f.*, f.is_protected OR f.is_wanted AS stays
        FROM lumina_internal.member_files(of_catalog, preferred, protected) f) f
    GROUP BY f.group_id, f.place, f.image, f.status, f.size, f.ranking_score, f.is_damaged, f.copy_of;
END;
REVOKE EXECUTE ON FUNCTION lumina_internal.member_images(int8, bytea, bytea) FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.member_images(int8, bytea, bytea) IS
    'Internal: the images of all groups of a catalog that are there, with their files';

-- All groups of a catalog that nobody has decided. Groups are numbered in their order, so that all else is sorted by
-- one number.
CREATE FUNCTION lumina_internal.all_duplicates(of_catalog int8, order_by text, max_others int4)
    RETURNS TABLE (group_id int8, kind lumina.group_kind, keep text, others text[], distances int2[], more int4,
        confidence int2, savings int8, also_near text[], cursor text)
    STABLE LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    SET jit = off SET enable_nestloop = off SET enable_mergejoin = off AS $$
#variable_conflict use_column
DECLARE
    lists CONSTANT record := lumina_internal.file_lists(of_catalog);
BEGIN
    RETURN QUERY
    WITH groups AS MATERIALIZED (
        SELECT g.id, g.kind, g.confidence, g.also_near, g.also_near_count,
            lumina_internal.page_cursor(order_by, g) AS cursor,
            row_number() OVER (ORDER BY CASE order_by WHEN 'kind' THEN g.kind END,
                CASE order_by WHEN 'confidence' THEN g.confidence END DESC,
                CASE order_by WHEN 'date' THEN g.captured_at END DESC,
                CASE order_by WHEN 'folder' THEN g.folder END,
                CASE order_by WHEN 'folder' THEN g.id END,
                CASE order_by WHEN 'date' THEN 0 ELSE g.savings END DESC,
                g.id DESC) AS nth
        FROM lumina.duplicate_groups g
        JOIN lumina.duplicate_runs r ON r.id = g.run AND r.is_current
        WHERE g.catalog = of_catalog AND g.decision IS NULL
    ), files AS (
        -- The first file, and those that are redundant. The size is that of the image.
        SELECT f.nth, array_agg(f.path) AS paths, array_agg(f.distance) AS distances,
            (sum(f.size) - (array_agg(f.size))[1])::int8 AS savings
        FROM (SELECT g.nth, f.place, f.path, f.distance, f.size,
                row_number() OVER (PARTITION BY g.nth, f.place ORDER BY f.folder, NOT f.is_protected, NOT f.is_wanted,
                    f.import_job, f.number, f.path COLLATE "C") AS place_in_image,
                dense_rank() OVER (PARTITION BY g.nth ORDER BY f.place) AS image_place,
                f.is_protected OR f.is_wanted AS stays,
                lists.protected IS NOT NULL AND EXISTS (SELECT FROM lumina.image_files o WHERE o.image = f.image
                    AND o.state = 'keep' AND lumina_internal.is_below(lists.protected, o.path)) AS keeps_image
            FROM groups g
            JOIN lumina_internal.member_files(of_catalog, lists.preferred, lists.protected) f ON f.group_id = g.id
            ORDER BY g.nth, f.place, f.folder, NOT f.is_protected, NOT f.is_wanted, f.import_job, f.number,
                f.path COLLATE "C") f
        WHERE CASE WHEN f.image_place = 1 AND f.place_in_image = 1 THEN true
            WHEN f.image_place = 1 OR f.keeps_image THEN f.place_in_image > 1 AND NOT f.stays ELSE true END
        GROUP BY f.nth HAVING count(*) > 1
    ), near AS (
        -- As paths_of: the first path of each image.
        SELECT p.nth, array_agg(p.path ORDER BY p.place) AS paths
        FROM (SELECT DISTINCT ON (n.nth, n.place) n.nth, n.place, q.path
            FROM (SELECT g.nth, a.image, a.place FROM groups g
                CROSS JOIN LATERAL unnest(g.also_near) WITH ORDINALITY a (image, place)) n
            JOIN lumina.image_files q ON q.image = n.image
            ORDER BY n.nth, n.place, coalesce(q.import_job, 0), CASE WHEN q.import_job IS NULL THEN q.id ELSE 0 END,
                q.path) p
        GROUP BY p.nth
    )
    SELECT g.id, g.kind, f.paths[1], f.paths[2:max_others + 1], f.distances[2:max_others + 1],
        greatest(cardinality(f.paths) - 1 - max_others, 0), g.confidence, f.savings,
        CASE WHEN g.also_near <> '{}' THEN n.paths END
            || lumina_internal.and_more(g.also_near_count - cardinality(g.also_near)), g.cursor
    FROM groups g JOIN files f ON f.nth = g.nth LEFT JOIN near n ON n.nth = g.nth
    ORDER BY g.nth;
END $$;
REVOKE EXECUTE ON FUNCTION lumina_internal.all_duplicates(int8, text, int4) FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.all_duplicates(int8, text, int4) IS
    'Internal: all groups of a catalog, by joins of whole tables';

-- What refresh_groups_of finds.
CREATE FUNCTION lumina_internal.groups_of_many(images int8[]) RETURNS int8[]
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    -- Its callers have told the planner the opposite.
    SET jit = off SET enable_seqscan = on SET enable_hashjoin = on SET enable_nestloop = off SET enable_mergejoin = off
AS $$
BEGIN
    RETURN ARRAY(SELECT m.group_id FROM unnest(images) AS n (image)
        JOIN lumina.duplicate_members m ON m.image = n.image
        JOIN lumina.duplicate_groups g ON g.id = m.group_id AND g.decision IS NULL);
END $$;
REVOKE EXECUTE ON FUNCTION lumina_internal.groups_of_many(int8[]) FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.groups_of_many(int8[]) IS
    'Internal: the groups in which very many images are and that nobody has decided';

-- What refresh_groups does, in the same order: groups are locked by their ids, then counted in a snapshot of its own.
CREATE FUNCTION lumina_internal.refresh_many_groups(groups int8[]) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    -- Its caller has told the planner the opposite.
    SET jit = off SET enable_seqscan = on SET enable_hashjoin = on SET enable_nestloop = off SET enable_mergejoin = off
AS $$
DECLARE
    of_catalog int8;
    lists record;
BEGIN
    PERFORM FROM lumina.duplicate_groups g WHERE g.id IN (SELECT unnest(groups)) ORDER BY g.id FOR NO KEY UPDATE OF g;
    FOR of_catalog IN
            SELECT DISTINCT g.catalog FROM lumina.duplicate_groups g WHERE g.id IN (SELECT unnest(groups)) LOOP
        lists := lumina_internal.file_lists(of_catalog);
        UPDATE lumina.duplicate_groups g
        SET current_images = l.images, current_redundant = l.redundant, current_savings = l.savings
        FROM (SELECT n.id, coalesce(c.images, 0) AS images, coalesce(c.redundant, 0) AS redundant,
                coalesce(c.savings, 0) AS savings
            FROM unnest(groups) AS n (id)
            LEFT JOIN (SELECT i.group_id, count(*)::int4 AS images,
                    sum(i.redundant)::int4 AS redundant, sum(i.redundant * i.size)::int8 AS savings
                FROM (SELECT m.group_id, m.size, CASE WHEN m.keeps_image
                            OR row_number() OVER (PARTITION BY m.group_id ORDER BY m.place) = 1
                        THEN m.spare_files ELSE m.files END AS redundant
                    FROM lumina_internal.member_images(of_catalog, lists.preferred, lists.protected) m) i
                GROUP BY i.group_id) c ON c.group_id = n.id) l
        WHERE g.id = l.id AND g.catalog = of_catalog
            AND (g.current_images, g.current_redundant, g.current_savings)
                IS DISTINCT FROM (l.images, l.redundant, l.savings);
    END LOOP;
END $$;
REVOKE EXECUTE ON FUNCTION lumina_internal.refresh_many_groups(int8[]) FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.refresh_many_groups(int8[]) IS
    'Internal: counts what is left of very many groups, by joins of whole tables';
