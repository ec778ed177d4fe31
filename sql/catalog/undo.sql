-- Undo: takes a decision back, where everything that it has changed is still as it left it.
--
-- Statuses, states of files, what is kept apart and the group itself become what they were before. An undo has no rows
-- of its own in action_images and action_files: they would be those of the action that it undoes, before and after
-- exchanged. It calls no hook.

-- Puts the members of a split group back, where the run is still there.
CREATE FUNCTION lumina_internal.undo_split(target lumina.duplicate_actions) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    made int8[] := ARRAY(SELECT g::int8 FROM jsonb_array_elements_text(target.details->'groups') g);
    decided record;
BEGIN
    SELECT g.id, g.decision INTO decided FROM lumina.duplicate_groups g
        WHERE g.id = ANY (made) AND g.decision IS NOT NULL LIMIT 1;
    IF decided.id IS NOT NULL THEN
        RAISE object_not_in_prerequisite_state USING
            MESSAGE = format('group %s, which action %s has made, was decided since, by action %s', decided.id,
                target.id, decided.decision),
            HINT = format('SELECT lumina.undo(%s) first.', decided.decision);
    END IF;
    IF NOT EXISTS (SELECT FROM lumina.duplicate_groups g WHERE g.id = target.group_id) THEN
        RETURN;
    END IF;
    UPDATE lumina.duplicate_members d SET group_id = target.group_id, place = (m.row->>1)::int4,
            distance = (m.row->>2)::int2, ahash_distance = (m.row->>3)::int2, dhash_distance = (m.row->>4)::int2,
            dct_distance = (m.row->>5)::int2, pdq_distance = (m.row->>6)::int2
        FROM jsonb_array_elements(target.details->'members') m (row)
        WHERE d.image = (m.row->>0)::int8 AND d.run = target.run AND d.group_id = ANY (made);
    DELETE FROM lumina.duplicate_groups g
        WHERE g.id = ANY (made) AND g.run = target.run AND g.catalog = target.catalog;
END $$;
REVOKE EXECUTE ON FUNCTION lumina_internal.undo_split(lumina.duplicate_actions) FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.undo_split(lumina.duplicate_actions) IS
    'Internal: puts the members of a group that was split back';

-- Puts back the statuses that an action has changed; returns how many. A function of its own for actions on many
-- images, of which the planner knows nothing: they are read from end to end, not looked up one by one.
CREATE FUNCTION lumina_internal.restore_many(of_action int8, of_catalog int8) RETURNS int8
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET jit = off SET enable_nestloop = off
AS $$
DECLARE
    done int8;
BEGIN
    UPDATE lumina.images i SET status = a.before FROM lumina.action_images a
        WHERE a.action = of_action AND a.part IS NULL AND i.id = a.image AND i.status = a.after
            AND i.catalog = of_catalog;
    GET DIAGNOSTICS done = ROW_COUNT;
    RETURN done;
END $$;
REVOKE EXECUTE ON FUNCTION lumina_internal.restore_many(int8, int8) FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.restore_many(int8, int8) IS
    'Internal: puts back the statuses of many images that an action has changed';

CREATE FUNCTION lumina_internal.undo(caller oid, action int8) RETURNS int8
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET jit = off
    SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    target lumina.duplicate_actions;
    rights lumina.access_right[];
    undone int8;
    done int8;
    wrong text;
    made int8;
    groups int8[];
