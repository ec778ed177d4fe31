-- Decisions about duplicates: what was decided, by whom, and what it changed; what stays apart from then on; and the
-- function of an application that hears of it.
--
-- A decision changes statuses of images and states of files, never a file. Each is an action, with a row for each image
-- and file that it changed, as it was before and after; actions are never changed and never removed, but with their
-- catalog. To undo one is an action of its own. Decisions of a catalog are made one after the other, under the lock
-- that the last transaction of a search takes as well: a search that ends meanwhile has seen them, or is seen by them.
-- Images are in actions by their numbers alone, since they can go.

CREATE TYPE lumina.action_kind AS ENUM ('keep_best', 'keep_best_in_all', 'resolve', 'keep_all', 'split_group',
    'set_image_status', 'undo');
COMMENT ON TYPE lumina.action_kind IS 'What was decided: the function that was called';

CREATE TABLE lumina.duplicate_actions (
    id int8 GENERATED ALWAYS AS IDENTITY,
    catalog int8 NOT NULL REFERENCES lumina.catalogs ON DELETE CASCADE,
    kind lumina.action_kind NOT NULL,
    -- Plain values: groups go with the next search, runs with their jobs.
    group_id int8,
    run int8,
    actor lumina.role NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- How many it has changed.
    images int8 NOT NULL CHECK (images >= 0),
    files int8 NOT NULL CHECK (files >= 0),
    -- Of a split: the members as they were, and the groups that were made.
    details jsonb,
    -- Not a foreign key: rows of a table that refers to itself cannot be restored in every order.
    undo_of int8,
    PRIMARY KEY (id, catalog),
    CHECK ((kind = 'undo') = (undo_of IS NOT NULL)),
    CHECK ((kind = 'split_group') = (details IS NOT NULL))
);
CREATE UNIQUE INDEX duplicate_actions_undo ON lumina.duplicate_actions (undo_of) WHERE undo_of IS NOT NULL;
-- With what a count of those that stand reads.
CREATE INDEX duplicate_actions_catalog ON lumina.duplicate_actions (catalog, id)
    INCLUDE (kind, images, files, undo_of);
COMMENT ON TABLE lumina.duplicate_actions IS
    'Decisions about duplicates: who, when, what; never changed or removed. An action that was undone has one that '
    'undoes it';

CREATE TABLE lumina.action_images (
    -- Not a foreign key, here and of files: a decision about a whole catalog would look its action up for each row, a
    -- tenth of all its work. These rows are written with their action alone, and go with it: remove_action_rows.
    action int8 NOT NULL,
    catalog int8 NOT NULL,
    image int8 NOT NULL,
    group_id int8,
    -- The image that was kept in its place.
    kept int8,
    -- The part that it was kept in, of images that stay apart; nothing has changed of those.
    part int4 CHECK (part >= 0),
    before lumina.image_status NOT NULL,
    after lumina.image_status NOT NULL,
    PRIMARY KEY (action, image),
    CHECK ((part IS NULL) = (before <> after)),
    CHECK (after <> 'rejected' OR part IS NOT NULL OR kept IS NOT NULL)
);
COMMENT ON TABLE lumina.action_images IS
    'Images that a decision was about: their status before and after, the one that was kept instead, or their part';

CREATE TABLE lumina.action_files (
    action int8 NOT NULL,
    catalog int8 NOT NULL,
    file int8 NOT NULL,
    image int8 NOT NULL,
    before lumina.file_state NOT NULL,
    after lumina.file_state NOT NULL,
    PRIMARY KEY (action, file)
);
COMMENT ON TABLE lumina.action_files IS
    'Files of images that were kept: their state before and after; the same where all of them are wanted';

-- By content, so that it holds for the same picture that is imported once more.
CREATE TABLE lumina.distinct_images (
    action int8 NOT NULL,
    catalog int8 NOT NULL,
    sha256 bytea NOT NULL CHECK (octet_length(sha256) = 32),
    part int4 NOT NULL CHECK (part >= 0),
    PRIMARY KEY (action, sha256),
    FOREIGN KEY (action, catalog) REFERENCES lumina.duplicate_actions (id, catalog) ON DELETE CASCADE
);
CREATE INDEX distinct_images_catalog ON lumina.distinct_images (catalog);
CREATE INDEX distinct_images_sha256 ON lumina.distinct_images (sha256, catalog);
COMMENT ON TABLE lumina.distinct_images IS
    'Contents that are no duplicates of each other: those of one action in different parts';

