-- The catalog layer: catalogs, and who may do what with them.
--
-- Ordinary roles read through row-level security and write through functions alone. Such a function is a C function
-- that runs as its caller, and hands on to the one of the same name in the schema lumina_internal, which runs as the
-- extension's owner and is told by its first argument who the caller is. Nobody else may execute those. A right belongs
-- to the role, not to its name: a rename follows, and a new role of an old name has nothing (roles.sql).

CREATE TYPE lumina.access_right AS ENUM ('read', 'curate', 'import', 'own');
COMMENT ON TYPE lumina.access_right IS
    'What a role may do with a catalog: read it, group and decide on duplicates, import files, or everything';
CREATE TYPE lumina.import_mode AS ENUM ('reference', 'copy', 'move');
COMMENT ON TYPE lumina.import_mode IS 'What an import does with files: leave them where they are, copy or move them';

CREATE TABLE lumina.catalogs (
    id int8 GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL UNIQUE CHECK (name = btrim(name) AND name <> '' AND length(name) <= 200),
    owner lumina.role NOT NULL,
    destination text COLLATE "C" CHECK (destination LIKE '/%'),
    import_mode lumina.import_mode NOT NULL DEFAULT 'reference',
    directory_template text NOT NULL DEFAULT 'YYYY/MM-DD',
    file_template text NOT NULL DEFAULT 'DATE_TIME_CHECKSUM',
    settings jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(settings) = 'object'),
    created_at timestamptz NOT NULL DEFAULT now(),
    CHECK (import_mode = 'reference' OR destination IS NOT NULL)
);
COMMENT ON TABLE lumina.catalogs IS 'Catalogs of photos; each is owned by a role';

CREATE TABLE lumina.catalog_grants (
    catalog int8 NOT NULL REFERENCES lumina.catalogs ON DELETE CASCADE,
    role lumina.role NOT NULL,
    access lumina.access_right NOT NULL CHECK (access <> 'own'),
    granted_by lumina.role NOT NULL,
    granted_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (catalog, role, access)
);
COMMENT ON TABLE lumina.catalog_grants IS 'Which roles beside its owner may read, curate or import into a catalog';

CREATE FUNCTION lumina_internal.acts_for(caller oid, role lumina.role) RETURNS bool
    STABLE STRICT LANGUAGE c AS 'MODULE_PATHNAME', 'role_acts_for';
REVOKE EXECUTE ON FUNCTION lumina_internal.acts_for(oid, lumina.role) FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.acts_for(oid, lumina.role) IS
    'Internal: whether a role is a superuser or has the rights of another, which is there still';

-- In PL/pgSQL, as all that each decision calls: it keeps its plans, where a function in SQL is read and planned in
-- every statement.
CREATE FUNCTION lumina_internal.rights(caller oid, of_catalog int8) RETURNS lumina.access_right[]
    STABLE STRICT LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN (SELECT CASE WHEN lumina_internal.acts_for(caller, c.owner) THEN enum_range(NULL::lumina.access_right)
            ELSE (SELECT array_agg(DISTINCT r.granted)
                FROM lumina.catalog_grants g, unnest(ARRAY['read', g.access]::lumina.access_right[]) r (granted)
                WHERE g.catalog = c.id AND lumina_internal.acts_for(caller, g.role)) END
        FROM lumina.catalogs c WHERE c.id = of_catalog);
END $$;
REVOKE EXECUTE ON FUNCTION lumina_internal.rights(oid, int8) FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.rights(oid, int8) IS
    'Internal: what a role may do with a catalog; NULL for nothing';

-- The catalog of that name, where the caller has that right. A caller who may not even read it is told that there is
-- none.
CREATE FUNCTION lumina_internal.catalog(caller oid, catalog_name text, needed lumina.access_right) RETURNS int8
    STABLE LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    target lumina.catalogs;
    rights lumina.access_right[];
    wanted text := left(catalog_name, 80);
