-- What has changed in a catalog since its duplicates were searched: so that the next search reads, compares and groups
-- again what a change can have touched, and nothing else.
--
-- Triggers note each change in the transaction that makes it. A search that has read what is visible in a snapshot
-- removes the notes that are visible in it, in the transaction that writes its groups: a change that it has not seen
-- stays noted, whenever it commits. Notes are never wrong to keep: an image too many is compared once more.
--
-- What a change can touch are groups of images that are near a changed one, before it and after it. After it they are
-- found by the hashes that images have; before it by those that a changed or removed image had, which is why they are
-- noted. crates/catalog/src/regroup.rs says how far a search goes from there.

CREATE TABLE lumina_internal.image_changes (
    catalog int8 NOT NULL,
    -- The images: a range, which may hold some that have not changed. NULL where they are not known one by one.
    first_image int8,
    last_image int8,
    -- The hashes that an image had, if they were valid.
    ahash @extschema@.phash(64),
    dhash @extschema@.phash(64),
    dct @extschema@.phash(64),
    pdq @extschema@.phash(256),
    -- The stem of a file that was changed or removed: pictures beside a raw file depend on it.
    stem text COLLATE "C",
    -- A group that has lost a member, or that was decided.
    group_id int8,
    -- Too many to note one by one: the next search is a whole one.
    is_everything bool NOT NULL DEFAULT false,
    changed_by xid8 NOT NULL DEFAULT pg_current_xact_id(),
    CHECK ((first_image IS NULL) = (last_image IS NULL) AND first_image <= last_image)
);
CREATE INDEX image_changes_catalog ON lumina_internal.image_changes (catalog);
ALTER TABLE lumina_internal.image_changes ENABLE ROW LEVEL SECURITY; -- without a policy: nobody's to read
COMMENT ON TABLE lumina_internal.image_changes IS
    'Internal: what has changed since duplicates were searched; removed by the search that has seen it';

-- Not a foreign key, which would lock the catalog at every change; what goes with its catalog is not noted.
CREATE FUNCTION lumina_internal.note_everything(of_catalog int8) RETURNS void
    LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    INSERT INTO lumina_internal.image_changes (catalog, is_everything)
        SELECT c.id, true FROM lumina.catalogs c WHERE c.id = of_catalog;
END;
REVOKE EXECUTE ON FUNCTION lumina_internal.note_everything(int8) FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.note_everything(int8) IS
    'Internal: notes that the next search for duplicates is a whole one';

-- Numbers that follow one another closely are one range: those of an import are.
CREATE FUNCTION lumina_internal.note_images(of_catalog int8, images int8[]) RETURNS void
    LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    INSERT INTO lumina_internal.image_changes (catalog, first_image, last_image)
        SELECT of_catalog, min(r.image), max(r.image)
        FROM (SELECT s.image, sum(s.is_new) OVER (ORDER BY s.image) AS range
            FROM (SELECT n AS image, (n > lag(n) OVER (ORDER BY n) + 16)::int4 AS is_new FROM unnest(images) n) s) r
        GROUP BY r.range;
END;
REVOKE EXECUTE ON FUNCTION lumina_internal.note_images(int8, int8[]) FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.note_images(int8, int8[]) IS 'Internal: notes that images have changed';

-- The most rows of a statement that are noted one by one, where more than a range is noted of each. Fewer than a batch
-- of score_quality has: where all images are scored the next search is a whole one anyway.
CREATE FUNCTION lumina_internal.most_changes() RETURNS int8 IMMUTABLE LANGUAGE sql RETURN 2000;
REVOKE EXECUTE ON FUNCTION lumina_internal.most_changes() FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.most_changes() IS
    'Internal: the most rows that a statement changes and that are noted one by one';

CREATE FUNCTION lumina_internal.note_inserted_images() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    -- Of a great many at once, which are loaded in the order of their numbers, hardly any other is between them.
    IF (SELECT count(*) FROM rows_after) > lumina_internal.most_changes() THEN
        INSERT INTO lumina_internal.image_changes (catalog, first_image, last_image)
            SELECT a.catalog, min(a.id), max(a.id) FROM rows_after a GROUP BY a.catalog;
    ELSE
        PERFORM lumina_internal.note_images(a.catalog, array_agg(a.id)) FROM rows_after a GROUP BY a.catalog;
    END IF;
    RETURN NULL;