CREATE TABLE lumina.distinct_files (
    action int8 NOT NULL,
    catalog int8 NOT NULL,
    file int8 NOT NULL,
    PRIMARY KEY (action, file),
    FOREIGN KEY (action, catalog) REFERENCES lumina.duplicate_actions (id, catalog) ON DELETE CASCADE
);
CREATE INDEX distinct_files_catalog ON lumina.distinct_files (catalog);
CREATE INDEX distinct_files_file ON lumina.distinct_files (file);
COMMENT ON TABLE lumina.distinct_files IS 'Files of one image that are all wanted';

ALTER TABLE lumina.duplicate_actions ENABLE ROW LEVEL SECURITY;
CREATE POLICY readable ON lumina.duplicate_actions FOR SELECT
    USING (catalog = ANY ((SELECT lumina.readable_catalogs())::int8[]));
ALTER TABLE lumina.action_images ENABLE ROW LEVEL SECURITY;
CREATE POLICY readable ON lumina.action_images FOR SELECT
    USING (catalog = ANY ((SELECT lumina.readable_catalogs())::int8[]));
ALTER TABLE lumina.action_files ENABLE ROW LEVEL SECURITY;
CREATE POLICY readable ON lumina.action_files FOR SELECT
    USING (catalog = ANY ((SELECT lumina.readable_catalogs())::int8[]));
ALTER TABLE lumina.distinct_images ENABLE ROW LEVEL SECURITY;
CREATE POLICY readable ON lumina.distinct_images FOR SELECT
    USING (catalog = ANY ((SELECT lumina.readable_catalogs())::int8[]));
ALTER TABLE lumina.distinct_files ENABLE ROW LEVEL SECURITY;
CREATE POLICY readable ON lumina.distinct_files FOR SELECT
    USING (catalog = ANY ((SELECT lumina.readable_catalogs())::int8[]));
GRANT SELECT ON lumina.duplicate_actions, lumina.action_images, lumina.action_files, lumina.distinct_images,
    lumina.distinct_files TO PUBLIC;

-- Rows of actions go with their catalog alone.
CREATE FUNCTION lumina_internal.keep_actions() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        IF NOT EXISTS (SELECT FROM removed r JOIN lumina.catalogs c ON c.id = r.catalog) THEN
            RETURN NULL;
        END IF;
    END IF;
    RAISE integrity_constraint_violation USING
        MESSAGE = format('rows of %s.%s never change', TG_TABLE_SCHEMA, TG_TABLE_NAME),
        HINT = 'SELECT lumina.undo(...) takes a decision back; actions go with their catalog.';
END $$;
REVOKE EXECUTE ON FUNCTION lumina_internal.keep_actions() FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.keep_actions() IS 'Internal: keeps rows of actions from being changed or removed';
CREATE TRIGGER keep_actions BEFORE UPDATE OR TRUNCATE ON lumina.duplicate_actions
    FOR EACH STATEMENT EXECUTE FUNCTION lumina_internal.keep_actions();
CREATE TRIGGER keep_actions_deleted AFTER DELETE ON lumina.duplicate_actions REFERENCING OLD TABLE AS removed
    FOR EACH STATEMENT EXECUTE FUNCTION lumina_internal.keep_actions();
CREATE TRIGGER keep_actions BEFORE UPDATE OR TRUNCATE ON lumina.action_images
    FOR EACH STATEMENT EXECUTE FUNCTION lumina_internal.keep_actions();
CREATE TRIGGER keep_actions_deleted AFTER DELETE ON lumina.action_images REFERENCING OLD TABLE AS removed
    FOR EACH STATEMENT EXECUTE FUNCTION lumina_internal.keep_actions();
CREATE TRIGGER keep_actions BEFORE UPDATE OR TRUNCATE ON lumina.action_files
    FOR EACH STATEMENT EXECUTE FUNCTION lumina_internal.keep_actions();