BEGIN
    IF catalog_name IS NULL THEN
        RAISE null_value_not_allowed USING MESSAGE = 'catalog must not be NULL', HINT = 'Give the name of a catalog.';
    END IF;
    SELECT * INTO target FROM lumina.catalogs c WHERE c.name = catalog_name;
    rights := lumina_internal.rights(caller, target.id);
    IF rights IS NULL THEN
        RAISE undefined_object USING MESSAGE = format('catalog "%s" does not exist', wanted),
            HINT = 'TABLE lumina.catalogs lists those that you may read; SELECT lumina.create_catalog(...) makes one.';
    ELSIF NOT needed = ANY (rights) THEN
        RAISE insufficient_privilege USING MESSAGE = format('permission denied for catalog "%s"', wanted),
            HINT = CASE WHEN NOT EXISTS (SELECT FROM pg_roles r WHERE r.oid = lumina_internal.role_oid(target.owner))
                    THEN format('Its owner is gone; a superuser can give it to another: '
                        'SELECT lumina.reassign_catalog(%L, ...).', target.name)
                WHEN needed = 'own' THEN format('Only its owner, "%s", may do this.', target.owner)
                ELSE format('Its owner, "%s", can grant it: SELECT lumina.grant_catalog(%L, %L, %L).',
                    target.owner, target.name, pg_get_userbyid(caller), needed) END;
    END IF;
    RETURN target.id;
END $$;
REVOKE EXECUTE ON FUNCTION lumina_internal.catalog(oid, text, lumina.access_right) FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.catalog(oid, text, lumina.access_right) IS
    'Internal: a catalog by its name, if the caller has a right';

CREATE FUNCTION lumina_internal.readable_catalogs(caller oid) RETURNS int8[]
    STABLE STRICT LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT coalesce(array_agg(c.id), '{}') FROM lumina.catalogs c
    WHERE lumina_internal.rights(caller, c.id) IS NOT NULL;
END;
REVOKE EXECUTE ON FUNCTION lumina_internal.readable_catalogs(oid) FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.readable_catalogs(oid) IS 'Internal: the catalogs that a role may read';
CREATE FUNCTION lumina.readable_catalogs() RETURNS int8[]
    STABLE PARALLEL RESTRICTED LANGUAGE c AS 'MODULE_PATHNAME', 'as_owner';
COMMENT ON FUNCTION lumina.readable_catalogs() IS
    'The ids of the catalogs that the current role may read: what row-level security asks';

ALTER TABLE lumina.catalogs ENABLE ROW LEVEL SECURITY;
CREATE POLICY readable ON lumina.catalogs FOR SELECT USING (id = ANY ((SELECT lumina.readable_catalogs())::int8[]));
ALTER TABLE lumina.catalog_grants ENABLE ROW LEVEL SECURITY;
CREATE POLICY readable ON lumina.catalog_grants FOR SELECT
    USING (catalog = ANY ((SELECT lumina.readable_catalogs())::int8[]));
GRANT SELECT ON lumina.catalogs, lumina.catalog_grants TO PUBLIC;

CREATE FUNCTION lumina_internal.create_catalog(caller oid, catalog_name text, destination_path text) RETURNS int8
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    made int8;
BEGIN
    IF catalog_name IS NULL THEN
        RAISE null_value_not_allowed USING MESSAGE = 'the name of a catalog must not be NULL',
            HINT = 'Write lumina.create_catalog(''holiday''), say.';
    ELSIF catalog_name <> btrim(catalog_name) OR catalog_name = '' OR length(catalog_name) > 200 THEN
        RAISE invalid_parameter_value USING
            MESSAGE = format('"%s" cannot be the name of a catalog', left(catalog_name, 80)),
            HINT = 'A name has 1 to 200 characters, and no space at its ends.';
    ELSIF destination_path NOT LIKE '/%' OR '..' = ANY (string_to_array(destination_path, '/')) THEN
        RAISE invalid_parameter_value USING
            MESSAGE = format('destination "%s" is not an absolute path', left(destination_path, 80)),
            HINT = 'Give a directory of the server, from the root, without "..".';
    END IF;
    INSERT INTO lumina.catalogs (name, owner, destination)
        VALUES (catalog_name, lumina_internal.role(caller), destination_path) RETURNING id INTO made;
    RETURN made;
