-- Options of a catalog: what its owner has chosen, one key each of catalogs.settings. An option that is not there has
-- its default; each is checked by a function of its own when it is set.

-- The value of an option as it is stored; raises where it is none. One branch an option.
CREATE FUNCTION lumina_internal.checked_option(caller oid, of_catalog int8, option_name text, value jsonb) RETURNS jsonb
    STABLE LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    CASE option_name
    WHEN 'on_resolve' THEN
        RETURN lumina_internal.checked_hook(of_catalog, value);
    WHEN 'quality' THEN
        RETURN lumina_internal.checked_quality(value);
    WHEN 'preferred_folders' THEN
        RETURN lumina_internal.checked_folders(of_catalog, value);
    ELSE
        RAISE invalid_parameter_value USING MESSAGE = format('unknown option "%s"', left(option_name, 80)),
            HINT = 'The options are on_resolve, preferred_folders and quality.';
    END CASE;
END $$;
REVOKE EXECUTE ON FUNCTION lumina_internal.checked_option(oid, int8, text, jsonb) FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.checked_option(oid, int8, text, jsonb) IS
    'Internal: the value of an option of a catalog, checked';

CREATE FUNCTION lumina_internal.set_catalog_option(caller oid, catalog_name text, option_name text, value jsonb)
    RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    target int8 := lumina_internal.catalog(caller, catalog_name, 'own');
BEGIN
    IF option_name IS NULL THEN
        RAISE null_value_not_allowed USING MESSAGE = 'the name of an option must not be NULL',
            HINT = 'A value of NULL puts an option back to its default.';
    END IF;
    PERFORM FROM lumina.catalogs c WHERE c.id = target FOR NO KEY UPDATE;
    UPDATE lumina.catalogs c SET settings = CASE WHEN value IS NULL OR value = 'null' THEN c.settings - option_name
        ELSE jsonb_set(c.settings, ARRAY[option_name],
            lumina_internal.checked_option(caller, target, option_name, value)) END
        WHERE c.id = target;
END $$;
REVOKE EXECUTE ON FUNCTION lumina_internal.set_catalog_option(oid, text, text, jsonb) FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.set_catalog_option(oid, text, text, jsonb) IS
    'Internal: set_catalog_option for a caller';
CREATE FUNCTION lumina.set_catalog_option(catalog text, option text, value jsonb) RETURNS void
    LANGUAGE c AS 'MODULE_PATHNAME', 'as_owner';
COMMENT ON FUNCTION lumina.set_catalog_option(text, text, jsonb) IS
    'Sets an option of a catalog, or puts it back to its default, NULL; for its owner alone';
