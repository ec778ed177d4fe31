-- Decisions about one group: keep the best, keep some, keep all.
--
-- A group is decided as it was found or not at all: where an image or file of it has come or gone since, the answer is
-- an error. Of an image that is kept one file is kept, and every file of a protected source; an image with such a file
-- is never rejected. A file is rejected by all of its names. What is kept of a group is recorded as distinct, so that
-- no later search groups it again.

-- The group of that number, which the caller may decide, with its catalog locked. A caller who may not read the catalog
-- is told that there is none.
CREATE FUNCTION lumina_internal.group_to_decide(caller oid, wanted int8) RETURNS lumina.duplicate_groups
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    target lumina.duplicate_groups;
    of_catalog int8;
    rights lumina.access_right[];
BEGIN
    IF wanted IS NULL THEN
        RAISE null_value_not_allowed USING MESSAGE = 'group must not be NULL',
            HINT = 'Give the number of a group: lumina.duplicates(...) lists them.';
    END IF;
    PERFORM lumina_internal.refuse_in_hook();
    SELECT g.catalog INTO of_catalog FROM lumina.duplicate_groups g WHERE g.id = wanted;
    rights := lumina_internal.rights(caller, of_catalog);
    IF rights IS NOT NULL THEN
        IF NOT 'curate' = ANY (rights) THEN
            PERFORM lumina_internal.catalog(caller, c.name, 'curate') FROM lumina.catalogs c WHERE c.id = of_catalog;
        END IF;
        -- A search may end before the lock is there.
        PERFORM FROM lumina.catalogs c WHERE c.id = of_catalog FOR NO KEY UPDATE;
        -- Images, then files, then groups, each by their ids: as an import, which may add a file at this moment.
        PERFORM FROM (SELECT m.image FROM lumina.duplicate_members m WHERE m.group_id = wanted ORDER BY m.image) m
            CROSS JOIN LATERAL (SELECT FROM lumina.images i WHERE i.id = m.image OFFSET 0 FOR NO KEY UPDATE) i;
        PERFORM FROM (SELECT f.id FROM lumina.duplicate_members m
                JOIN lumina.image_files f ON f.image = m.image AND f.state = 'keep'
                WHERE m.group_id = wanted ORDER BY f.id) f
            CROSS JOIN LATERAL (SELECT FROM lumina.image_files l WHERE l.id = f.id OFFSET 0 FOR NO KEY UPDATE) l;
        -- An import that adds a file locks the group to count what is left: wait for it, then see its file.
        SELECT * INTO target FROM lumina.duplicate_groups g WHERE g.id = wanted FOR NO KEY UPDATE;
    END IF;
    IF target.id IS NULL THEN
        RAISE undefined_object USING
            MESSAGE = format('group %s does not exist, or not any more: a newer search has replaced it', wanted),
            HINT = 'Look again: each search gives the groups new numbers, which lumina.duplicates(...) lists.';
    ELSIF target.decision IS NOT NULL THEN
        RAISE object_not_in_prerequisite_state USING
            MESSAGE = format('group %s was decided already, by action %s', wanted, target.decision),
            HINT = format('SELECT lumina.undo(%s) takes that back.', target.decision);
    END IF;
    RETURN target;
END $$;
REVOKE EXECUTE ON FUNCTION lumina_internal.group_to_decide(oid, int8) FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.group_to_decide(oid, int8) IS
    'Internal: a group that a caller may decide, with its catalog locked';

