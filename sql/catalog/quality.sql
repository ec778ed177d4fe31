-- Quality and preference: by which score a catalog ranks its images, and which folders and sources come before it.
--
-- The option quality of a catalog names the score and the weights of its parts. Import writes what it makes of a new
-- image to images.chosen_score, and the job score_quality that of all images. The option preferred_folders is a list of
-- paths, the most important first; a source is protected by protect_source. Which of several images is the one to keep
-- is decided in crates/catalog/src/preference.rs, and which of several files of one image by the view
-- lumina_internal.current_files, by the functions of this file.

CREATE FUNCTION lumina_internal.rounded_score(score float8) RETURNS float8
    IMMUTABLE STRICT PARALLEL SAFE LANGUAGE c AS 'MODULE_PATHNAME', 'rounded_score';
REVOKE EXECUTE ON FUNCTION lumina_internal.rounded_score(float8) FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.rounded_score(float8) IS 'Internal: a score, rounded as all scores are';

-- The weights of the eight parts of both scores, in their order: points of the ranking score for a point of the part.
-- NULL where the catalog ranks by the quality score as it is.
CREATE FUNCTION lumina_internal.score_weights(of_catalog int8) RETURNS float8[]
    STABLE STRICT LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT CASE c.settings->'quality'->>'score'
        WHEN 'quality' THEN CASE WHEN c.settings->'quality'->'weights'
                <> '{"format": 40, "resolution": 35, "size": 15, "metadata": 10}'::jsonb
            THEN ARRAY[w.format / w.sum, w.resolution / w.sum, w.size / w.sum, w.metadata / w.sum, 0, 0, 0, 0] END
        -- The most points of its parts are 40, 30, 20 and 10.
        WHEN 'composite' THEN ARRAY[0, 0, 0, 0, w.format * 100 / (w.sum * 40), w.resolution * 100 / (w.sum * 30),
            w.size * 100 / (w.sum * 20), w.sharpness * 100 / (w.sum * 10)] END
    FROM lumina.catalogs c
    CROSS JOIN LATERAL (SELECT v.*, coalesce(v.format, 0) + coalesce(v.resolution, 0) + coalesce(v.size, 0)
            + coalesce(v.metadata, 0) + coalesce(v.sharpness, 0) AS sum
        FROM jsonb_to_record(coalesce(c.settings->'quality'->'weights', '{}')) v (format float8, resolution float8,
            size float8, metadata float8, sharpness float8)) w
    WHERE c.id = of_catalog;
END;
REVOKE EXECUTE ON FUNCTION lumina_internal.score_weights(int8) FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.score_weights(int8) IS
    'Internal: the weights of all parts of scores in a catalog; NULL for those of the quality score';

-- From the parts as the table stores them. NULL without weights.
CREATE FUNCTION lumina_internal.weighted_score(weights float8[], quality_format float4, quality_resolution float4,
    quality_size float4, quality_metadata float4, composite_format float4, composite_resolution float4,
    composite_size float4, composite_sharpness float4) RETURNS float4
    IMMUTABLE PARALLEL SAFE LANGUAGE sql
BEGIN ATOMIC
    SELECT lumina_internal.rounded_score(weights[1] * quality_format + weights[2] * quality_resolution
        + weights[3] * quality_size + weights[4] * quality_metadata + weights[5] * composite_format
        + weights[6] * composite_resolution + weights[7] * composite_size + weights[8] * composite_sharpness)::float4;
END;
REVOKE EXECUTE ON FUNCTION lumina_internal.weighted_score(
    float8[], float4, float4, float4, float4, float4, float4, float4, float4) FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.weighted_score(
    float8[], float4, float4, float4, float4, float4, float4, float4, float4) IS
    'Internal: the score of an image by the weights of its catalog';

-- The value of the option quality, with all its weights.
CREATE FUNCTION lumina_internal.checked_quality(value jsonb) RETURNS jsonb
    IMMUTABLE LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    score text := 'quality';
    weights jsonb;
    parts text;
    key text;
    weight jsonb;
