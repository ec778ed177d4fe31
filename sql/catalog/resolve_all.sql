-- Decisions about many groups or images at once: the best of all groups, statuses by hand.
--
-- All groups are one action, which one undo takes back. Nothing goes through them in a loop: a catalog of a million
-- images has some 166,000 groups. Tables are joined by their keys alone, so that every plan is linear, and a group is
-- one row all the way: its images are lists.

-- The groups of a catalog that nobody has decided, each with what keep_best would do to it; `skipped` says why the
-- group is left alone. Files are those of current_files. `preferred` and `protected` are the lists of file_lists.
CREATE FUNCTION lumina_internal.group_verdicts(of_catalog int8, preferred bytea, protected bytea, min_score_gap float8,
        include_also_near bool)
    RETURNS TABLE (group_id int8, run int8, kind lumina.group_kind, kept int8, rejected int8[],
        statuses lumina.image_status[], spare_files int8, savings int8, score_gap float8, skipped text)
    STABLE ROWS 100000 LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET jit = off
    -- Each worker would read all files.
    SET max_parallel_workers_per_gather = 0 SET enable_nestloop = off SET enable_mergejoin = off
BEGIN ATOMIC
    WITH found AS (
        SELECT i.group_id, count(*) AS images, sum(i.files)::int8 AS files,
            -- Where the first member is not there any more the group has changed.
            max(i.image) FILTER (WHERE i.place = 0) AS kept,
            max(i.ranking_score) FILTER (WHERE i.place = 0)
                - max(i.ranking_score) FILTER (WHERE i.place > 0 AND NOT i.is_copy AND NOT i.is_worse) AS score_gap,
            max(i.spare_files) FILTER (WHERE i.place = 0) AS spare_files,
            bool_or(i.has_wanted) FILTER (WHERE i.place = 0) AS has_wanted,
            max(i.folder) FILTER (WHERE i.place = 0)
                < min(i.folder) FILTER (WHERE i.place > 0 AND NOT i.is_worse) AS is_preferred,
            max(i.folder) FILTER (WHERE i.place = 0)
                > min(i.folder) FILTER (WHERE i.place > 0 AND NOT i.is_worse) AS is_less_preferred,
            sum(i.size * CASE WHEN i.place = 0 OR i.keeps_image THEN i.spare_files ELSE i.files END)::int8 AS savings,
            array_agg(i.image) FILTER (WHERE i.place > 0) AS rejected,
            array_agg(i.status) FILTER (WHERE i.place > 0) AS statuses,
            bool_or(i.place > 0 AND i.status IN ('flagged', 'archived')) AS loses_chosen,
            bool_or(i.place > 0 AND i.keeps_image) AS loses_protected
        -- A group may have been split since an image was found to be a copy of the one to keep, or damaged beside it.
        FROM (SELECT i.*, i.copy_of IS NOT NULL AND EXISTS (SELECT FROM lumina.duplicate_members k
                    WHERE k.group_id = i.group_id AND k.place = 0 AND k.image = i.copy_of) AS is_copy,
                i.is_damaged AND NOT EXISTS (SELECT FROM lumina.duplicate_members k
                    JOIN lumina.images d ON d.id = k.image AND (d.truncated OR d.damaged_data)
                    WHERE k.group_id = i.group_id AND k.place = 0) AS is_worse
            FROM lumina_internal.member_images(of_catalog, preferred, protected) i) i
        GROUP BY i.group_id
    )
    SELECT g.id, g.run, g.kind, f.kept, coalesce(f.rejected, '{}'), coalesce(f.statuses, '{}'),
        coalesce(f.spare_files, 0), f.savings, round(f.score_gap::numeric, 2)::float8,
        CASE WHEN (f.images, f.files) IS DISTINCT FROM (g.images, g.files) THEN 'changed'
            WHEN f.loses_protected OR f.rejected IS NULL AND f.spare_files = 0 THEN 'protected'
            WHEN f.loses_chosen THEN 'flagged'
            -- Of the folders of the search itself one that is behind has lost by something that counts more.
            WHEN f.is_less_preferred AND r.is_outdated THEN 'preference'
            WHEN f.has_wanted AND f.spare_files > 0 THEN 'wanted'
            WHEN g.also_near_count > 0 AND NOT include_also_near THEN 'also_near'
            -- What is better by less than counts may have a score that is lower. That of damaged images and of copies
            -- of the one to keep does not count.
            WHEN f.score_gap IS NOT NULL AND NOT f.is_preferred IS TRUE
                AND greatest(f.score_gap, 0) < min_score_gap THEN 'score_gap' END
    FROM lumina.duplicate_groups g LEFT JOIN found f ON f.group_id = g.id
    CROSS JOIN (SELECT lumina_internal.is_outdated(of_catalog) AS is_outdated OFFSET 0) r
    WHERE g.catalog = of_catalog AND g.decision IS NULL;
