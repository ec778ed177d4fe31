-- Splitting a group: some of its images are one picture, the others another.
--
-- A part of two images or more, or of one with several files, is a group of its own from then on, of the same run. The
-- group that is split stays as a row, decided, for the undo; members that are alone stay in it.

-- The distance of a group or member, of 64 bits, by the rule of its run: the largest of an alternative, in the
-- alternative where that is smallest.
CREATE FUNCTION lumina_internal.rule_distance(rule jsonb, ahash int4, dhash int4, dct int4, pdq int4) RETURNS int2
    IMMUTABLE LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT min(a.distance)::int2 FROM (
        SELECT (SELECT max(CASE h.hash WHEN 'ahash' THEN ahash WHEN 'dhash' THEN dhash WHEN 'dct' THEN dct
                ELSE (pdq + 3) / 4 END) FROM jsonb_object_keys(r.alternative) h (hash)) AS distance
        FROM jsonb_array_elements(rule) r (alternative)) a;
END;
REVOKE EXECUTE ON FUNCTION lumina_internal.rule_distance(jsonb, int4, int4, int4, int4) FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.rule_distance(jsonb, int4, int4, int4, int4) IS
    'Internal: distances by hash as one distance, of 64 bits';

-- Makes a group of members of another one, given in their order; returns its number.
CREATE FUNCTION lumina_internal.split_off(target lumina.duplicate_groups, images int8[]) RETURNS int8
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    -- Of larger groups the distance stays an upper bound: pairs are too many.
    most_images CONSTANT int4 := 500;
    rule jsonb := (SELECT r.rule FROM lumina.duplicate_runs r WHERE r.id = target.run);
    made int8 := nextval('lumina.duplicate_groups_id_seq');
    farthest int2 := target.distance;
    lists CONSTANT record := lumina_internal.file_lists(target.catalog);
BEGIN
    IF cardinality(images) <= most_images THEN
        SELECT coalesce(lumina_internal.rule_distance(rule, max(a.ahash OPERATOR(@extschema@.<~>) b.ahash),
                max(a.dhash OPERATOR(@extschema@.<~>) b.dhash), max(a.dct OPERATOR(@extschema@.<~>) b.dct),
                max(a.pdq OPERATOR(@extschema@.<~>) b.pdq)), 0)
            INTO farthest
            FROM (SELECT i.* FROM unnest(images) m CROSS JOIN LATERAL
                (SELECT * FROM lumina.images i WHERE i.id = m OFFSET 0) i) a,
                (SELECT i.* FROM unnest(images) m CROSS JOIN LATERAL
                    (SELECT * FROM lumina.images i WHERE i.id = m OFFSET 0) i) b
            WHERE a.id < b.id;
    END IF;
    INSERT INTO lumina.duplicate_groups (id, run, catalog, kind, distance, images, files, bytes, savings, also_near,
            also_near_count, captured_at, folder, current_images, current_redundant, current_savings)
            OVERRIDING SYSTEM VALUE
        SELECT made, target.run, target.catalog,
            CASE WHEN cardinality(images) = 1 THEN 'exact' WHEN target.kind = 'identical' OR farthest = 0
                THEN 'identical' ELSE 'near' END::lumina.group_kind,
            farthest, cardinality(images), count(*), sum(i.size),
            coalesce(sum(i.size) FILTER (WHERE i.is_redundant), 0), target.also_near, target.also_near_count,
            coalesce((SELECT lumina_internal.known_time(k.captured_at, k.date_confidence) FROM lumina.images k
                WHERE k.id = images[1]), '-infinity'),
            coalesce((array_agg(left(i.path, -position('/' in reverse(i.path))) ORDER BY i.place, i.file_place))[1],
                ''),
            cardinality(images), count(*) FILTER (WHERE i.is_redundant),
            coalesce(sum(i.size) FILTER (WHERE i.is_redundant), 0)
        FROM (SELECT c.size, c.path, c.file_place, array_position(images, c.image) AS place,
                c.is_spare OR NOT (c.keeps_image OR c.image = images[1]) AS is_redundant
            FROM lumina_internal.group_files(target.id, lists.preferred, lists.protected) c
            WHERE c.image = ANY (images)) i;
    UPDATE lumina.duplicate_members d SET group_id = made, place = n.place, distance = n.distance,
            ahash_distance = CASE WHEN d.ahash_distance IS NOT NULL THEN n.ahash END,
            dhash_distance = CASE WHEN d.dhash_distance IS NOT NULL THEN n.dhash END,
            dct_distance = CASE WHEN d.dct_distance IS NOT NULL THEN n.dct END,
            pdq_distance = CASE WHEN d.pdq_distance IS NOT NULL THEN n.pdq END
        FROM (SELECT m.image, (m.place - 1)::int4 AS place, h.*,
                CASE WHEN m.place = 1 THEN 0
                    ELSE lumina_internal.rule_distance(rule, h.ahash, h.dhash, h.dct, h.pdq) END AS distance
            FROM unnest(images) WITH ORDINALITY m (image, place)
            CROSS JOIN LATERAL (SELECT i.ahash OPERATOR(@extschema@.<~>) p.ahash AS ahash,
                    i.dhash OPERATOR(@extschema@.<~>) p.dhash AS dhash,
                    i.dct OPERATOR(@extschema@.<~>) p.dct AS dct, i.pdq OPERATOR(@extschema@.<~>) p.pdq AS pdq
                FROM lumina.images i, lumina.images p WHERE i.id = m.image AND p.id = images[1] OFFSET 0) h) n
        WHERE d.image = n.image AND d.run = target.run;
    RETURN made;