-- The images of a group, the one to keep first, with their statuses; those of them that have a file in a protected
-- source; their files, in the same order, each with its image and whether it goes where its image is kept; and the
-- protected sources. Raises where they are not those that were found.
CREATE FUNCTION lumina_internal.members_now(target lumina.duplicate_groups, OUT images int8[],
        OUT statuses lumina.image_status[], OUT protected int8[], OUT files int8[], OUT images_of_files int8[],
        OUT spare bool[], OUT protected_folders bytea, OUT preferred_folders bytea)
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    lists CONSTANT record := lumina_internal.file_lists(target.catalog);
BEGIN
    protected_folders := lists.protected;
    preferred_folders := lists.preferred;
    -- They come in this order.
    SELECT array_agg(m.image) FILTER (WHERE m.place_in_image = 1),
        array_agg(m.status) FILTER (WHERE m.place_in_image = 1),
        coalesce(array_agg(m.image) FILTER (WHERE m.place_in_image = 1 AND m.keeps_image), '{}'),
        array_agg(m.file), array_agg(m.image), array_agg(m.is_spare)
        INTO images, statuses, protected, files, images_of_files, spare
    FROM (SELECT * FROM lumina_internal.group_files(target.id, lists.preferred, lists.protected) f
        ORDER BY f.file_place) m;
    IF cardinality(images) IS DISTINCT FROM target.images OR cardinality(files) IS DISTINCT FROM target.files THEN
        RAISE object_not_in_prerequisite_state USING
            MESSAGE = format('group %s has changed since it was found', target.id),
            DETAIL = format('Images and files that are there and not rejected were %s and %s, and are %s and %s.',
                target.images, target.files, coalesce(cardinality(images), 0), coalesce(cardinality(files), 0)),
            HINT = 'Search again: SELECT lumina.detect_duplicates(...).';
    END IF;
END $$;
REVOKE EXECUTE ON FUNCTION lumina_internal.members_now(lumina.duplicate_groups) FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.members_now(lumina.duplicate_groups) IS
    'Internal: the images and files of a group; an error where they are not those that were found';

-- Records a decision of a group, which is hidden from then on, and goes with the next search; returns the action. It is
-- one statement: what a decision takes depends on how many it has.
CREATE FUNCTION lumina_internal.enact(target lumina.duplicate_groups, kind lumina.action_kind, caller oid,
        images int8, files int8, details jsonb) RETURNS int8
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    made int8;
BEGIN
    WITH acted AS (
        INSERT INTO lumina.duplicate_actions (catalog, kind, group_id, run, actor, images, files, details)
            VALUES (target.catalog, enact.kind, target.id, target.run, lumina_internal.role(caller),
                enact.images, enact.files, enact.details)
            RETURNING id
    ), hidden AS (
        UPDATE lumina.duplicate_groups g SET decision = a.id FROM acted a
            WHERE g.id = target.id AND g.run = target.run AND g.catalog = target.catalog
    ), noted AS (
        INSERT INTO lumina_internal.image_changes (catalog, group_id) VALUES (target.catalog, target.id)
    )
    SELECT a.id INTO made FROM acted a;
    RETURN made;
END $$;
REVOKE EXECUTE ON FUNCTION lumina_internal.enact(lumina.duplicate_groups, lumina.action_kind, oid, int8, int8, jsonb)
    FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.enact(lumina.duplicate_groups, lumina.action_kind, oid, int8, int8, jsonb) IS
    'Internal: records that a group was decided, and hides it; returns the action';

-- All names of some files, but those that are protected: what is decided of a file is decided of each. Also names that
-- are missing, which may be back one day.
CREATE FUNCTION lumina_internal.names_of(files int8[], protected bytea) RETURNS int8[]
    STABLE LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN ARRAY(SELECT DISTINCT o.id FROM unnest(files) n
        CROSS JOIN LATERAL (SELECT * FROM lumina.image_files f WHERE f.id = n OFFSET 0) f
        CROSS JOIN LATERAL (SELECT o.id, o.path FROM lumina.image_files o
            WHERE o.image = f.image AND o.state = 'keep'
                AND (o.id = f.id OR o.device = f.device AND o.inode = f.inode) OFFSET 0) o
        WHERE lumina_internal.is_below(protected, o.path) IS NOT TRUE
        ORDER BY o.id);
END $$;
REVOKE EXECUTE ON FUNCTION lumina_internal.names_of(int8[], bytea) FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.names_of(int8[], bytea) IS 'Internal: all names of some files that can be rejected';

