-- Why two images are a pair, or none: each thing that a search for duplicates looks at, in its order.

CREATE TYPE lumina.pair_reason AS (aspect text, outcome text, detail text);
COMMENT ON TYPE lumina.pair_reason IS
    'What a search for duplicates looks at; whether it speaks for a pair, against it, or neither; in words';

CREATE FUNCTION lumina_internal.pair_reason(aspect text, outcome text, detail text) RETURNS lumina.pair_reason
    IMMUTABLE LANGUAGE sql SET search_path = pg_catalog, pg_temp
RETURN ROW(aspect, outcome, detail)::lumina.pair_reason;
REVOKE EXECUTE ON FUNCTION lumina_internal.pair_reason(text, text, text) FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.pair_reason(text, text, text) IS 'Internal: makes a reason';

-- The rule that a search would use: that of the current groups, else the default.
CREATE FUNCTION lumina_internal.current_rule(of_catalog int8) RETURNS jsonb
    STABLE STRICT LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT coalesce((SELECT r.rule FROM lumina.duplicate_runs r WHERE r.catalog = of_catalog AND r.is_current),
        '[{"ahash": 5, "dhash": 5}]');
END;
REVOKE EXECUTE ON FUNCTION lumina_internal.current_rule(int8) FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.current_rule(int8) IS
    'Internal: the pair rule of the current groups of a catalog, or the default';

-- What of one image alone keeps it out of every pair.
CREATE FUNCTION lumina_internal.explain_image(i lumina.images) RETURNS SETOF lumina.pair_reason
    STABLE LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    raw int8;
BEGIN
    IF i.status = 'rejected' THEN
        RETURN NEXT lumina_internal.pair_reason('status', 'against',
            format('image %s was rejected: it is not compared', i.id));
    END IF;
    IF NOT EXISTS (SELECT FROM lumina.image_files f
            WHERE f.image = i.id AND f.state = 'keep' AND f.missing_since IS NULL) THEN
        RETURN NEXT lumina_internal.pair_reason('files', 'against', format('image %s has no file any more', i.id));
    END IF;
    IF NOT i.hash_valid THEN
        RETURN NEXT lumina_internal.pair_reason('hashes', 'against', format(
            'the hashes of image %s are not to be trusted: %s', i.id,
            CASE WHEN i.pdq IS NULL THEN 'it was not decoded' ELSE 'the picture is flat' END));
    END IF;
    IF i.format IN ('jpeg', 'heic') THEN
        SELECT r.image INTO raw FROM lumina.image_files f
            CROSS JOIN LATERAL (SELECT o.image FROM lumina.image_files o JOIN lumina.images ri ON ri.id = o.image
                WHERE o.stem = f.stem AND o.catalog + 0 = f.catalog AND o.image <> f.image AND o.state = 'keep'
                    AND o.missing_since IS NULL AND lumina_internal.is_sibling(i, ri) OFFSET 0) r
            WHERE f.image = i.id AND f.state = 'keep' AND f.missing_since IS NULL LIMIT 1;
        IF raw IS NOT NULL THEN
            RETURN NEXT lumina_internal.pair_reason('raw and JPEG', 'against',
                format('image %s is the picture that the camera wrote beside the raw file of image %s: it goes with '
                    'that, unless raw_jpeg => ''duplicate''', i.id, raw));
        END IF;
    END IF;
END $$;
REVOKE EXECUTE ON FUNCTION lumina_internal.explain_image(lumina.images) FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.explain_image(lumina.images) IS
    'Internal: what of one image keeps it out of every pair';

-- The hashes against the rule, alternative by alternative.
CREATE FUNCTION lumina_internal.explain_hashes(a lumina.images, b lumina.images, rule jsonb)
    RETURNS SETOF lumina.pair_reason
    STABLE LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    distances jsonb := jsonb_build_object(
        'ahash', a.ahash OPERATOR(@extschema@.<~>) b.ahash, 'dhash', a.dhash OPERATOR(@extschema@.<~>) b.dhash,
        'dct', a.dct OPERATOR(@extschema@.<~>) b.dct, 'pdq', a.pdq OPERATOR(@extschema@.<~>) b.pdq);
    hash record;
    alternative record;
    is_met bool;