END $$;
REVOKE EXECUTE ON FUNCTION lumina_internal.note_inserted_images() FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.note_inserted_images() IS 'Internal: notes images that are new';
CREATE TRIGGER note_inserted AFTER INSERT ON lumina.images REFERENCING NEW TABLE AS rows_after
    FOR EACH STATEMENT EXECUTE FUNCTION lumina_internal.note_inserted_images();

-- Of catalogs that have more changed rows in this statement than are noted one by one, everything.
CREATE FUNCTION lumina_internal.note_updated_images() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_nestloop = off AS $$
BEGIN
    IF (SELECT count(*) FROM rows_before) > lumina_internal.most_changes() THEN
        PERFORM lumina_internal.note_everything(c.catalog) FROM (SELECT DISTINCT b.catalog FROM rows_before b) c;
    ELSE
        INSERT INTO lumina_internal.image_changes (catalog, first_image, last_image, ahash, dhash, dct, pdq)
            SELECT b.catalog, b.id, b.id, CASE WHEN b.hash_valid THEN b.ahash END,
                CASE WHEN b.hash_valid THEN b.dhash END, CASE WHEN b.hash_valid THEN b.dct END,
                CASE WHEN b.hash_valid THEN b.pdq END
            FROM rows_before b JOIN rows_after a ON a.id = b.id
            WHERE b OPERATOR(pg_catalog.*<>) a AND EXISTS (SELECT FROM lumina.catalogs c WHERE c.id = b.catalog);
    END IF;
    RETURN NULL;
END $$;
REVOKE EXECUTE ON FUNCTION lumina_internal.note_updated_images() FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.note_updated_images() IS 'Internal: notes images that have changed';
CREATE TRIGGER note_updated AFTER UPDATE ON lumina.images REFERENCING OLD TABLE AS rows_before NEW TABLE AS rows_after
    FOR EACH STATEMENT EXECUTE FUNCTION lumina_internal.note_updated_images();

CREATE FUNCTION lumina_internal.note_removed_images() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF (SELECT count(*) FROM rows_before) > lumina_internal.most_changes() THEN
        PERFORM lumina_internal.note_everything(c.catalog) FROM (SELECT DISTINCT b.catalog FROM rows_before b) c;
    ELSE
        INSERT INTO lumina_internal.image_changes (catalog, first_image, last_image, ahash, dhash, dct, pdq)
            SELECT b.catalog, b.id, b.id, b.ahash, b.dhash, b.dct, b.pdq FROM rows_before b
            WHERE b.hash_valid AND EXISTS (SELECT FROM lumina.catalogs c WHERE c.id = b.catalog);
    END IF;
    RETURN NULL;
END $$;
REVOKE EXECUTE ON FUNCTION lumina_internal.note_removed_images() FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.note_removed_images() IS 'Internal: notes images that are removed';
CREATE TRIGGER note_removed AFTER DELETE ON lumina.images REFERENCING OLD TABLE AS rows_before
    FOR EACH STATEMENT EXECUTE FUNCTION lumina_internal.note_removed_images();

CREATE FUNCTION lumina_internal.note_inserted_files() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF (SELECT count(*) FROM rows_after) > lumina_internal.most_changes() THEN
        INSERT INTO lumina_internal.image_changes (catalog, first_image, last_image)
            SELECT a.catalog, min(a.image), max(a.image) FROM rows_after a GROUP BY a.catalog;
    ELSE
        PERFORM lumina_internal.note_images(a.catalog, array_agg(a.image)) FROM rows_after a GROUP BY a.catalog;
    END IF;
    RETURN NULL;