-- Records that images stay apart, each in its part, and that several files of one image are wanted. What is recorded
-- has no other effect than on searches: the images stay as they are.
CREATE FUNCTION lumina_internal.keep_apart(of_action int8, of_catalog int8, of_group int8, images int8[], parts int4[],
        files int8[], images_of_files int8[]) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF cardinality(images) > 1 THEN
        WITH apart AS (
            SELECT p.image, p.part, i.sha256, i.status
            FROM ROWS FROM (unnest(images), unnest(parts)) p (image, part)
            CROSS JOIN LATERAL (SELECT i.sha256, i.status FROM lumina.images i WHERE i.id = p.image OFFSET 0) i
        ), audited AS (
            INSERT INTO lumina.action_images (action, catalog, group_id, image, part, before, after)
                SELECT of_action, of_catalog, of_group, a.image, a.part, a.status, a.status FROM apart a
        )
        INSERT INTO lumina.distinct_images (action, catalog, sha256, part)
            SELECT of_action, of_catalog, a.sha256, a.part FROM apart a;
    END IF;
    IF cardinality(files) > cardinality(images) THEN
        WITH wanted AS (
            SELECT DISTINCT n.file, f.image
            FROM (SELECT f.file, f.image, count(*) OVER (PARTITION BY f.image) AS files
                FROM ROWS FROM (unnest(files), unnest(images_of_files)) f (file, image)) f
            CROSS JOIN LATERAL unnest(lumina_internal.names_of(ARRAY[f.file], NULL)) n (file)
            WHERE f.files > 1 AND f.image = ANY (images)
        ), audited AS (
            INSERT INTO lumina.action_files (action, catalog, file, image, before, after)
                SELECT of_action, of_catalog, w.file, w.image, 'keep', 'keep' FROM wanted w
        )
        INSERT INTO lumina.distinct_files (action, catalog, file) SELECT of_action, of_catalog, w.file FROM wanted w;
    END IF;
END $$;
REVOKE EXECUTE ON FUNCTION lumina_internal.keep_apart(int8, int8, int8, int8[], int4[], int8[], int8[]) FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.keep_apart(int8, int8, int8, int8[], int4[], int8[], int8[]) IS
    'Internal: records images, and files of one image, that no search is to group again';

-- What rejected images know, and the one that is kept does not: one object an image, from it to the one that is kept.
-- A date counts where it is better known.
CREATE FUNCTION lumina_internal.carried(kept int8, rejected int8[], rejected_files int8[]) RETURNS jsonb
    -- In PL/pgSQL, which keeps its plans from call to call.
    STABLE LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN (WITH best AS MATERIALIZED (
        SELECT k.*, ARRAY(SELECT DISTINCT s.kind FROM lumina.image_files f JOIN lumina.sidecars s ON s.file = f.id
            WHERE f.image = kept AND f.state = 'keep') AS sidecars
        FROM lumina.images k WHERE k.id = kept
    ), facts AS (
        SELECT r.id, n.place, jsonb_build_object(
            'date', CASE WHEN r.captured_at IS NOT NULL
                    AND (k.captured_at IS NULL OR r.date_confidence > coalesce(k.date_confidence, 0))
                THEN jsonb_build_object('captured_at', r.captured_at, 'source', r.date_source,
                    'confidence', r.date_confidence) END,
            'place', CASE WHEN r.latitude IS NOT NULL AND r.longitude IS NOT NULL
                    AND (k.latitude IS NULL OR k.longitude IS NULL)
                THEN jsonb_build_object('latitude', r.latitude, 'longitude', r.longitude) END,
            'camera', CASE WHEN k.camera_make IS NULL AND k.camera_model IS NULL
                THEN nullif(jsonb_strip_nulls(jsonb_build_object('make', r.camera_make, 'model', r.camera_model)),
                    '{}') END,
            'lens', CASE WHEN k.lens_model IS NULL THEN r.lens_model END,
            -- Width and height are those of its own pixels.
            'metadata', nullif(r.metadata - '{has_time,suspicious_date,width,height}'::text[]
                - ARRAY(SELECT jsonb_object_keys(k.metadata)), '{}'),
            'sidecars', (SELECT jsonb_agg(jsonb_build_object('path', s.path, 'kind', s.kind) ORDER BY s.path)
                FROM lumina.image_files f JOIN lumina.sidecars s ON s.file = f.id
                WHERE f.image = r.id AND s.kind <> ALL (k.sidecars))) AS facts
        FROM best k CROSS JOIN unnest(rejected) WITH ORDINALITY n (image, place)
        JOIN lumina.images r ON r.id = n.image
        UNION ALL
        SELECT f.image, 0, jsonb_build_object('sidecars',
                jsonb_agg(jsonb_build_object('path', s.path, 'kind', s.kind) ORDER BY s.path))
        FROM best k CROSS JOIN unnest(rejected_files) n (file)
        JOIN lumina.image_files f ON f.id = n.file
        JOIN lumina.sidecars s ON s.file = f.id AND s.kind <> ALL (k.sidecars)
        GROUP BY f.image
    )
    SELECT coalesce(jsonb_agg(jsonb_build_object('from', o.id, 'to', kept) || o.facts ORDER BY o.place, o.id), '[]')
    FROM (SELECT f.id, f.place, jsonb_strip_nulls(f.facts) AS facts FROM facts f) o WHERE o.facts <> '{}');