END;
REVOKE EXECUTE ON FUNCTION lumina_internal.group_verdicts(int8, bytea, bytea, float8, bool) FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.group_verdicts(int8, bytea, bytea, float8, bool) IS
    'Internal: undecided groups, with what keep_best_in_all makes of them';

-- The files that go of images that are kept, by all of their names, as keep_best would reject them: those of
-- names_of.
CREATE FUNCTION lumina_internal.spare_names(images int8[], preferred bytea, protected bytea)
    RETURNS TABLE (image int8, file int8)
    STABLE ROWS 100000 LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET jit = off
    SET enable_nestloop = off SET enable_mergejoin = off
BEGIN ATOMIC
    WITH names AS MATERIALIZED (
        SELECT f.*, first_value(f.id) OVER w AS file, bool_or(f.is_marked) OVER (w
            ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) AS is_wanted
        FROM (SELECT f.image, f.id, f.path, f.device, f.inode, coalesce(f.import_job, 0) AS import_job,
                CASE WHEN f.import_job IS NULL THEN f.id ELSE 0 END AS number,
                coalesce(lumina_internal.folder_rank(preferred, f.path), 65536) AS folder,
                coalesce(lumina_internal.is_below(protected, f.path), false) AS is_protected,
                f.missing_since IS NULL AND f.id IN (SELECT d.file FROM lumina.distinct_files d) AS is_marked,
                f.missing_since IS NOT NULL AS is_missing
            FROM unnest(images) AS n (image)
            JOIN lumina.image_files f ON f.image = n.image AND f.state = 'keep') f
        WINDOW w AS (PARTITION BY f.image, f.device, f.inode,
                CASE WHEN f.device IS NULL OR f.inode IS NULL THEN f.id END
            ORDER BY f.is_missing, NOT f.is_protected, f.folder, f.import_job, f.number, f.path COLLATE "C")
    ), files AS (
        SELECT f.id, NOT f.is_protected AND NOT f.is_wanted AND row_number() OVER (PARTITION BY f.image
            ORDER BY f.folder, NOT f.is_protected, NOT f.is_wanted, f.import_job, f.number,
                f.path COLLATE "C") > 1 AS is_spare
        FROM names f WHERE f.id = f.file AND NOT f.is_missing
    )
    SELECT n.image, n.id FROM files f JOIN names n ON n.file = f.id WHERE f.is_spare AND NOT n.is_protected;
END;
REVOKE EXECUTE ON FUNCTION lumina_internal.spare_names(int8[], bytea, bytea) FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.spare_names(int8[], bytea, bytea) IS
    'Internal: the names of files that go of images that are kept';

CREATE FUNCTION lumina_internal.keep_best_in_all(caller oid, catalog_name text, min_score_gap float8, dry_run bool,
        include_also_near bool)
    RETURNS TABLE (group_id int8, kind lumina.group_kind, kept int8, rejected int8[], rejected_files int8,
        savings int8, score_gap float8, skipped text, action int8)
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET jit = off
    -- The planner does not know how many images are rejected: a look-up for each takes twice as long.
    SET enable_nestloop = off AS $$
#variable_conflict use_column
DECLARE
    wanted int8 := lumina_internal.catalog(caller, catalog_name, 'curate');
    lists record;
    made int8;
    seen pg_snapshot;