BEGIN
    IF jsonb_typeof(value) <> 'object' THEN
        RAISE invalid_parameter_value USING MESSAGE = 'the option quality is an object',
            HINT = 'Write {"score": "composite"} or {"weights": {"format": 60}}, say.';
    END IF;
    SELECT k INTO key FROM jsonb_object_keys(value) k WHERE k NOT IN ('score', 'weights') ORDER BY k LIMIT 1;
    IF FOUND THEN
        RAISE invalid_parameter_value USING MESSAGE = format('unknown key "%s" of the option quality', left(key, 80)),
            HINT = 'Its keys are score and weights.';
    END IF;
    IF value ? 'score' THEN
        score := CASE WHEN jsonb_typeof(value->'score') = 'string' THEN value->>'score' END;
    END IF;
    weights := CASE score
        WHEN 'quality' THEN '{"format": 40, "resolution": 35, "size": 15, "metadata": 10}'::jsonb
        WHEN 'composite' THEN '{"format": 40, "resolution": 30, "size": 20, "sharpness": 10}' END;
    IF weights IS NULL THEN
        RAISE invalid_parameter_value USING
            MESSAGE = format('unknown score %s', left((value->'score')::text, 80)),
            HINT = 'The scores are "quality" and "composite".';
    ELSIF value ? 'weights' AND jsonb_typeof(value->'weights') <> 'object' THEN
        RAISE invalid_parameter_value USING MESSAGE = 'the weights of the option quality are an object',
            HINT = 'Write {"weights": {"format": 60}}, say; a weight that is left out has its default.';
    END IF;
    parts := (SELECT string_agg(k, ', ') FROM jsonb_object_keys(weights) k);
    FOR key, weight IN SELECT * FROM jsonb_each(value->'weights') LOOP
        IF NOT weights ? key THEN
            RAISE invalid_parameter_value USING
                MESSAGE = format('the score %s has no part "%s"', score, left(key, 80)),
                HINT = format('Its parts are: %s.', parts);
        ELSIF jsonb_typeof(weight) <> 'number' THEN
            RAISE invalid_parameter_value USING MESSAGE = format('the weight of %s is not a number', key),
                HINT = 'A weight is a number from 0 to 1000000.';
        ELSIF weight::numeric NOT BETWEEN 0 AND 1000000 THEN
            RAISE numeric_value_out_of_range USING
                MESSAGE = format('the weight of %s is not between 0 and 1000000', key),
                HINT = 'Only the proportions of weights matter.';
        END IF;
        -- Bounded below as well, so that the sum is not too small to divide by.
        weights := jsonb_set(weights, ARRAY[key], to_jsonb(trim_scale(round(weight::numeric, 6))));
    END LOOP;
    IF NOT EXISTS (SELECT FROM jsonb_each(weights) w WHERE w.value <> '0') THEN
        RAISE invalid_parameter_value USING MESSAGE = 'all weights are 0',
            HINT = 'At least one of them must be greater; they are rounded to six decimals.';
    END IF;
    RETURN jsonb_build_object('score', score, 'weights', weights);
END $$;
REVOKE EXECUTE ON FUNCTION lumina_internal.checked_quality(jsonb) FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.checked_quality(jsonb) IS 'Internal: the value of the option quality, checked';

-- The next images of a catalog by their ids, whose scores are made those that the option quality gives. A row whose
-- score stays is not written. All NULL where the option is not the one that was begun with any more.
CREATE FUNCTION lumina_internal.score_batch(of_catalog int8, begun_with text, after int8, most int4, OUT last int8,
        OUT scored int8, OUT changed int8)
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_sort = off AS $$
DECLARE
    weights float8[] := lumina_internal.score_weights(of_catalog);
    images int8[];
    scores float4[];
BEGIN
    IF lumina_internal.quality_option(of_catalog) IS DISTINCT FROM begun_with THEN
        RETURN;
    END IF;
    -- From row to row of the index of catalogs and ids: the planner does not know how large a catalog is, and would
    -- read and sort all that is left of it for each batch, if it might (enable_sort).
    SELECT coalesce(max(s.id), after), count(*), array_agg(s.id ORDER BY s.id) FILTER (WHERE s.is_new),
            array_agg(s.score ORDER BY s.id) FILTER (WHERE s.is_new)
        INTO last, scored, images, scores
        FROM (SELECT i.id, n.score, n.score IS DISTINCT FROM i.chosen_score AS is_new
            FROM lumina.images i
            CROSS JOIN LATERAL (SELECT lumina_internal.weighted_score(weights, i.quality_format, i.quality_resolution,
                i.quality_size, i.quality_metadata, i.composite_format, i.composite_resolution, i.composite_size,
                i.composite_sharpness) AS score) n
            WHERE (i.catalog, i.id) > (of_catalog, after) AND (i.catalog, i.id) < (of_catalog + 1, 0)
            ORDER BY i.catalog, i.id LIMIT most) s;
    UPDATE lumina.images i SET chosen_score = n.score FROM unnest(images, scores) n (id, score) WHERE i.id = n.id;
    GET DIAGNOSTICS changed = ROW_COUNT;