BEGIN
    IF undo.action IS NULL THEN
        RAISE null_value_not_allowed USING MESSAGE = 'action must not be NULL',
            HINT = 'Give the number of an action: TABLE lumina.action_history lists them.';
    END IF;
    PERFORM lumina_internal.refuse_in_hook();
    SELECT * INTO target FROM lumina.duplicate_actions a WHERE a.id = undo.action;
    rights := lumina_internal.rights(caller, target.catalog);
    IF rights IS NULL THEN
        RAISE undefined_object USING MESSAGE = format('action %s does not exist', undo.action),
            HINT = 'TABLE lumina.action_history lists those that you may see.';
    ELSIF NOT 'curate' = ANY (rights) THEN
        PERFORM lumina_internal.catalog(caller, c.name, 'curate') FROM lumina.catalogs c WHERE c.id = target.catalog;
    END IF;
    PERFORM FROM lumina.catalogs c WHERE c.id = target.catalog FOR NO KEY UPDATE;
    IF target.kind = 'undo' THEN
        RAISE object_not_in_prerequisite_state USING MESSAGE = format('action %s is an undo itself', target.id),
            HINT = format('Decide again what action %s had decided.', target.undo_of);
    END IF;
    SELECT a.id INTO undone FROM lumina.duplicate_actions a WHERE a.undo_of = target.id;
    IF undone IS NOT NULL THEN
        RAISE object_not_in_prerequisite_state USING
            MESSAGE = format('action %s was undone already, by action %s', target.id, undone),
            HINT = 'What it had decided can be decided again.';
    END IF;

    IF target.images > 10000 THEN
        done := lumina_internal.restore_many(target.id, target.catalog);
    ELSE
        UPDATE lumina.images i SET status = a.before FROM lumina.action_images a
            WHERE a.action = target.id AND a.part IS NULL AND i.id = a.image AND i.status = a.after
                AND i.catalog + 0 = target.catalog;
        GET DIAGNOSTICS done = ROW_COUNT;
    END IF;
    IF done <> target.images THEN
        SELECT CASE WHEN i.id IS NULL THEN format('image %s is gone', a.image)
                ELSE format('image %s is %s by now, not %s', a.image, i.status, a.after) END INTO wrong
            FROM lumina.action_images a
            LEFT JOIN LATERAL (SELECT i.id, i.status FROM lumina.images i WHERE i.id = a.image OFFSET 0) i ON true
            -- Those that are as they were left were put back just now.
            WHERE a.action = target.id AND a.part IS NULL AND i.status IS DISTINCT FROM a.before LIMIT 1;
        RAISE object_not_in_prerequisite_state USING
            MESSAGE = format('action %s cannot be undone: %s', target.id,
                coalesce(wrong, 'an image has become by other means what it was before')),
            HINT = 'It is all or nothing: lumina.set_image_status(...) changes single images.';
    END IF;
    UPDATE lumina.image_files f SET state = a.before FROM lumina.action_files a
        WHERE a.action = target.id AND a.before <> a.after AND f.id = a.file AND f.state = a.after
            AND f.image + 0 = a.image;
    GET DIAGNOSTICS done = ROW_COUNT;
    IF done <> target.files THEN
        SELECT CASE WHEN f.id IS NULL THEN format('file %s is gone', a.file)
                WHEN f.image <> a.image THEN format('file %s is another picture by now', f.path)
                ELSE format('file %s has the state %s by now, not %s', f.path, f.state, a.after) END INTO wrong
            FROM lumina.action_files a
            LEFT JOIN LATERAL (SELECT * FROM lumina.image_files f WHERE f.id = a.file OFFSET 0) f ON true
            WHERE a.action = target.id AND a.before <> a.after
                AND (f.state IS DISTINCT FROM a.before OR f.image <> a.image) LIMIT 1;
        RAISE object_not_in_prerequisite_state USING
            MESSAGE = format('action %s cannot be undone: %s', target.id,
                coalesce(wrong, 'a file has become by other means what it was before')),
            HINT = 'It is all or nothing.';
    END IF;
    IF target.kind = 'split_group' THEN
        PERFORM lumina_internal.undo_split(target);
    END IF;
    DELETE FROM lumina.distinct_images d WHERE d.action = target.id;
    DELETE FROM lumina.distinct_files d WHERE d.action = target.id;
    IF target.kind = 'keep_best_in_all' THEN
        WITH opened AS (
            UPDATE lumina.duplicate_groups g SET decision = NULL
                WHERE g.decision = target.id AND g.catalog = target.catalog RETURNING g.id
        )
        SELECT array_agg(o.id) INTO groups FROM opened o;
    ELSIF target.group_id IS NOT NULL THEN
        UPDATE lumina.duplicate_groups g SET decision = NULL
            WHERE g.id = target.group_id AND g.run = target.run AND g.catalog = target.catalog
                AND g.decision = target.id;
        groups := ARRAY[target.group_id];
    END IF;
    -- They were hidden, and not counted.
    PERFORM lumina_internal.refresh_groups(groups);
    INSERT INTO lumina.duplicate_actions (catalog, kind, group_id, run, actor, images, files, undo_of)
        VALUES (target.catalog, 'undo', target.group_id, target.run, lumina_internal.role(caller), target.images,
            target.files, target.id)
        RETURNING id INTO made;
    RETURN made;
END $$;
REVOKE EXECUTE ON FUNCTION lumina_internal.undo(oid, int8) FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.undo(oid, int8) IS 'Internal: undo for a caller';
CREATE FUNCTION lumina.undo(action int8) RETURNS int8 LANGUAGE c AS 'MODULE_PATHNAME', 'as_owner';
COMMENT ON FUNCTION lumina.undo(int8) IS
    'Takes a decision back, where nothing that it changed has changed since; returns the action that undoes it';