END $$;
REVOKE EXECUTE ON FUNCTION lumina_internal.carried(int8, int8[], int8[]) FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.carried(int8, int8[], int8[]) IS
    'Internal: facts and sidecar files of rejected images that the one that is kept lacks';

-- Refuses to keep the first of some images where another one lies in a folder that is preferred by now, and was not
-- when they were found.
CREATE FUNCTION lumina_internal.refuse_outdated(target lumina.duplicate_groups, images int8[], preferred bytea)
    RETURNS void
    STABLE LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    first int8;
BEGIN
    IF NOT lumina_internal.is_outdated(target.catalog) THEN
        RETURN;
    END IF;
    -- No folder makes a damaged image better than a whole one.
    SELECT n.image INTO first FROM unnest(images) WITH ORDINALITY n (image, place)
        JOIN lumina.images i ON i.id = n.image
        JOIN lumina.images k ON k.id = images[1]
            AND (k.truncated OR k.damaged_data OR NOT (i.truncated OR i.damaged_data))
        CROSS JOIN LATERAL (SELECT min(coalesce(lumina_internal.folder_rank(preferred, f.path), 65536)) AS folder
            FROM lumina.image_files f
            WHERE f.image = n.image AND f.state = 'keep' AND f.missing_since IS NULL OFFSET 0) f
        ORDER BY f.folder, n.place LIMIT 1;
    IF first <> images[1] THEN
        RAISE object_not_in_prerequisite_state USING
            MESSAGE = format('preferred folders have changed since group %s was found: image %s is in one, and '
                'image %s would be kept', target.id, first, images[1]),
            HINT = format('Search again, or name the image to keep: SELECT lumina.resolve(%s, keep => ''{%s}'').',
                target.id, first);
    END IF;
END $$;
REVOKE EXECUTE ON FUNCTION lumina_internal.refuse_outdated(lumina.duplicate_groups, int8[], bytea) FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.refuse_outdated(lumina.duplicate_groups, int8[], bytea) IS
    'Internal: an error where preferred folders have changed what is to be kept of a group';

-- Decides a group: keeps these of its images, or the best for NULL.
CREATE FUNCTION lumina_internal.decide(caller oid, kind lumina.action_kind, of_group int8, keep int8[],
        OUT action int8, OUT kept int8[], OUT rejected int8[], OUT rejected_files int8[], OUT carried jsonb)
    -- Planning takes longer than a decision: a plan is as good for few images as for many.
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
    target lumina.duplicate_groups := lumina_internal.group_to_decide(caller, of_group);
    members record := lumina_internal.members_now(target);
    wrong int8;
    was lumina.image_status[];
    done int8;