END $$;
REVOKE EXECUTE ON FUNCTION lumina_internal.note_inserted_files() FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.note_inserted_files() IS 'Internal: notes images that have new files';
CREATE TRIGGER note_inserted AFTER INSERT ON lumina.image_files REFERENCING NEW TABLE AS rows_after
    FOR EACH STATEMENT EXECUTE FUNCTION lumina_internal.note_inserted_files();

CREATE FUNCTION lumina_internal.note_updated_files() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_nestloop = off AS $$
BEGIN
    IF (SELECT count(*) FROM rows_before) > lumina_internal.most_changes() THEN
        PERFORM lumina_internal.note_everything(c.catalog) FROM (SELECT DISTINCT b.catalog FROM rows_before b) c;
    ELSE
        INSERT INTO lumina_internal.image_changes (catalog, first_image, last_image, stem)
            SELECT c.catalog, c.image, c.image, c.stem
            FROM rows_before b JOIN rows_after a ON a.id = b.id
            CROSS JOIN LATERAL (VALUES (b.catalog, b.image, b.stem), (a.catalog, a.image, NULL))
                c (catalog, image, stem)
            WHERE b OPERATOR(pg_catalog.*<>) a AND (c.stem IS NOT NULL OR a.image <> b.image)
                AND EXISTS (SELECT FROM lumina.catalogs c WHERE c.id = b.catalog);
    END IF;
    RETURN NULL;
END $$;
REVOKE EXECUTE ON FUNCTION lumina_internal.note_updated_files() FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.note_updated_files() IS 'Internal: notes images whose files have changed';
CREATE TRIGGER note_updated AFTER UPDATE ON lumina.image_files
    REFERENCING OLD TABLE AS rows_before NEW TABLE AS rows_after
    FOR EACH STATEMENT EXECUTE FUNCTION lumina_internal.note_updated_files();

CREATE FUNCTION lumina_internal.note_removed_files() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF (SELECT count(*) FROM rows_before) > lumina_internal.most_changes() THEN
        PERFORM lumina_internal.note_everything(c.catalog) FROM (SELECT DISTINCT b.catalog FROM rows_before b) c;
    ELSE
        INSERT INTO lumina_internal.image_changes (catalog, first_image, last_image, stem)
            SELECT b.catalog, b.image, b.image, b.stem FROM rows_before b
            WHERE EXISTS (SELECT FROM lumina.catalogs c WHERE c.id = b.catalog);
    END IF;
    RETURN NULL;
END $$;
REVOKE EXECUTE ON FUNCTION lumina_internal.note_removed_files() FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.note_removed_files() IS 'Internal: notes images that have lost files';
CREATE TRIGGER note_removed AFTER DELETE ON lumina.image_files REFERENCING OLD TABLE AS rows_before
    FOR EACH STATEMENT EXECUTE FUNCTION lumina_internal.note_removed_files();

-- Members go with their images, one by one, and a group may lose them all. A search that replaces groups does not fire
-- this.
CREATE FUNCTION lumina_internal.note_removed_members() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO lumina_internal.image_changes (catalog, group_id)
        SELECT DISTINCT b.catalog, b.group_id FROM rows_before b
        WHERE EXISTS (SELECT FROM lumina.catalogs c WHERE c.id = b.catalog);
    RETURN NULL;
END $$;
REVOKE EXECUTE ON FUNCTION lumina_internal.note_removed_members() FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.note_removed_members() IS 'Internal: notes groups that have lost members';
CREATE TRIGGER note_removed AFTER DELETE ON lumina.duplicate_members REFERENCING OLD TABLE AS rows_before
    FOR EACH STATEMENT EXECUTE FUNCTION lumina_internal.note_removed_members();