BEGIN
    FOR hash IN SELECT * FROM jsonb_each_text(distances) LOOP
        RETURN NEXT lumina_internal.pair_reason(hash.key, 'info', format('%s bits of %s differ',
            coalesce(hash.value, 'unknown'), CASE hash.key WHEN 'pdq' THEN 256 ELSE 64 END));
    END LOOP;
    FOR alternative IN SELECT * FROM jsonb_array_elements(rule) WITH ORDINALITY AS e (wanted, number) LOOP
        SELECT bool_and((distances ->> w.key)::int4 <= w.value::int4) INTO is_met
            FROM jsonb_each_text(alternative.wanted) w;
        RETURN NEXT lumina_internal.pair_reason(CASE WHEN jsonb_array_length(rule) = 1 THEN 'rule'
                ELSE format('alternative %s of the rule', alternative.number) END,
            CASE WHEN is_met THEN 'for' ELSE 'against' END,
            (SELECT string_agg(format('%s is %s, and at most %s is near', w.key, distances ->> w.key, w.value), '; '
                ORDER BY w.key) FROM jsonb_each_text(alternative.wanted) w));
    END LOOP;
END $$;
REVOKE EXECUTE ON FUNCTION lumina_internal.explain_hashes(lumina.images, lumina.images, jsonb) FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.explain_hashes(lumina.images, lumina.images, jsonb) IS
    'Internal: the distances of two images against a pair rule';

-- What keeps two images apart, however near they are.
CREATE FUNCTION lumina_internal.explain_apart(a lumina.images, b lumina.images) RETURNS SETOF lumina.pair_reason
    STABLE LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT 'burst', CASE WHEN f.shot <> o.shot THEN 'against' ELSE 'info' END,
        CASE WHEN f.shot <> o.shot THEN
            format('they are different shots of burst %s, %s and %s', f.burst, f.shot, o.shot)
        ELSE format('they are in burst %s, and copies of one shot or not known to be different ones', f.burst) END
    FROM lumina.burst_frames f JOIN lumina.burst_frames o ON o.image = b.id AND o.burst = f.burst
    WHERE f.image = a.id
    UNION ALL
    SELECT 'decision', CASE WHEN d.part <> o.part THEN 'against' ELSE 'info' END,
        format(CASE WHEN d.part <> o.part THEN '%s of %s, action %s, called them different'
            ELSE '%s of %s, action %s, left them together' END,
            (SELECT x.kind FROM lumina.duplicate_actions x WHERE x.id = d.action AND x.catalog = d.catalog),
            (SELECT x.actor FROM lumina.duplicate_actions x WHERE x.id = d.action AND x.catalog = d.catalog), d.action)
    FROM lumina.distinct_images d
    JOIN lumina.distinct_images o ON o.action = d.action AND o.sha256 = b.sha256
    WHERE d.sha256 = a.sha256 AND d.catalog = a.catalog;
END;
REVOKE EXECUTE ON FUNCTION lumina_internal.explain_apart(lumina.images, lumina.images) FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.explain_apart(lumina.images, lumina.images) IS
    'Internal: the bursts and the decisions that two images have in common';

-- What keeps an image out of a group, though it is near a member: a decision about both, or a burst of which they are
-- different shots. Both NULL where nothing does: it is not near all members, then. Without SET: so it is inlined.
CREATE FUNCTION lumina_internal.apart_from(of_image int8, of_group int8) RETURNS TABLE (action int8, burst int8)
    STABLE LANGUAGE sql