END $$;
REVOKE EXECUTE ON FUNCTION lumina_internal.score_batch(int8, text, int8, int4) FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.score_batch(int8, text, int8, int4) IS
    'Internal: scores the next images of a catalog: the last one, how many, and how many of them have changed';

CREATE FUNCTION lumina_internal.quality_option(of_catalog int8) RETURNS text
    STABLE STRICT LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT coalesce((c.settings->'quality')::text, '') FROM lumina.catalogs c WHERE c.id = of_catalog;
END;
REVOKE EXECUTE ON FUNCTION lumina_internal.quality_option(int8) FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.quality_option(int8) IS
    'Internal: the option quality of a catalog as a text; empty where it is not set';

CREATE FUNCTION lumina_internal.score_quality(caller oid, catalog_name text) RETURNS int8
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN lumina_internal.submit(caller, 'score_quality', lumina_internal.catalog(caller, catalog_name, 'curate'),
        '{}');
END $$;
REVOKE EXECUTE ON FUNCTION lumina_internal.score_quality(oid, text) FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.score_quality(oid, text) IS 'Internal: score_quality for a caller';
CREATE FUNCTION lumina.score_quality(catalog text) RETURNS int8 LANGUAGE c AS 'MODULE_PATHNAME', 'as_owner';
COMMENT ON FUNCTION lumina.score_quality(text) IS
    'Submits a job that scores the images of a catalog by its option quality; returns the job''s id';

-- The source of that name or path.
CREATE FUNCTION lumina_internal.source(of_catalog int8, name_or_path text) RETURNS lumina.sources
    STABLE LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    found lumina.sources[];
BEGIN
    IF name_or_path IS NULL THEN
        RAISE null_value_not_allowed USING MESSAGE = 'source must not be NULL',
            HINT = 'Give the name or the path of a source: TABLE lumina.sources lists them.';
    END IF;
    found := ARRAY(SELECT s FROM lumina.sources s WHERE s.catalog = of_catalog
        AND CASE WHEN name_or_path LIKE '/%' THEN s.path = coalesce(nullif(rtrim(name_or_path, '/'), ''), '/')
            ELSE s.name = name_or_path END LIMIT 2);
    IF cardinality(found) = 0 THEN
        RAISE undefined_object USING MESSAGE = format('the catalog has no source "%s"', left(name_or_path, 80)),
            HINT = 'TABLE lumina.sources lists those that it has: the directories that were imported.';
    ELSIF cardinality(found) > 1 THEN
        RAISE invalid_parameter_value USING
            MESSAGE = format('the catalog has several sources "%s"', left(name_or_path, 80)),
            HINT = 'Give the path of one of them: TABLE lumina.sources lists them.';
    END IF;
    RETURN found[1];
END $$;
REVOKE EXECUTE ON FUNCTION lumina_internal.source(int8, text) FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.source(int8, text) IS 'Internal: a source of a catalog, by its name or path';

-- The value of the option preferred_folders: paths, without what is idle in them; sources are replaced by theirs.
CREATE FUNCTION lumina_internal.checked_folders(of_catalog int8, value jsonb) RETURNS jsonb
    STABLE LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    folder jsonb;
    path text;
    checked jsonb := '[]';
BEGIN
    IF jsonb_typeof(value) <> 'array' THEN
        RAISE invalid_parameter_value USING MESSAGE = 'the option preferred_folders is a list',
            HINT = 'Write ["/srv/photos/selected", "camera"]: absolute paths or names of sources, the best first.';
    ELSIF jsonb_array_length(value) > 100 THEN
        RAISE program_limit_exceeded USING
            MESSAGE = format('%s preferred folders are more than 100', jsonb_array_length(value)),
            HINT = 'A folder stands for all below it.';
    END IF;
    FOR folder IN SELECT * FROM jsonb_array_elements(value) LOOP
        path := folder #>> '{}';
        IF jsonb_typeof(folder) <> 'string' OR path = '' THEN
            RAISE invalid_parameter_value USING MESSAGE = format('%s is no folder', left(folder::text, 80)),
                HINT = 'Give absolute paths or names of sources, as strings.';
        ELSIF path NOT LIKE '/%' AND path LIKE '%/%' OR string_to_array(path, '/') && '{.,..}' THEN
            RAISE invalid_parameter_value USING MESSAGE = format('"%s" is not an absolute path', left(path, 80)),
                HINT = 'Give a directory of the server, from the root, without "." and "..".';
        ELSIF path NOT LIKE '/%' THEN
            path := (lumina_internal.source(of_catalog, path)).path;
        ELSE
            path := coalesce(nullif(rtrim(regexp_replace(path, '/+', '/', 'g'), '/'), ''), '/');
        END IF;
        IF octet_length(path) > 2500 THEN
            RAISE invalid_parameter_value USING MESSAGE = format('"%s..." is longer than 2500 bytes', left(path, 80)),
                HINT = 'No file of a catalog has such a path.';
        END IF;
        checked := checked || to_jsonb(path);
    END LOOP;
    RETURN checked;