-- What somebody has called different, or no longer does.
CREATE FUNCTION lumina_internal.note_distinct() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF (SELECT count(*) FROM changed) > lumina_internal.most_changes() THEN
        PERFORM lumina_internal.note_everything(c.catalog) FROM (SELECT DISTINCT d.catalog FROM changed d) c;
    ELSIF TG_TABLE_NAME = 'distinct_images' THEN
        PERFORM lumina_internal.note_images(d.catalog, array_agg(i.id)) FROM changed d
            CROSS JOIN LATERAL (SELECT i.id FROM lumina.images i
                WHERE i.sha256 = d.sha256 AND i.catalog = d.catalog OFFSET 0) i GROUP BY d.catalog;
    ELSE
        PERFORM lumina_internal.note_images(d.catalog, array_agg(f.image)) FROM changed d
            CROSS JOIN LATERAL (SELECT f.image FROM lumina.image_files f WHERE f.id = d.file OFFSET 0) f
            GROUP BY d.catalog;
    END IF;
    RETURN NULL;
END $$;
REVOKE EXECUTE ON FUNCTION lumina_internal.note_distinct() FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.note_distinct() IS 'Internal: notes images that are kept apart, or no longer';
CREATE TRIGGER note_inserted AFTER INSERT ON lumina.distinct_images REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION lumina_internal.note_distinct();
CREATE TRIGGER note_removed AFTER DELETE ON lumina.distinct_images REFERENCING OLD TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION lumina_internal.note_distinct();
CREATE TRIGGER note_inserted AFTER INSERT ON lumina.distinct_files REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION lumina_internal.note_distinct();
CREATE TRIGGER note_removed AFTER DELETE ON lumina.distinct_files REFERENCING OLD TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION lumina_internal.note_distinct();

-- Frames keep images apart. The job detect_bursts, which writes all of them again, does not fire this: it says itself
-- which images are in other shots than before.
CREATE FUNCTION lumina_internal.note_frames() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF (SELECT count(*) FROM changed) > lumina_internal.most_changes() THEN
        PERFORM lumina_internal.note_everything(c.catalog) FROM (SELECT DISTINCT f.catalog FROM changed f) c;
    ELSE
        PERFORM lumina_internal.note_images(f.catalog, array_agg(f.image)) FROM changed f
            WHERE EXISTS (SELECT FROM lumina.catalogs c WHERE c.id = f.catalog) GROUP BY f.catalog;
    END IF;
    RETURN NULL;
END $$;
REVOKE EXECUTE ON FUNCTION lumina_internal.note_frames() FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.note_frames() IS 'Internal: notes images that are in other shots than before';
CREATE TRIGGER note_inserted AFTER INSERT ON lumina.burst_frames REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION lumina_internal.note_frames();
CREATE TRIGGER note_updated AFTER UPDATE ON lumina.burst_frames REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION lumina_internal.note_frames();
CREATE TRIGGER note_removed AFTER DELETE ON lumina.burst_frames REFERENCING OLD TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION lumina_internal.note_frames();

CREATE FUNCTION lumina_internal.note_truncated() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM lumina_internal.note_everything(c.id) FROM lumina.catalogs c;
    RETURN NULL;
END $$;
REVOKE EXECUTE ON FUNCTION lumina_internal.note_truncated() FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.note_truncated() IS 'Internal: notes that a table was emptied';
CREATE TRIGGER note_truncated AFTER TRUNCATE ON lumina.images
    FOR EACH STATEMENT EXECUTE FUNCTION lumina_internal.note_truncated();
CREATE TRIGGER note_truncated AFTER TRUNCATE ON lumina.image_files
    FOR EACH STATEMENT EXECUTE FUNCTION lumina_internal.note_truncated();
CREATE TRIGGER note_truncated AFTER TRUNCATE ON lumina.duplicate_members
    FOR EACH STATEMENT EXECUTE FUNCTION lumina_internal.note_truncated();
CREATE TRIGGER note_truncated AFTER TRUNCATE ON lumina.burst_frames
    FOR EACH STATEMENT EXECUTE FUNCTION lumina_internal.note_truncated();
CREATE TRIGGER note_truncated AFTER TRUNCATE ON lumina.distinct_images
    FOR EACH STATEMENT EXECUTE FUNCTION lumina_internal.note_truncated();
CREATE TRIGGER note_truncated AFTER TRUNCATE ON lumina.distinct_files
    FOR EACH STATEMENT EXECUTE FUNCTION lumina_internal.note_truncated();