BEGIN ATOMIC
    SELECT (SELECT min(o.action) FROM lumina.images i
            JOIN lumina.distinct_images o ON o.sha256 = i.sha256 AND o.catalog = i.catalog
            JOIN lumina.distinct_images d ON d.action = o.action AND d.part <> o.part
            JOIN lumina.images k ON k.sha256 = d.sha256 AND k.catalog = d.catalog
            JOIN lumina.duplicate_members m ON m.image = k.id AND m.group_id = of_group
            WHERE i.id = of_image),
        (SELECT min(f.burst) FROM lumina.burst_frames f
            JOIN lumina.burst_frames o ON o.burst = f.burst AND o.shot <> f.shot
            JOIN lumina.duplicate_members m ON m.image = o.image AND m.group_id = of_group
            WHERE f.image = of_image);
END;
REVOKE EXECUTE ON FUNCTION lumina_internal.apart_from(int8, int8) FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.apart_from(int8, int8) IS
    'Internal: the decision or the burst that keeps an image out of a group';

CREATE FUNCTION lumina_internal.kept_apart(caller oid, group_id int8)
    RETURNS TABLE (image int8, path text, action int8, burst int8)
    STABLE LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    target lumina.duplicate_groups;
BEGIN
    SELECT * INTO target FROM lumina.duplicate_groups g
        WHERE g.id = kept_apart.group_id AND lumina_internal.rights(caller, g.catalog) IS NOT NULL;
    IF target.id IS NULL THEN
        RAISE undefined_object USING
            MESSAGE = format('group %s does not exist, or not any more: a newer search has replaced it',
                coalesce(kept_apart.group_id::text, 'NULL')),
            HINT = 'Look again: each search gives the groups new numbers, which lumina.duplicates(...) lists.';
    END IF;
    RETURN QUERY SELECT n.image, p.path, a.action, a.burst
        FROM unnest(target.also_near) WITH ORDINALITY n (image, place)
        LEFT JOIN lumina_internal.paths_of(target.also_near) p ON p.place = n.place
        CROSS JOIN LATERAL lumina_internal.apart_from(n.image, target.id) a
        WHERE a.action IS NOT NULL OR a.burst IS NOT NULL
        ORDER BY n.place;
END $$;
REVOKE EXECUTE ON FUNCTION lumina_internal.kept_apart(oid, int8) FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.kept_apart(oid, int8) IS 'Internal: kept_apart for a caller';
CREATE FUNCTION lumina.kept_apart(group_id int8) RETURNS TABLE (image int8, path text, action int8, burst int8)
    STABLE LANGUAGE c AS 'MODULE_PATHNAME', 'as_owner';
COMMENT ON FUNCTION lumina.kept_apart(int8) IS
    'Images that are near a member of a group, and that a decision or a burst keeps out of it';

CREATE FUNCTION lumina_internal.explain_pair(caller oid, first_image int8, second_image int8)
    RETURNS SETOF lumina.pair_reason
    STABLE LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    a lumina.images;
    b lumina.images;
    reason lumina.pair_reason;
    keeps_out bool := false;
    is_near bool := false;
    is_apart bool := false;
    group_of_a int8;
    group_of_b int8;
    decided_by int8;
    has_run bool;
    apart record;