END $$;
REVOKE EXECUTE ON FUNCTION lumina_internal.split_off(lumina.duplicate_groups, int8[]) FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.split_off(lumina.duplicate_groups, int8[]) IS
    'Internal: makes a group of some members of another one';

CREATE FUNCTION lumina_internal.split_group(caller oid, group_id int8, part int8[], OUT action int8, OUT groups int8[])
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    target lumina.duplicate_groups;
    members record;
    wrong int8;
    own int8[];
    others int8[];
    before jsonb;
BEGIN
    IF array_ndims(split_group.part) > 1 THEN
        RAISE invalid_parameter_value USING MESSAGE = 'part is not a list, but an array of more dimensions',
            HINT = 'Write ARRAY[7, 8], say.';
    ELSIF split_group.part IS NULL OR array_position(split_group.part, NULL) IS NOT NULL THEN
        RAISE null_value_not_allowed USING MESSAGE = 'part must not be NULL, nor hold one',
            HINT = 'Give the numbers of the images that are a group of their own.';
    END IF;
    target := lumina_internal.group_to_decide(caller, split_group.group_id);
    members := lumina_internal.members_now(target);
    SELECT p INTO wrong FROM unnest(split_group.part) p WHERE p <> ALL (members.images) LIMIT 1;
    IF wrong IS NOT NULL THEN
        RAISE invalid_parameter_value USING MESSAGE = format('image %s is not in group %s', wrong, target.id),
            HINT = 'lumina.duplicate_members lists the images of each group.';
    END IF;
    own := ARRAY(SELECT m.image FROM unnest(members.images) WITH ORDINALITY m (image, place)
        WHERE m.image = ANY (split_group.part) ORDER BY m.place);
    others := ARRAY(SELECT m.image FROM unnest(members.images) WITH ORDINALITY m (image, place)
        WHERE m.image <> ALL (split_group.part) ORDER BY m.place);
    IF own = '{}' OR others = '{}' THEN
        RAISE invalid_parameter_value USING
            MESSAGE = format('group %s is to be split into all of its images and none', target.id),
            HINT = 'Give some of its images, not all; lumina.keep_all(...) parts every image from every other.';
    END IF;
    before := (SELECT jsonb_agg(jsonb_build_array(d.image, d.place, d.distance, d.ahash_distance, d.dhash_distance,
            d.dct_distance, d.pdq_distance) ORDER BY d.place)
        FROM lumina.duplicate_members d WHERE d.group_id = target.id);
    groups := '{}';
    IF cardinality(others) > 1 OR (SELECT count(*) FROM unnest(members.images_of_files) f WHERE f = others[1]) > 1 THEN
        groups := groups || lumina_internal.split_off(target, others);
    END IF;
    IF cardinality(own) > 1 OR (SELECT count(*) FROM unnest(members.images_of_files) f WHERE f = own[1]) > 1 THEN
        groups := groups || lumina_internal.split_off(target, own);
    END IF;
    split_group.action := lumina_internal.enact(target, 'split_group', caller, 0, 0,
        jsonb_build_object('members', before, 'groups', to_jsonb(split_group.groups)));
    PERFORM lumina_internal.keep_apart(split_group.action, target.catalog, target.id, others || own,
        array_fill(0, ARRAY[cardinality(others)]) || array_fill(1, ARRAY[cardinality(own)]), '{}', '{}');
END $$;
REVOKE EXECUTE ON FUNCTION lumina_internal.split_group(oid, int8, int8[]) FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.split_group(oid, int8, int8[]) IS 'Internal: split_group for a caller';
CREATE FUNCTION lumina.split_group(group_id int8, part int8[], OUT action int8, OUT groups int8[])
    LANGUAGE c AS 'MODULE_PATHNAME', 'as_owner';
COMMENT ON FUNCTION lumina.split_group(int8, int8[]) IS
    'Makes some images of a group a group of their own; no later search groups images of both parts together; returns '
    'the groups that there are now';