-- Notes go with their catalog.
CREATE FUNCTION lumina_internal.remove_notes() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    DELETE FROM lumina_internal.image_changes c USING rows_before b WHERE c.catalog = b.id;
    RETURN NULL;
END $$;
REVOKE EXECUTE ON FUNCTION lumina_internal.remove_notes() FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.remove_notes() IS 'Internal: removes what was noted of a catalog that goes';
CREATE TRIGGER remove_notes AFTER DELETE ON lumina.catalogs REFERENCING OLD TABLE AS rows_before
    FOR EACH STATEMENT EXECUTE FUNCTION lumina_internal.remove_notes();

-- Which image of a group is kept depends on these. Another text later means that the order of all images may be
-- another one.
CREATE FUNCTION lumina_internal.search_basis(of_catalog int8) RETURNS text
    STABLE LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT md5(concat_ws(' ', lumina.library_version(), lumina_internal.score_weights(c.id), '/',
        lumina_internal.folder_list(c.settings->'preferred_folders'), '/', lumina_internal.protected_folders(c.id)))
    FROM lumina.catalogs c WHERE c.id = of_catalog;
END;
REVOKE EXECUTE ON FUNCTION lumina_internal.search_basis(int8) FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.search_basis(int8) IS
    'Internal: identifies what the order of preference in a catalog depends on';

-- Whether groups were formed in another order of preference than that of now.
CREATE FUNCTION lumina_internal.is_outdated(of_catalog int8) RETURNS bool
    STABLE LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT EXISTS (SELECT FROM lumina.duplicate_runs r WHERE r.catalog = of_catalog AND r.is_current
        AND r.basis IS DISTINCT FROM lumina_internal.search_basis(of_catalog));
END;
REVOKE EXECUTE ON FUNCTION lumina_internal.is_outdated(int8) FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.is_outdated(int8) IS
    'Internal: whether the order of preference of a catalog has changed since its last search';

-- The run that a search with these parameters can continue, or why there is none.
CREATE FUNCTION lumina_internal.run_to_continue(of_catalog int8, wanted jsonb,
    OUT run int8, OUT images int8, OUT has_raw bool, OUT obstacle text)
    STABLE LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    current record;
    here record;
BEGIN
    SELECT r.id, r.images, r.has_raw, r.basis, j.parameters, j.system_identifier, j.database INTO current
        FROM lumina.duplicate_runs r JOIN lumina.jobs j ON j.id = r.job
        WHERE r.catalog = of_catalog AND r.is_current;
    IF NOT FOUND THEN
        obstacle := 'no search before';
    ELSIF current.parameters - 'scope' <> wanted - 'scope' THEN
        obstacle := 'other parameters';
    ELSIF current.basis IS DISTINCT FROM lumina_internal.search_basis(of_catalog) THEN
        obstacle := 'another order of preference';
    ELSIF EXISTS (SELECT FROM lumina_internal.image_changes c WHERE c.catalog = of_catalog AND c.is_everything) THEN
        obstacle := 'too many changes';
    ELSE
        -- A dump holds the groups, but not what has changed since.
        here := lumina_internal.home();
        IF (current.system_identifier, current.database) <> (here.system_identifier, here.database) THEN
            obstacle := 'a search in another database';
        END IF;
    END IF;
    IF obstacle IS NULL THEN
        run := current.id;
        images := current.images;
        has_raw := current.has_raw;
    END IF;
END $$;
REVOKE EXECUTE ON FUNCTION lumina_internal.run_to_continue(int8, jsonb) FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.run_to_continue(int8, jsonb) IS
    'Internal: the run that a search for duplicates can continue, or why it cannot';

-- The images that are noted, and those with files of the same stem: whether these are compared depends on the raw
-- file among them. At most one more than `most`.
CREATE FUNCTION lumina_internal.changed_images(of_catalog int8, most int8) RETURNS int8[]
    STABLE LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    SET jit = off SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