BEGIN
    kept := keep;
    IF keep IS NULL THEN
        IF members.preferred_folders IS NOT NULL THEN
            PERFORM lumina_internal.refuse_outdated(target, members.images, members.preferred_folders);
        END IF;
        kept := members.images[1:1];
        rejected := members.images[2:];
        was := members.statuses[2:];
    ELSE
        SELECT k INTO wrong FROM unnest(keep) k WHERE k <> ALL (members.images) LIMIT 1;
        IF wrong IS NOT NULL THEN
            RAISE invalid_parameter_value USING MESSAGE = format('image %s is not in group %s', wrong, of_group),
                HINT = 'lumina.duplicate_members lists the images of each group.';
        END IF;
        SELECT array_agg(i.image ORDER BY i.place) FILTER (WHERE i.is_kept),
                coalesce(array_agg(i.image ORDER BY i.place) FILTER (WHERE NOT i.is_kept), '{}'),
                coalesce(array_agg(i.status ORDER BY i.place) FILTER (WHERE NOT i.is_kept), '{}')
            INTO kept, rejected, was
            FROM (SELECT a.*, a.image = ANY (keep) AS is_kept
                FROM ROWS FROM (unnest(members.images), unnest(members.statuses)) WITH ORDINALITY
                    a (image, status, place)) i;
    END IF;
    IF rejected && members.protected THEN
        SELECT p INTO wrong FROM unnest(members.protected) p WHERE p = ANY (rejected) LIMIT 1;
        RAISE object_not_in_prerequisite_state USING
            MESSAGE = format('image %s has a file in a protected source, and is never rejected', wrong),
            HINT = format('Keep it: SELECT lumina.resolve(%s, keep => %L).', of_group,
                kept || ARRAY(SELECT p FROM unnest(members.protected) p WHERE p <> ALL (kept)));
    END IF;
    rejected_files := '{}';
    IF cardinality(members.files) > cardinality(members.images) THEN
        rejected_files := lumina_internal.names_of(
            ARRAY(SELECT f.file
                FROM ROWS FROM (unnest(members.files), unnest(members.images_of_files), unnest(members.spare))
                    f (file, image, spare)
                WHERE f.spare AND f.image = ANY (kept)),
            members.protected_folders);
    END IF;

    decide.action := lumina_internal.enact(target, decide.kind, caller, cardinality(rejected),
        cardinality(rejected_files), NULL);
    IF cardinality(rejected) > 0 THEN
        WITH changed AS (
            UPDATE lumina.images i SET status = 'rejected'
                FROM ROWS FROM (unnest(rejected), unnest(was)) r (image, was)
                WHERE i.id = r.image AND i.status = r.was
                RETURNING i.id, r.was
        )
        INSERT INTO lumina.action_images (action, catalog, group_id, image, kept, before, after)
            SELECT decide.action, target.catalog, of_group, c.id, decide.kept[1], c.was, 'rejected' FROM changed c;
        GET DIAGNOSTICS done = ROW_COUNT;
        IF done <> cardinality(rejected) THEN
            RAISE serialization_failure USING MESSAGE = format('group %s changes at this moment', of_group),
                HINT = 'Try again.';
        END IF;
    END IF;
    IF cardinality(rejected_files) > 0 THEN
        WITH changed AS (
            UPDATE lumina.image_files f SET state = 'rejected'
                WHERE f.id = ANY (rejected_files) AND f.state = 'keep' AND f.image = ANY (kept)
                RETURNING f.id, f.image
        )
        INSERT INTO lumina.action_files (action, catalog, file, image, before, after)
            SELECT decide.action, target.catalog, c.id, c.image, 'keep', 'rejected' FROM changed c;
        GET DIAGNOSTICS done = ROW_COUNT;
        IF done <> cardinality(rejected_files) THEN
            RAISE serialization_failure USING MESSAGE = format('group %s changes at this moment', of_group),
                HINT = 'Try again.';
        END IF;
    END IF;
    IF cardinality(kept) > 1 THEN
        PERFORM lumina_internal.keep_apart(decide.action, target.catalog, of_group, kept,
            ARRAY(SELECT generate_series(0, cardinality(kept) - 1)), '{}', '{}');
    END IF;
    carried := lumina_internal.carried(kept[1], rejected, rejected_files);
    IF (SELECT c.settings ? 'on_resolve' FROM lumina.catalogs c WHERE c.id = target.catalog) THEN
        PERFORM lumina_internal.run_hook(target.catalog, decide.action);
    END IF;
END $$;
REVOKE EXECUTE ON FUNCTION lumina_internal.decide(oid, lumina.action_kind, int8, int8[]) FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.decide(oid, lumina.action_kind, int8, int8[]) IS
    'Internal: keeps some images of a group, or the best, and rejects the others';

CREATE FUNCTION lumina_internal.keep_best(caller oid, group_id int8, OUT action int8, OUT kept int8[],
        OUT rejected int8[], OUT rejected_files int8[], OUT carried jsonb)
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    SELECT d.* INTO action, kept, rejected, rejected_files, carried
        FROM lumina_internal.decide(caller, 'keep_best', keep_best.group_id, NULL) d;