BEGIN
    IF min_score_gap IS NULL OR dry_run IS NULL OR include_also_near IS NULL THEN
        RAISE null_value_not_allowed USING
            MESSAGE = 'min_score_gap, dry_run and include_also_near must not be NULL',
            HINT = 'Leave them out for 2, true and false.';
    ELSIF NOT min_score_gap BETWEEN 0 AND 100 THEN
        RAISE numeric_value_out_of_range USING
            MESSAGE = format('min_score_gap %s is not between 0 and 100', min_score_gap),
            HINT = 'Scores are 0 to 100; the gap is that between the best image of a group and the next.';
    END IF;
    PERFORM lumina_internal.refuse_in_hook();
    IF NOT dry_run THEN
        PERFORM FROM lumina.catalogs c WHERE c.id = wanted FOR NO KEY UPDATE;
    END IF;
    lists := lumina_internal.file_lists(wanted);
    IF dry_run THEN
        RETURN QUERY
        SELECT v.group_id, v.kind, v.kept, v.rejected, v.spare_files, v.savings, v.score_gap, v.skipped, NULL::int8
        FROM lumina_internal.group_verdicts(wanted, lists.preferred, lists.protected, min_score_gap,
            include_also_near) v
        ORDER BY v.savings DESC, v.group_id;
        RETURN;
    END IF;
    made := nextval('lumina.duplicate_actions_id_seq');
    seen := pg_current_snapshot();
    RETURN QUERY
    WITH verdicts AS MATERIALIZED (
        SELECT v.*
        FROM lumina_internal.group_verdicts(wanted, lists.preferred, lists.protected, min_score_gap,
            include_also_near) v
    ), names AS MATERIALIZED (
        SELECT n.image, n.file FROM lumina_internal.spare_names(
            ARRAY(SELECT k.kept FROM verdicts k WHERE k.skipped IS NULL AND k.spare_files > 0), lists.preferred,
            lists.protected) n
    ), acted AS (
        INSERT INTO lumina.duplicate_actions (id, catalog, kind, run, actor, images, files) OVERRIDING SYSTEM VALUE
            SELECT made, wanted, 'keep_best_in_all', max(v.run), lumina_internal.role(caller),
                sum(cardinality(v.rejected)), (SELECT count(*) FROM names)
            FROM verdicts v WHERE v.skipped IS NULL HAVING count(*) > 0
    ), images AS (
        UPDATE lumina.images i SET status = 'rejected'
            FROM (SELECT v.group_id, v.kept, r.image, r.status FROM verdicts v
                CROSS JOIN ROWS FROM (unnest(v.rejected), unnest(v.statuses)) r (image, status)
                -- In the order of the table and of its index.
                WHERE v.skipped IS NULL ORDER BY r.image) r
            WHERE i.id = r.image AND i.status = r.status
            RETURNING r.group_id, i.id, r.kept, r.status
    ), audited_images AS (
        INSERT INTO lumina.action_images (action, catalog, group_id, image, kept, before, after)
            SELECT made, wanted, i.group_id, i.id, i.kept, i.status, 'rejected' FROM images i
    ), spare AS (
        UPDATE lumina.image_files f SET state = 'rejected' FROM names n
            WHERE f.id = n.file AND f.image = n.image AND f.state = 'keep'
            RETURNING f.id, f.image
    ), audited_files AS (
        INSERT INTO lumina.action_files (action, catalog, file, image, before, after)
            SELECT made, wanted, s.id, s.image, 'keep', 'rejected' FROM spare s
    ), groups AS (
        UPDATE lumina.duplicate_groups g SET decision = made FROM verdicts v
            -- An import that adds a file locks the group to count what is left: this waits for it.
            WHERE v.skipped IS NULL AND g.id = v.group_id AND g.run = v.run AND g.catalog = wanted
    ), noted AS (
        -- As enact does, unless they are very many.
        INSERT INTO lumina_internal.image_changes (catalog, group_id, is_everything)
            SELECT DISTINCT wanted, CASE WHEN n.are_few THEN v.group_id END, NOT n.are_few
            FROM verdicts v
            CROSS JOIN (SELECT count(*) <= lumina_internal.most_changes() AS are_few FROM verdicts k
                WHERE k.skipped IS NULL) n
            WHERE v.skipped IS NULL
    )
    SELECT v.group_id, v.kind, v.kept, v.rejected, v.spare_files, v.savings, v.score_gap, v.skipped,
        CASE WHEN v.skipped IS NULL THEN made END
    FROM verdicts v
    ORDER BY v.savings DESC, v.group_id;
    -- An import may have changed some of it meanwhile, or have added a file, which it has noted then.
    IF EXISTS (SELECT FROM lumina_internal.image_changes c
            JOIN lumina.duplicate_members m ON m.image BETWEEN c.first_image AND c.last_image
            JOIN lumina.duplicate_groups g ON g.id = m.group_id AND g.decision = made
            WHERE c.catalog = wanted AND NOT pg_visible_in_snapshot(c.changed_by, seen)
                AND c.changed_by <> pg_current_xact_id())
        OR EXISTS (SELECT FROM lumina.duplicate_actions a WHERE a.id = made
            AND (a.images, a.files) IS DISTINCT FROM (
                (SELECT count(*) FROM lumina.action_images i WHERE i.action = made AND i.part IS NULL),
                (SELECT count(*) FROM lumina.action_files f WHERE f.action = made AND f.after = 'rejected'))) THEN
        RAISE serialization_failure USING MESSAGE = 'groups change at this moment', HINT = 'Try again.';
    END IF;
    PERFORM lumina_internal.run_hook(wanted, made);