BEGIN
    IF first_image IS NULL OR second_image IS NULL THEN
        RAISE null_value_not_allowed USING MESSAGE = 'an image must not be NULL',
            HINT = 'Give the ids of two images, as lumina.images has them.';
    END IF;
    SELECT * INTO a FROM lumina.images i WHERE i.id = first_image
        AND lumina_internal.rights(caller, i.catalog) IS NOT NULL;
    SELECT * INTO b FROM lumina.images i WHERE i.id = second_image
        AND lumina_internal.rights(caller, i.catalog) IS NOT NULL;
    IF a.id IS NULL OR b.id IS NULL THEN
        RAISE undefined_object USING MESSAGE = format('image %s does not exist',
                CASE WHEN a.id IS NULL THEN first_image ELSE second_image END),
            HINT = 'lumina.images lists those that you may see.';
    ELSIF a.id = b.id THEN
        RAISE invalid_parameter_value USING MESSAGE = format('image %s was given twice', a.id),
            HINT = 'Files of one image have the same bytes: they are exact duplicates.';
    ELSIF a.catalog <> b.catalog THEN
        RAISE invalid_parameter_value USING
            MESSAGE = format('images %s and %s are of different catalogs', a.id, b.id),
            HINT = 'Only images of one catalog are compared.';
    END IF;
    FOR reason IN SELECT * FROM lumina_internal.explain_image(a)
            UNION ALL SELECT * FROM lumina_internal.explain_image(b) LOOP
        keeps_out := true;
        RETURN NEXT reason;
    END LOOP;
    FOR reason IN SELECT * FROM lumina_internal.explain_hashes(a, b, lumina_internal.current_rule(a.catalog)) LOOP
        is_near := is_near OR reason.outcome = 'for';
        RETURN NEXT reason;
    END LOOP;
    FOR reason IN SELECT * FROM lumina_internal.explain_apart(a, b) LOOP
        is_apart := is_apart OR reason.outcome = 'against';
        RETURN NEXT reason;
    END LOOP;
    RETURN NEXT lumina_internal.pair_reason('pair',
        CASE WHEN is_near AND NOT keeps_out AND NOT is_apart THEN 'for' ELSE 'against' END,
        CASE WHEN keeps_out THEN 'no pair: not both are compared'
            WHEN NOT is_near THEN 'no pair: they are not near by the rule'
            WHEN is_apart THEN 'no pair: they are near, but kept apart'
            ELSE 'a pair' END);
    SELECT m.group_id, g.decision INTO group_of_a, decided_by FROM lumina.duplicate_members m
        JOIN lumina.duplicate_runs r ON r.id = m.run AND r.is_current
        JOIN lumina.duplicate_groups g ON g.id = m.group_id WHERE m.image = a.id;
    SELECT m.group_id INTO group_of_b FROM lumina.duplicate_members m
        JOIN lumina.duplicate_runs r ON r.id = m.run AND r.is_current WHERE m.image = b.id;
    has_run := EXISTS (SELECT FROM lumina.duplicate_runs r WHERE r.catalog = a.catalog AND r.is_current);
    SELECT * INTO apart FROM (SELECT b.id AS image, group_of_a AS group_id UNION ALL SELECT a.id, group_of_b) n
        CROSS JOIN LATERAL lumina_internal.apart_from(n.image, n.group_id) x
        WHERE x.action IS NOT NULL OR x.burst IS NOT NULL LIMIT 1;
    RETURN NEXT lumina_internal.pair_reason('groups', 'info', CASE
        WHEN NOT has_run THEN 'nothing was searched yet: SELECT lumina.detect_duplicates(...)'
        WHEN group_of_a = group_of_b THEN concat('both are in group ', group_of_a,
            ', which was decided by action ' || decided_by)
        WHEN group_of_a IS NULL AND group_of_b IS NULL THEN 'neither is in a group'
        ELSE format('image %s is in %s, image %s in %s', a.id, coalesce('group ' || group_of_a, 'none'),
            b.id, coalesce('group ' || group_of_b, 'none')) END
        || CASE WHEN is_near AND NOT keeps_out AND NOT is_apart AND has_run
                AND group_of_a IS DISTINCT FROM group_of_b AND (group_of_a IS NOT NULL OR group_of_b IS NOT NULL)
            THEN CASE WHEN apart.image IS NULL THEN ': a group takes what is near all of its images, the nearest '
                    'first; or one of them is newer than the search'
                ELSE format(': image %s is kept out of group %s by %s, which concerns another image of the group',
                    apart.image, apart.group_id, coalesce('action ' || apart.action, 'burst ' || apart.burst)) END
            ELSE '' END);
END $$;
REVOKE EXECUTE ON FUNCTION lumina_internal.explain_pair(oid, int8, int8) FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.explain_pair(oid, int8, int8) IS 'Internal: explain_pair for a caller';
CREATE FUNCTION lumina.explain_pair(a int8, b int8) RETURNS SETOF lumina.pair_reason
    STABLE LANGUAGE c AS 'MODULE_PATHNAME', 'as_owner';
COMMENT ON FUNCTION lumina.explain_pair(int8, int8) IS
    'Why two images of a catalog are a pair, or none: their distances, the rule, bursts, decisions, in words';