END $$;
REVOKE EXECUTE ON FUNCTION lumina_internal.keep_best(oid, int8) FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.keep_best(oid, int8) IS 'Internal: keep_best for a caller';
CREATE FUNCTION lumina.keep_best(group_id int8, OUT action int8, OUT kept int8[], OUT rejected int8[],
        OUT rejected_files int8[], OUT carried jsonb)
    LANGUAGE c AS 'MODULE_PATHNAME', 'as_owner';
COMMENT ON FUNCTION lumina.keep_best(int8) IS
    'Keeps the best image of a group, one file of it, and rejects the others; no file is touched; lumina.undo(action) '
    'takes it back';

CREATE FUNCTION lumina_internal.resolve(caller oid, group_id int8, keep int8[], OUT action int8, OUT kept int8[],
        OUT rejected int8[], OUT rejected_files int8[], OUT carried jsonb)
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    wrong int8;
BEGIN
    IF array_ndims(resolve.keep) > 1 THEN
        RAISE invalid_parameter_value USING MESSAGE = 'keep is not a list, but an array of more dimensions',
            HINT = 'Write ARRAY[7, 8], say.';
    ELSIF resolve.keep IS NULL OR array_position(resolve.keep, NULL) IS NOT NULL THEN
        RAISE null_value_not_allowed USING MESSAGE = 'keep must not be NULL, nor hold one',
            HINT = 'Give the numbers of the images to keep; lumina.keep_best(...) keeps the best.';
    ELSIF cardinality(resolve.keep) = 0 THEN
        RAISE invalid_parameter_value USING MESSAGE = 'at least one image must be kept',
            HINT = 'Give the numbers of the images to keep.';
    END IF;
    SELECT k INTO wrong FROM unnest(resolve.keep) k GROUP BY k HAVING count(*) > 1 LIMIT 1;
    IF wrong IS NOT NULL THEN
        RAISE invalid_parameter_value USING MESSAGE = format('image %s is to be kept twice', wrong),
            HINT = 'Give each image once.';
    END IF;
    SELECT d.* INTO action, kept, rejected, rejected_files, carried
        FROM lumina_internal.decide(caller, 'resolve', resolve.group_id, resolve.keep) d;
END $$;
REVOKE EXECUTE ON FUNCTION lumina_internal.resolve(oid, int8, int8[]) FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.resolve(oid, int8, int8[]) IS 'Internal: resolve for a caller';
CREATE FUNCTION lumina.resolve(group_id int8, keep int8[], OUT action int8, OUT kept int8[], OUT rejected int8[],
        OUT rejected_files int8[], OUT carried jsonb)
    LANGUAGE c AS 'MODULE_PATHNAME', 'as_owner';
COMMENT ON FUNCTION lumina.resolve(int8, int8[]) IS
    'Keeps these images of a group, one file of each, and rejects the others; no file is touched; lumina.undo(action) '
    'takes it back';

CREATE FUNCTION lumina_internal.keep_all(caller oid, group_id int8) RETURNS int8
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
    target lumina.duplicate_groups := lumina_internal.group_to_decide(caller, keep_all.group_id);
    members record := lumina_internal.members_now(target);
    made CONSTANT int8 := lumina_internal.enact(target, 'keep_all', caller, 0, 0, NULL);
BEGIN
    PERFORM lumina_internal.keep_apart(made, target.catalog, target.id, members.images,
        ARRAY(SELECT generate_series(0, cardinality(members.images) - 1)), members.files, members.images_of_files);
    RETURN made;
END $$;
REVOKE EXECUTE ON FUNCTION lumina_internal.keep_all(oid, int8) FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.keep_all(oid, int8) IS 'Internal: keep_all for a caller';
CREATE FUNCTION lumina.keep_all(group_id int8) RETURNS int8 LANGUAGE c AS 'MODULE_PATHNAME', 'as_owner';
COMMENT ON FUNCTION lumina.keep_all(int8) IS
    'Keeps all images and files of a group: no later search groups them with each other again; returns the action';