CREATE TRIGGER keep_actions_deleted AFTER DELETE ON lumina.action_files REFERENCING OLD TABLE AS removed
    FOR EACH STATEMENT EXECUTE FUNCTION lumina_internal.keep_actions();

CREATE FUNCTION lumina_internal.remove_action_rows() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    DELETE FROM lumina.action_images a USING removed r WHERE a.action = r.id;
    DELETE FROM lumina.action_files a USING removed r WHERE a.action = r.id;
    RETURN NULL;
END $$;
REVOKE EXECUTE ON FUNCTION lumina_internal.remove_action_rows() FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.remove_action_rows() IS
    'Internal: removes what actions have changed when they go with their catalog';
CREATE TRIGGER remove_action_rows AFTER DELETE ON lumina.duplicate_actions REFERENCING OLD TABLE AS removed
    FOR EACH STATEMENT EXECUTE FUNCTION lumina_internal.remove_action_rows();

CREATE VIEW lumina.action_history WITH (security_invoker = true) AS
SELECT c.name AS catalog, a.id AS action, a.kind, a.group_id, a.actor, a.created_at, a.images, a.files, a.undo_of,
    u.id AS undone_by
FROM lumina.duplicate_actions a
JOIN lumina.catalogs c ON c.id = a.catalog
LEFT JOIN lumina.duplicate_actions u ON u.undo_of = a.id
ORDER BY a.id DESC;
GRANT SELECT ON lumina.action_history TO PUBLIC;
COMMENT ON VIEW lumina.action_history IS
    'Every decision, newest first: who, when, how many images and files it changed, and what has undone it';

-- The hook on_resolve: the name of a function (int8, int8, text[], text[]), which belongs to the owner of the catalog,
-- and is called as that role. Raises where it is none.
CREATE FUNCTION lumina_internal.hook_function(of_catalog int8, hook text) RETURNS oid
    STABLE LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    names text[];
    owner lumina.role := (SELECT c.owner FROM lumina.catalogs c WHERE c.id = of_catalog);
    target pg_proc;
BEGIN
    BEGIN
        names := parse_ident(hook);
    EXCEPTION WHEN invalid_parameter_value THEN
        names := '{}';
    END;
    IF cardinality(names) <> 2 THEN
        RAISE invalid_parameter_value USING
            MESSAGE = format('"%s" is not the name of a function with its schema', left(hook, 160)),
            HINT = 'Write schema.function, without arguments.';
    END IF;
    SELECT p.* INTO target FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
        WHERE n.nspname = names[1] AND p.proname = names[2] AND p.prokind = 'f'
            AND p.proargtypes::text = concat_ws(' ', 'int8'::regtype::oid, 'int8'::regtype::oid,
                'text[]'::regtype::oid, 'text[]'::regtype::oid);
    IF target.oid IS NULL THEN
        RAISE undefined_function USING
            MESSAGE = format('function %s(bigint, bigint, text[], text[]) does not exist', left(hook, 160)),
            HINT = 'on_resolve is called with the image that is kept, one that is rejected, and the paths of both.';
    ELSIF target.proretset THEN
        RAISE invalid_parameter_value USING MESSAGE = format('function %s returns a set', left(hook, 160)),
            HINT = 'on_resolve returns one value, or void; nobody looks at it.';
    ELSIF target.proowner IS DISTINCT FROM lumina_internal.role_oid(owner) THEN
        RAISE insufficient_privilege USING
            MESSAGE = format('function %s does not belong to the owner of the catalog', left(hook, 160)),
            HINT = format('It runs as the owner of the catalog, "%s", whose own it must be: ALTER FUNCTION ... OWNER '
                'TO, or lumina.set_catalog_option(..., ''on_resolve'', NULL).', owner);
    END IF;
    RETURN target.oid;
END $$;
REVOKE EXECUTE ON FUNCTION lumina_internal.hook_function(int8, text) FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.hook_function(int8, text) IS
    'Internal: the function of that name, if it can be the hook on_resolve of a catalog';