BEGIN ATOMIC
    WITH changed AS MATERIALIZED (
        SELECT i.id
        FROM (SELECT unnest(range_agg(int8range(c.first_image, c.last_image, '[]'))) AS ids
            FROM lumina_internal.image_changes c WHERE c.catalog = of_catalog AND c.first_image IS NOT NULL) r
        CROSS JOIN LATERAL (SELECT i.id FROM lumina.images i
            WHERE i.catalog = of_catalog AND i.id >= lower(r.ids) AND i.id < upper(r.ids) OFFSET 0) i
        LIMIT most + 1),
    stems AS MATERIALIZED (
        SELECT f.stem FROM changed c CROSS JOIN LATERAL (SELECT f.stem FROM lumina.image_files f
            WHERE f.image = c.id OFFSET 0) f
        UNION
        SELECT c.stem FROM lumina_internal.image_changes c WHERE c.catalog = of_catalog AND c.stem IS NOT NULL)
    SELECT coalesce(array_agg(a.id ORDER BY a.id), '{}') FROM (
        SELECT c.id FROM changed c
        UNION
        SELECT f.image FROM stems s CROSS JOIN LATERAL (SELECT f.image FROM lumina.image_files f
            WHERE f.stem = s.stem AND f.catalog + 0 = of_catalog OFFSET 0) f
        LIMIT most + 1) a;
END;
REVOKE EXECUTE ON FUNCTION lumina_internal.changed_images(int8, int8) FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.changed_images(int8, int8) IS
    'Internal: the images that a change may have given other near ones, or taken them';

-- A query for the images that are near one of the rows of `hashes`, a query whose columns are named as the hashes are.
-- `rule` was checked when the job was submitted; names and distances are all that is put into the text.
CREATE FUNCTION lumina_internal.near_query(of_catalog int8, rule jsonb, hashes text) RETURNS text
    STABLE LANGUAGE sql SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT format('SELECT n.id FROM (%s) q CROSS JOIN LATERAL (%s OFFSET 0) n', hashes,
        string_agg(format($sql$SELECT i.id FROM lumina.images i WHERE %s
            AND i.catalog + 0 = %s AND i.hash_valid AND i.status <> 'rejected'$sql$, a.condition, of_catalog),
            ' UNION ALL '))
    FROM (SELECT (SELECT string_agg(format('i.%1$I OPERATOR(@extschema@.<@) @extschema@.phash_ball(q.%1$I, %2$s)',
                h.key, h.value), ' AND ') FROM jsonb_each_text(e.alternative) h) AS condition
        FROM jsonb_array_elements(rule) e (alternative)) a;
END;
REVOKE EXECUTE ON FUNCTION lumina_internal.near_query(int8, jsonb, text) FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.near_query(int8, jsonb, text) IS
    'Internal: a query for images that are near one of some hashes';

-- The hashes of what has changed: as they are, and as they were. `images` are those of changed_images.
CREATE FUNCTION lumina_internal.changed_hashes(of_catalog int8, images int8[])
    RETURNS TABLE (ahash @extschema@.phash(64), dhash @extschema@.phash(64), dct @extschema@.phash(64),
        pdq @extschema@.phash(256))
    STABLE LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT i.ahash, i.dhash, i.dct, i.pdq FROM unnest(images) n
        CROSS JOIN LATERAL (SELECT * FROM lumina.images i WHERE i.id = n AND i.hash_valid OFFSET 0) i
    UNION ALL
    SELECT c.ahash, c.dhash, c.dct, c.pdq FROM lumina_internal.image_changes c
        WHERE c.catalog = of_catalog AND c.dhash IS NOT NULL;
END;
REVOKE EXECUTE ON FUNCTION lumina_internal.changed_hashes(int8, int8[]) FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.changed_hashes(int8, int8[]) IS
    'Internal: the hashes of changed images, before and after';