END $$;
REVOKE EXECUTE ON FUNCTION lumina_internal.checked_folders(int8, jsonb) FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.checked_folders(int8, jsonb) IS
    'Internal: the value of the option preferred_folders, checked';

CREATE FUNCTION lumina_internal.protect_source(caller oid, catalog_name text, source text, protected bool) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    target int8 := lumina_internal.catalog(caller, catalog_name, 'own');
    wanted lumina.sources := lumina_internal.source(target, source);
BEGIN
    IF protected IS NULL THEN
        RAISE null_value_not_allowed USING MESSAGE = 'protected must not be NULL',
            HINT = 'Leave it out to protect a source, or write protected => false.';
    END IF;
    -- First of all, as the end of an import locks it; and written, so that a decision whose snapshot is older is
    -- refused.
    UPDATE lumina.catalogs c SET import_mode = c.import_mode WHERE c.id = target;
    UPDATE lumina.sources s SET protected = protect_source.protected
        WHERE s.id = wanted.id AND s.protected <> protect_source.protected;
END $$;
REVOKE EXECUTE ON FUNCTION lumina_internal.protect_source(oid, text, text, bool) FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.protect_source(oid, text, text, bool) IS 'Internal: protect_source for a caller';
CREATE FUNCTION lumina.protect_source(catalog text, source text, protected bool DEFAULT true) RETURNS void
    LANGUAGE c AS 'MODULE_PATHNAME', 'as_owner';
COMMENT ON FUNCTION lumina.protect_source(text, text, bool) IS
    'Protects the files below a source, given by its name or path, from being proposed for rejection, or no longer; '
    'for the owner of the catalog alone';

-- A list of folders as the two functions after it read it: once a query, and not once a file. NULL for no folder.
CREATE FUNCTION lumina_internal.folder_list(paths jsonb) RETURNS bytea
    STABLE STRICT PARALLEL SAFE LANGUAGE sql
BEGIN ATOMIC
    SELECT string_agg(convert_to(rtrim(p.path, '/') || '/', getdatabaseencoding()), '\x00'::bytea ORDER BY p.place)
    FROM jsonb_array_elements_text(CASE jsonb_typeof(paths) WHEN 'array' THEN paths ELSE '[]' END)
        WITH ORDINALITY p (path, place);
END;
COMMENT ON FUNCTION lumina_internal.folder_list(jsonb) IS 'Internal: paths as a list for folder_rank and is_below';
CREATE FUNCTION lumina_internal.folder_rank(folders bytea, path text) RETURNS int4
    IMMUTABLE STRICT PARALLEL SAFE LANGUAGE c AS 'MODULE_PATHNAME', 'folder_rank';
COMMENT ON FUNCTION lumina_internal.folder_rank(bytea, text) IS
    'Internal: the place of the first folder of a list that holds a file, from 1; 65536 for none';
CREATE FUNCTION lumina_internal.is_below(folders bytea, path text) RETURNS bool
    IMMUTABLE STRICT PARALLEL SAFE LANGUAGE c AS 'MODULE_PATHNAME', 'is_below';
COMMENT ON FUNCTION lumina_internal.is_below(bytea, text) IS 'Internal: whether a folder of a list holds a file';

-- For is_below; NULL where no source is protected.
CREATE FUNCTION lumina_internal.protected_folders(of_catalog int8) RETURNS bytea
    STABLE STRICT LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN (SELECT lumina_internal.folder_list(jsonb_agg(s.path)) FROM lumina.sources s
        WHERE s.catalog = of_catalog AND s.protected);
END $$;
REVOKE EXECUTE ON FUNCTION lumina_internal.protected_folders(int8) FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.protected_folders(int8) IS
    'Internal: the protected sources of a catalog, as a list for is_below';