CREATE FUNCTION lumina_internal.checked_hook(of_catalog int8, value jsonb) RETURNS jsonb
    STABLE LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF jsonb_typeof(value) <> 'string' THEN
        RAISE invalid_parameter_value USING MESSAGE = 'on_resolve is not the name of a function',
            HINT = 'Write ''"schema.function"'', with quotation marks: it is a string of JSON.';
    END IF;
    PERFORM lumina_internal.hook_function(of_catalog, value #>> '{}');
    RETURN value;
END $$;
REVOKE EXECUTE ON FUNCTION lumina_internal.checked_hook(int8, jsonb) FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.checked_hook(int8, jsonb) IS 'Internal: the option on_resolve, checked';

CREATE FUNCTION lumina_internal.call_hook(owner oid, hook oid, name text, kept int8, rejected int8, kept_paths text[],
    rejected_paths text[]) RETURNS void
    VOLATILE STRICT LANGUAGE c AS 'MODULE_PATHNAME', 'call_hook';
REVOKE EXECUTE ON FUNCTION lumina_internal.call_hook(oid, oid, text, int8, int8, text[], text[]) FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.call_hook(oid, oid, text, int8, int8, text[], text[]) IS
    'Internal: calls a hook as a role, restricted as a function of an index is';
CREATE FUNCTION lumina_internal.refuse_in_hook() RETURNS void
    VOLATILE STRICT LANGUAGE c AS 'MODULE_PATHNAME', 'refuse_in_hook';
REVOKE EXECUTE ON FUNCTION lumina_internal.refuse_in_hook() FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.refuse_in_hook() IS 'Internal: an error where a hook is running';

-- The files of an image that are kept.
CREATE FUNCTION lumina_internal.kept_paths(of_image int8) RETURNS text[]
    STABLE STRICT LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT coalesce(array_agg(f.path::text ORDER BY f.path), '{}') FROM lumina.image_files f
    WHERE f.image = of_image AND f.state = 'keep' AND f.missing_since IS NULL;
END;
REVOKE EXECUTE ON FUNCTION lumina_internal.kept_paths(int8) FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.kept_paths(int8) IS 'Internal: paths of the files of an image that are kept';

-- Calls the hook of a catalog, if it has one, for each image that an action has rejected; and for each of which it has
-- rejected files alone, as that which is kept and that which is rejected.
CREATE FUNCTION lumina_internal.run_hook(of_catalog int8, of_action int8) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    hook text;
    owner oid;
    target oid;
BEGIN
    SELECT c.settings->>'on_resolve', lumina_internal.role_oid(c.owner) INTO hook, owner
        FROM lumina.catalogs c WHERE c.id = of_catalog;
    IF hook IS NULL THEN
        RETURN;
    END IF;
    target := lumina_internal.hook_function(of_catalog, hook);
    PERFORM lumina_internal.call_hook(owner, target, hook, a.kept, a.image, lumina_internal.kept_paths(a.kept),
            lumina_internal.kept_paths(a.image))
        FROM (SELECT i.kept, i.image FROM lumina.action_images i
            WHERE i.action = of_action AND i.part IS NULL ORDER BY i.image) a;
    PERFORM lumina_internal.call_hook(owner, target, hook, a.image, a.image, lumina_internal.kept_paths(a.image),
            a.paths)
        FROM (SELECT r.image, array_agg(p.path ORDER BY p.path) AS paths FROM lumina.action_files r
            CROSS JOIN LATERAL (SELECT f.path::text FROM lumina.image_files f WHERE f.id = r.file OFFSET 0) p
            WHERE r.action = of_action AND r.after = 'rejected' GROUP BY r.image ORDER BY r.image) a;
    IF NOT EXISTS (SELECT FROM lumina.duplicate_actions a WHERE a.id = of_action) THEN
        RAISE object_not_in_prerequisite_state USING
            MESSAGE = format('the hook on_resolve, %s, has removed the catalog that was being decided',
                left(hook, 160)),
            HINT = 'A hook moves what the application has about images; it leaves the catalog itself alone.';
    END IF;
END $$;
REVOKE EXECUTE ON FUNCTION lumina_internal.run_hook(int8, int8) FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.run_hook(int8, int8) IS
    'Internal: calls the hook on_resolve of a catalog for what an action has rejected';