-- Whether to look up the near images of `images` one by one costs less than to match them with the hashes of all, by
-- the planner's costs: where an index of type hamming serves the rule, up to some thousand images; without one, never.
-- All hashes are read, and also sorted by their bands: that takes some three times as long as to read them.
CREATE FUNCTION lumina_internal.index_is_cheaper(of_catalog int8, rule jsonb, images int8[]) RETURNS bool
    -- VOLATILE, as EXPLAIN demands.
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET jit = off AS $$
DECLARE
    one json;
    every json;
    looked_up CONSTANT int8 := cardinality(images)
        + (SELECT count(*) FROM lumina_internal.image_changes c WHERE c.catalog = of_catalog AND c.dhash IS NOT NULL);
BEGIN
    EXECUTE 'EXPLAIN (FORMAT JSON) ' || lumina_internal.near_query(of_catalog, rule, format(
        'SELECT h.* FROM lumina.images h WHERE h.id = %s', coalesce(images[1], 0))) INTO one;
    EXECUTE format('EXPLAIN (FORMAT JSON) SELECT i.id, i.dhash FROM lumina.images i WHERE i.catalog + 0 = %s',
        of_catalog) INTO every;
    RETURN (one->0->'Plan'->>'Total Cost')::float8 * looked_up < 4 * (every->0->'Plan'->>'Total Cost')::float8;
END $$;
REVOKE EXECUTE ON FUNCTION lumina_internal.index_is_cheaper(int8, jsonb, int8[]) FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.index_is_cheaper(int8, jsonb, int8[]) IS
    'Internal: whether near images are looked up by an index, or matched with all';

-- The images that are near some images, looked up one by one; with what has changed, those that are near that, now or
-- before.
CREATE FUNCTION lumina_internal.near_by_index(of_catalog int8, rule jsonb, images int8[], with_changes bool)
    RETURNS int8[]
    STABLE LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET jit = off AS $$
DECLARE
    near int8[];
BEGIN
    EXECUTE format('SELECT array_agg(DISTINCT n.id) FROM (%s) n', lumina_internal.near_query(of_catalog, rule,
        CASE WHEN with_changes
            THEN format('SELECT DISTINCT h.* FROM lumina_internal.changed_hashes(%s, $1) h', of_catalog)
            ELSE 'SELECT DISTINCT i.ahash, i.dhash, i.dct, i.pdq FROM unnest($1) k CROSS JOIN LATERAL
                (SELECT * FROM lumina.images i WHERE i.id = k AND i.hash_valid OFFSET 0) i' END))
        USING images INTO near;
    RETURN coalesce(near, '{}');
END $$;
REVOKE EXECUTE ON FUNCTION lumina_internal.near_by_index(int8, jsonb, int8[], bool) FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.near_by_index(int8, jsonb, int8[], bool) IS
    'Internal: the images that are near some images';

-- The groups of a run that some images are in, with all members, the one to keep first.
CREATE FUNCTION lumina_internal.groups_of(of_run int8, images int8[]) RETURNS TABLE (group_id int8, members int8[])
    STABLE LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    SET jit = off SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
BEGIN ATOMIC
    SELECT g.group_id, m.members
    FROM (SELECT DISTINCT d.group_id FROM unnest(images) n
        CROSS JOIN LATERAL (SELECT d.group_id FROM lumina.duplicate_members d
            WHERE d.image = n AND d.run = of_run OFFSET 0) d) g
    CROSS JOIN LATERAL (SELECT array_agg(d.image ORDER BY d.place) AS members FROM lumina.duplicate_members d
        WHERE d.group_id = g.group_id OFFSET 0) m;
END;
REVOKE EXECUTE ON FUNCTION lumina_internal.groups_of(int8, int8[]) FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.groups_of(int8, int8[]) IS 'Internal: the groups of a run that images are in';

-- Groups that are not as their run has left them.
CREATE FUNCTION lumina_internal.unsettled_groups(of_catalog int8) RETURNS int8[]
    STABLE LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT coalesce(array_agg(DISTINCT c.group_id), '{}') FROM lumina_internal.image_changes c
    WHERE c.catalog = of_catalog AND c.group_id IS NOT NULL;
END;
REVOKE EXECUTE ON FUNCTION lumina_internal.unsettled_groups(int8) FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.unsettled_groups(int8) IS
    'Internal: groups that have lost members or were decided';