EXCEPTION WHEN unique_violation THEN
    RAISE duplicate_object USING MESSAGE = format('catalog "%s" exists already', left(catalog_name, 80)),
        HINT = 'Take another name; SELECT lumina.drop_catalog(...) removes one.';
END $$;
REVOKE EXECUTE ON FUNCTION lumina_internal.create_catalog(oid, text, text) FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.create_catalog(oid, text, text) IS 'Internal: create_catalog for a caller';
CREATE FUNCTION lumina.create_catalog(name text, destination text DEFAULT NULL) RETURNS int8
    LANGUAGE c AS 'MODULE_PATHNAME', 'as_owner';
REVOKE EXECUTE ON FUNCTION lumina.create_catalog(text, text) FROM PUBLIC;
COMMENT ON FUNCTION lumina.create_catalog(text, text) IS 'Makes a catalog that the current role owns; returns its id';

CREATE FUNCTION lumina_internal.drop_catalog(caller oid, catalog_name text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    target int8 := lumina_internal.catalog(caller, catalog_name, 'own');
BEGIN
    DELETE FROM lumina.catalogs WHERE id = target;
END $$;
REVOKE EXECUTE ON FUNCTION lumina_internal.drop_catalog(oid, text) FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.drop_catalog(oid, text) IS 'Internal: drop_catalog for a caller';
CREATE FUNCTION lumina.drop_catalog(name text) RETURNS void LANGUAGE c AS 'MODULE_PATHNAME', 'as_owner';
COMMENT ON FUNCTION lumina.drop_catalog(text) IS
    'Removes a catalog with all its rows; never touches a file; a job that runs for it ends';

CREATE FUNCTION lumina_internal.reassign_catalog(caller oid, catalog_name text, role_name text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    target int8 := lumina_internal.catalog(caller, catalog_name, 'own');
    heir lumina.role := (SELECT lumina_internal.role(r.oid) FROM pg_roles r WHERE r.rolname = role_name);
BEGIN
    IF role_name IS NULL THEN
        RAISE null_value_not_allowed USING MESSAGE = 'role must not be NULL',
            HINT = 'Write lumina.reassign_catalog(''holiday'', ''alice''), say.';
    ELSIF heir IS NULL THEN
        RAISE undefined_object USING MESSAGE = format('role "%s" does not exist', left(role_name, 80)),
            HINT = 'Give the name of a role as it is, without quotes around it.';
    -- Pictures are shown of what the owner may import: nobody is made an owner by somebody else.
    ELSIF NOT lumina_internal.acts_for(caller, heir) THEN
        RAISE insufficient_privilege USING
            MESSAGE = format('permission denied to make "%s" the owner of catalog "%s"', heir, left(catalog_name, 80)),
            HINT = 'A superuser may, and a role that has the rights of both roles.';
    END IF;
    UPDATE lumina.catalogs SET owner = heir WHERE id = target;
END $$;
REVOKE EXECUTE ON FUNCTION lumina_internal.reassign_catalog(oid, text, text) FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.reassign_catalog(oid, text, text) IS 'Internal: reassign_catalog for a caller';
CREATE FUNCTION lumina.reassign_catalog(catalog text, role text)
    RETURNS void LANGUAGE c AS 'MODULE_PATHNAME', 'as_owner';
COMMENT ON FUNCTION lumina.reassign_catalog(text, text) IS
    'Makes another role the owner of a catalog: one that the caller has the rights of; a superuser any, also where '
    'the owner is gone';

CREATE FUNCTION lumina_internal.checked_grant(caller oid, catalog_name text, role_name text, access_name text,
        OUT of_catalog int8, OUT wanted lumina.access_right)
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    of_catalog := lumina_internal.catalog(caller, catalog_name, 'own');
    IF role_name IS NULL OR access_name IS NULL THEN
        RAISE null_value_not_allowed USING MESSAGE = 'role and access must not be NULL',
            HINT = 'Write lumina.grant_catalog(''holiday'', ''alice'', ''read''), say.';
    ELSIF access_name NOT IN ('read', 'curate', 'import') THEN
        RAISE invalid_parameter_value USING
            MESSAGE = format('"%s" is no right that can be granted', left(access_name, 80)),
            HINT = 'Give ''read'', ''curate'' or ''import''.';
    ELSIF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role_name) THEN
        RAISE undefined_object USING MESSAGE = format('role "%s" does not exist', left(role_name, 80)),
            HINT = 'Give the name of a role as it is, without quotes around it; a right is never granted to PUBLIC.';
    END IF;
    wanted := access_name;
END $$;
REVOKE EXECUTE ON FUNCTION lumina_internal.checked_grant(oid, text, text, text) FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.checked_grant(oid, text, text, text) IS
    'Internal: checks the arguments of grant_catalog and revoke_catalog';

CREATE FUNCTION lumina_internal.grant_catalog(caller oid, catalog_name text, role_name text, access_name text)
    RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO lumina.catalog_grants (catalog, role, access, granted_by)
        SELECT g.of_catalog, lumina_internal.role((SELECT r.oid FROM pg_roles r WHERE r.rolname = role_name)), g.wanted,
            lumina_internal.role(caller)
        FROM lumina_internal.checked_grant(caller, catalog_name, role_name, access_name) g ON CONFLICT DO NOTHING;
END $$;
REVOKE EXECUTE ON FUNCTION lumina_internal.grant_catalog(oid, text, text, text) FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.grant_catalog(oid, text, text, text) IS 'Internal: grant_catalog for a caller';
CREATE FUNCTION lumina.grant_catalog(catalog text, role text, access text) RETURNS void
    LANGUAGE c AS 'MODULE_PATHNAME', 'as_owner';
COMMENT ON FUNCTION lumina.grant_catalog(text, text, text) IS
    'Lets a role read, curate or import into a catalog; who may curate or import may read as well';

CREATE FUNCTION lumina_internal.revoke_catalog(caller oid, catalog_name text, role_name text, access_name text)
    RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    target int8 := lumina_internal.catalog(caller, catalog_name, 'own');
BEGIN
    IF role_name IS NULL OR access_name IS NULL THEN
        RAISE null_value_not_allowed USING MESSAGE = 'role and access must not be NULL',
            HINT = 'Write lumina.revoke_catalog(''holiday'', ''alice'', ''read''), say.';
    END IF;
    -- As they are shown: the role may be gone by now.
    DELETE FROM lumina.catalog_grants g WHERE g.catalog = target
        AND g.role::text = role_name AND g.access::text = access_name;
    IF NOT FOUND THEN
        RAISE undefined_object USING MESSAGE = format('role "%s" has no right "%s" to catalog "%s"',
                left(role_name, 80), left(access_name, 80), left(catalog_name, 80)),
            HINT = 'TABLE lumina.catalog_grants lists what was granted.';
    END IF;
END $$;
REVOKE EXECUTE ON FUNCTION lumina_internal.revoke_catalog(oid, text, text, text) FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.revoke_catalog(oid, text, text, text) IS 'Internal: revoke_catalog for a caller';
CREATE FUNCTION lumina.revoke_catalog(catalog text, role text, access text) RETURNS void
    LANGUAGE c AS 'MODULE_PATHNAME', 'as_owner';
COMMENT ON FUNCTION lumina.revoke_catalog(text, text, text) IS 'Takes back what grant_catalog gave';