END $$;
REVOKE EXECUTE ON FUNCTION lumina_internal.keep_best_in_all(oid, text, float8, bool, bool) FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.keep_best_in_all(oid, text, float8, bool, bool) IS
    'Internal: keep_best_in_all for a caller';
CREATE FUNCTION lumina.keep_best_in_all(catalog text, min_score_gap float8 DEFAULT 2, dry_run bool DEFAULT true,
        include_also_near bool DEFAULT false)
    RETURNS TABLE (group_id int8, kind lumina.group_kind, kept int8, rejected int8[], rejected_files int8,
        savings int8, score_gap float8, skipped text, action int8)
    LANGUAGE c AS 'MODULE_PATHNAME', 'as_owner';
COMMENT ON FUNCTION lumina.keep_best_in_all(text, float8, bool, bool) IS
    'What keep_best would do to each group of a catalog, or why it is skipped; dry_run => false does it, as one action';

CREATE FUNCTION lumina_internal.set_image_status(caller oid, catalog_name text, images int8[], status text)
    RETURNS int8
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    wanted int8 := lumina_internal.catalog(caller, catalog_name, 'curate');
    new lumina.image_status;
    wrong int8;
    made int8;
BEGIN
    IF array_ndims(images) > 1 THEN
        RAISE invalid_parameter_value USING MESSAGE = 'images is not a list, but an array of more dimensions',
            HINT = 'Write ARRAY[7, 8], say.';
    ELSIF images IS NULL OR status IS NULL OR array_position(images, NULL) IS NOT NULL THEN
        RAISE null_value_not_allowed USING MESSAGE = 'images and status must not be NULL, nor hold one',
            HINT = 'Write lumina.set_image_status(''holiday'', ARRAY[7], ''flagged''), say.';
    ELSIF status NOT IN ('active', 'archived', 'flagged') THEN
        RAISE invalid_parameter_value USING MESSAGE = format('status "%s" is none that can be set', left(status, 80)),
            HINT = 'There are active, archived and flagged; lumina.resolve(...) rejects images.';
    END IF;
    PERFORM lumina_internal.refuse_in_hook();
    PERFORM FROM lumina.catalogs c WHERE c.id = wanted FOR NO KEY UPDATE;
    new := set_image_status.status;
    SELECT n INTO wrong FROM unnest(set_image_status.images) n
        WHERE NOT EXISTS (SELECT FROM lumina.images i WHERE i.id = n AND i.catalog + 0 = wanted OFFSET 0) LIMIT 1;
    IF wrong IS NOT NULL THEN
        RAISE invalid_parameter_value USING
            MESSAGE = format('catalog "%s" has no image %s', left(catalog_name, 80), wrong),
            HINT = 'lumina.images lists them.';
    END IF;
    WITH before AS (
        SELECT i.id, i.status FROM (SELECT DISTINCT n FROM unnest(set_image_status.images) n) w
        CROSS JOIN LATERAL (SELECT i.id, i.status FROM lumina.images i WHERE i.id = w.n OFFSET 0) i
        WHERE i.status <> new
    ), acted AS (
        INSERT INTO lumina.duplicate_actions (id, catalog, kind, actor, images, files) OVERRIDING SYSTEM VALUE
            SELECT nextval('lumina.duplicate_actions_id_seq'), wanted, 'set_image_status', lumina_internal.role(caller),
                b.images, 0 FROM (SELECT count(*) AS images FROM before) b WHERE b.images > 0
            RETURNING id
    ), changed AS (
        UPDATE lumina.images i SET status = new FROM before b WHERE i.id = b.id AND i.status = b.status
            RETURNING i.id, b.status
    ), audited AS (
        INSERT INTO lumina.action_images (action, catalog, image, before, after)
            SELECT a.id, wanted, c.id, c.status, new FROM changed c CROSS JOIN acted a
    )
    SELECT a.id INTO made FROM acted a;
    RETURN made;
END $$;
REVOKE EXECUTE ON FUNCTION lumina_internal.set_image_status(oid, text, int8[], text) FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.set_image_status(oid, text, int8[], text) IS
    'Internal: set_image_status for a caller';
CREATE FUNCTION lumina.set_image_status(catalog text, images int8[], status text) RETURNS int8
    LANGUAGE c AS 'MODULE_PATHNAME', 'as_owner';
COMMENT ON FUNCTION lumina.set_image_status(text, int8[], text) IS
    'Makes images of a catalog active, archived or flagged; returns the action, NULL where all are so already';
