-- Duplicates: runs of the job detect_duplicates, their groups and members, and views of the current run.
--
-- A run is published whole, in the transaction in which its job succeeds; that also removes the groups of the run
-- before. An image is in at most one group of a run. A group has one image with several files (exact), or several
-- images whose hashes are equal (identical) or near.

CREATE TYPE lumina.group_kind AS ENUM ('exact', 'identical', 'near');
COMMENT ON TYPE lumina.group_kind IS
    'exact: files with the same bytes; identical: pictures with equal hashes; near: with near ones';

-- A pair rule as a value: alternatives, in each of which every hash must be within its distance. NULL for no such
-- value.
CREATE FUNCTION lumina_internal.pair_rule(rule jsonb) RETURNS jsonb
    IMMUTABLE STRICT PARALLEL SAFE LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    alternative jsonb;
    hash text;
    distance jsonb;
    checked jsonb := '[]';
    radii jsonb;
BEGIN
    IF jsonb_typeof(rule) <> 'array' OR jsonb_array_length(rule) NOT BETWEEN 1 AND 8 THEN
        RETURN NULL;
    END IF;
    FOR alternative IN SELECT * FROM jsonb_array_elements(rule) LOOP
        IF jsonb_typeof(alternative) <> 'object' OR alternative = '{}' THEN
            RETURN NULL;
        END IF;
        radii := '{}';
        FOR hash, distance IN SELECT * FROM jsonb_each(alternative) LOOP
            IF hash NOT IN ('ahash', 'dhash', 'dct', 'pdq') OR jsonb_typeof(distance) <> 'number' THEN
                RETURN NULL;
            ELSIF distance::numeric <> trunc(distance::numeric)
                    OR distance::numeric NOT BETWEEN 0 AND (CASE hash WHEN 'pdq' THEN 255 ELSE 63 END) THEN
                RETURN NULL;
            END IF;
            radii := jsonb_set(radii, ARRAY[hash], to_jsonb(distance::int4));
        END LOOP;
        checked := checked || jsonb_build_array(radii);
    END LOOP;
    RETURN checked;
END $$;
COMMENT ON FUNCTION lumina_internal.pair_rule(jsonb) IS
    'Internal: a pair rule, its distances as integers, if it is one, else NULL';

CREATE TABLE lumina.duplicate_runs (
    id int8 GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    catalog int8 NOT NULL REFERENCES lumina.catalogs ON DELETE CASCADE,
    job int8 NOT NULL UNIQUE,
    is_current bool NOT NULL,
    rule jsonb NOT NULL CHECK (lumina_internal.pair_rule(rule) IS NOT NULL),
    strategy text NOT NULL CHECK (strategy IN ('clique', 'star', 'component')),
    images int8 NOT NULL CHECK (images >= 0),
    compared int8 NOT NULL CHECK (compared BETWEEN 0 AND images),
    possible_pairs numeric NOT NULL CHECK (possible_pairs = compared::numeric * (compared - 1) / 2 OR compared = 0),
    -- The search looks at every pair or says that it failed: a run that is not complete cannot be written.
    complete bool NOT NULL CHECK (complete),
    near_pairs int8 NOT NULL CHECK (near_pairs >= 0),
    groups int8 NOT NULL CHECK (groups >= 0),
    members int8 NOT NULL CHECK (members >= groups),
    created_at timestamptz NOT NULL DEFAULT now(),
    -- What its order of preference depended on: see sql/catalog/changes.sql.
    basis text,
    -- Whether there was a raw file among the images, beside which a picture may lie.
    has_raw bool NOT NULL DEFAULT true,
    -- The last search of what had changed since, which has replaced groups of this run; images, compared,
    -- possible_pairs and near_pairs are those of the run.
    refreshed_by int8,
    refreshed_at timestamptz,
    UNIQUE (id, catalog),
    FOREIGN KEY (job, catalog) REFERENCES lumina.jobs (id, catalog) ON DELETE CASCADE
);
CREATE UNIQUE INDEX duplicate_runs_current ON lumina.duplicate_runs (catalog) WHERE is_current;
COMMENT ON TABLE lumina.duplicate_runs IS
    'Searches of all images of a catalog that succeeded: parameters and counts; the current one has the groups, and '
    'refreshed_at, refreshed_by say when, and by which job, they were last brought up to date with what had changed';

CREATE TABLE lumina.duplicate_groups (
    id int8 GENERATED ALWAYS AS IDENTITY,
    run int8 NOT NULL,
    catalog int8 NOT NULL,
    kind lumina.group_kind NOT NULL,
    distance int2 NOT NULL CHECK (distance BETWEEN 0 AND 64),
    -- 100 * (1 - distance / 64), rounded.
    confidence int2 NOT NULL GENERATED ALWAYS AS (((25 * (64 - distance) + 8) / 16)::int2) STORED,
    images int4 NOT NULL CHECK (images >= 1),
    files int4 NOT NULL CHECK (files >= 2 OR images >= 2),
    bytes int8 NOT NULL CHECK (bytes >= 0),
    savings int8 NOT NULL CHECK (savings BETWEEN 0 AND bytes),
    also_near int8[] NOT NULL DEFAULT '{}',
    also_near_count int4 NOT NULL DEFAULT 0 CHECK (also_near_count >= cardinality(also_near)),
    -- The action that has decided it, if any: then it is hidden. A plain value: actions stay, groups do not.
    decision int8,
    -- Of the image to keep, at the time of the run: what pages are in the order of. Unknown is before all times.
    captured_at timestamptz NOT NULL DEFAULT '-infinity',
    folder text COLLATE "C" NOT NULL DEFAULT '',
    -- What is left by now: see sql/catalog/duplicate_pages.sql.
    current_images int4 NOT NULL CHECK (current_images >= 0),
    current_redundant int4 NOT NULL CHECK (current_redundant >= 0),
    current_savings int8 NOT NULL CHECK (current_savings >= 0),
    is_open bool NOT NULL GENERATED ALWAYS AS (current_redundant > 0 AND decision IS NULL) STORED,
    -- Numbers are never used twice; run and catalog are here for the members to refer to, in one index instead of two.
    PRIMARY KEY (id, run, catalog),
    FOREIGN KEY (run, catalog) REFERENCES lumina.duplicate_runs (id, catalog) ON DELETE CASCADE,
    CHECK ((kind = 'exact') = (images = 1)),
    CHECK (kind = 'near' OR distance = 0)
);
COMMENT ON TABLE lumina.duplicate_groups IS
    'Groups of duplicates; distance: between the two members farthest apart, of 64 bits; savings: the bytes of '
    'redundant files, which a decision to keep the best can reject; current_...: what is left by now of its images, '
    'redundant files and their bytes';

CREATE TABLE lumina.duplicate_members (
    image int8 NOT NULL,
    run int8 NOT NULL,
    group_id int8 NOT NULL,
    catalog int8 NOT NULL,
    -- Its place in the group, from the one to keep, which is 0.
    place int4 NOT NULL CHECK (place >= 0),
    is_primary bool NOT NULL GENERATED ALWAYS AS (place = 0) STORED,
    -- The one to keep at the time of the search, where this is a copy of it: less original, whatever its score. No
    -- reference: the group may have been split since, or the one to keep be gone.
    copy_of int8,
    distance int2 NOT NULL CHECK (distance BETWEEN 0 AND 64),
    similarity int2 NOT NULL GENERATED ALWAYS AS (((25 * (64 - distance) + 8) / 16)::int2) STORED,
    ahash_distance int2 CHECK (ahash_distance BETWEEN 0 AND 64),
    dhash_distance int2 CHECK (dhash_distance BETWEEN 0 AND 64),
    dct_distance int2 CHECK (dct_distance BETWEEN 0 AND 64),
    pdq_distance int2 CHECK (pdq_distance BETWEEN 0 AND 256),
    PRIMARY KEY (image, run),
    UNIQUE (group_id, place),
    FOREIGN KEY (catalog, image) REFERENCES lumina.images (catalog, id) ON DELETE CASCADE,
    FOREIGN KEY (group_id, run, catalog) REFERENCES lumina.duplicate_groups (id, run, catalog) ON DELETE CASCADE,
    CHECK (place > 0 OR distance = 0)
);
COMMENT ON TABLE lumina.duplicate_members IS
    'Images in groups, at most once a run; distances: to the primary, which is the one to keep; copy_of: the one to '
    'keep, where the image is a copy that was made of it';

ALTER TABLE lumina.duplicate_runs ENABLE ROW LEVEL SECURITY;
CREATE POLICY readable ON lumina.duplicate_runs FOR SELECT
    USING (catalog = ANY ((SELECT lumina.readable_catalogs())::int8[]));
ALTER TABLE lumina.duplicate_groups ENABLE ROW LEVEL SECURITY;
CREATE POLICY readable ON lumina.duplicate_groups FOR SELECT
    USING (catalog = ANY ((SELECT lumina.readable_catalogs())::int8[]));
ALTER TABLE lumina.duplicate_members ENABLE ROW LEVEL SECURITY;
CREATE POLICY readable ON lumina.duplicate_members FOR SELECT
    USING (catalog = ANY ((SELECT lumina.readable_catalogs())::int8[]));
GRANT SELECT ON lumina.duplicate_runs, lumina.duplicate_groups, lumina.duplicate_members TO PUBLIC;

CREATE FUNCTION lumina_internal.detect_duplicates(
    caller oid, catalog_name text, max_distance int4, strategy text, rule_name text, raw_jpeg text, exclude_bursts bool,
    scope text)
    RETURNS int8
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    wanted int8 := lumina_internal.catalog(caller, catalog_name, 'curate');
    rule jsonb;
BEGIN
    IF strategy IS NULL OR rule_name IS NULL OR raw_jpeg IS NULL OR exclude_bursts IS NULL OR scope IS NULL THEN
        RAISE null_value_not_allowed USING
            MESSAGE = 'strategy, rule, raw_jpeg, exclude_bursts and scope must not be NULL',
            HINT = 'Leave them out for clique, consensus, siblings, true and auto.';
    ELSIF scope NOT IN ('auto', 'all', 'changes') THEN
        RAISE invalid_parameter_value USING MESSAGE = format('unknown scope "%s"', left(scope, 80)),
            HINT = 'all compares every image, changes what has changed since the last search; '
                'auto is changes where that is possible.';
    ELSIF raw_jpeg NOT IN ('siblings', 'duplicate') THEN
        RAISE invalid_parameter_value USING MESSAGE = format('unknown value "%s" of raw_jpeg', left(raw_jpeg, 80)),
            HINT = 'A JPEG of the shot of a raw file of the same name is its sibling, '
                'or, with duplicate, compared as any other.';
    ELSIF strategy NOT IN ('clique', 'star', 'component') THEN
        RAISE invalid_parameter_value USING MESSAGE = format('unknown strategy "%s"', left(strategy, 80)),
            HINT = 'The strategies are clique, star and component.';
    ELSIF rule_name = 'consensus' THEN
        IF max_distance NOT BETWEEN 0 AND 63 THEN
            RAISE numeric_value_out_of_range USING
                MESSAGE = format('max_distance %s is not between 0 and 63', max_distance),
                HINT = 'Within 5 bits of 64 pictures look alike; beyond 10 hardly any do.';
        END IF;
        rule := jsonb_build_array(jsonb_build_object(
            'ahash', coalesce(max_distance, 5), 'dhash', coalesce(max_distance, 5)));
    ELSIF max_distance IS NOT NULL THEN
        RAISE invalid_parameter_value USING MESSAGE = 'max_distance goes with the rule consensus alone',
            HINT = 'Leave it out: other rules hold their own distances.';
    ELSIF rule_name = 'verified' THEN
        rule := '[{"dhash": 12, "pdq": 100}, {"dct": 14, "pdq": 100}]';
    ELSE
        BEGIN
            rule := lumina_internal.pair_rule(rule_name::jsonb);
        EXCEPTION WHEN data_exception OR program_limit_exceeded THEN
            rule := NULL;
        END;
        IF rule IS NULL THEN
            RAISE invalid_parameter_value USING MESSAGE = format('"%s" is no pair rule', left(rule_name, 80)),
                HINT = 'Give consensus, verified, or alternatives such as [{"dhash": 3}, {"ahash": 8, "pdq": 60}]: '
                    'hashes ahash, dhash, dct, pdq, each with a distance below its width.';
        END IF;
    END IF;
    RETURN lumina_internal.submit(caller, 'detect_duplicates', wanted,
        jsonb_build_object('rule', rule, 'strategy', strategy, 'raw_jpeg', raw_jpeg,
            'exclude_bursts', exclude_bursts, 'scope', scope));
END $$;
REVOKE EXECUTE ON FUNCTION lumina_internal.detect_duplicates(oid, text, int4, text, text, text, bool, text) FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.detect_duplicates(oid, text, int4, text, text, text, bool, text) IS
    'Internal: detect_duplicates for a caller';
CREATE FUNCTION lumina.detect_duplicates(catalog text, max_distance int4 DEFAULT NULL, strategy text DEFAULT 'clique',
        rule text DEFAULT 'consensus', raw_jpeg text DEFAULT 'siblings', exclude_bursts bool DEFAULT true,
        scope text DEFAULT 'auto') RETURNS int8
    LANGUAGE c AS 'MODULE_PATHNAME', 'as_owner';
COMMENT ON FUNCTION lumina.detect_duplicates(text, int4, text, text, text, bool, text) IS
    'Submits a job that groups the duplicates of a catalog and replaces the groups it had, all of them or those that '
    'what has changed since can touch; returns the job''s id';

-- The files of an image that are there. Two names of one file are one, known by its best name: one that is protected,
-- then that in the best preferred folder, then that of the earliest import, and of these the first by its path: ids are
-- in the order in which files were read. Before them come those that no import has written, by their ids. It is wanted
-- where somebody has decided to keep it, by any of its names there, beside others of its image. `preferred` and
-- `protected` are lists of folders. Not STRICT, without SET: so it is inlined. Where it is not, its path has the
-- database's collation: whatever sorts by it says COLLATE "C", as the column has.
CREATE FUNCTION lumina_internal.files_there(of_image int8, preferred bytea, protected bytea)
    RETURNS TABLE (file int8, path text, folder int4, is_protected bool, is_wanted bool, import_job int8, number int8)
    STABLE LANGUAGE sql
BEGIN ATOMIC
    SELECT f.id, f.path, k.folder, k.is_protected,
        -- Mostly there is none.
        (SELECT EXISTS (SELECT FROM lumina.distinct_files))
            AND (EXISTS (SELECT FROM lumina.distinct_files d WHERE d.file = f.id)
                OR EXISTS (SELECT FROM lumina.image_files o JOIN lumina.distinct_files d ON d.file = o.id
                    WHERE o.image = f.image AND o.device = f.device AND o.inode = f.inode AND o.id <> f.id
                    AND o.state = 'keep' AND o.missing_since IS NULL)),
        k.import_job, k.number
    FROM lumina.image_files f
    CROSS JOIN LATERAL (SELECT coalesce(lumina_internal.folder_rank(preferred, f.path), 65536) AS folder,
        coalesce(lumina_internal.is_below(protected, f.path), false) AS is_protected,
        coalesce(f.import_job, 0) AS import_job, CASE WHEN f.import_job IS NULL THEN f.id ELSE 0 END AS number) k
    WHERE f.image = of_image AND f.state = 'keep' AND f.missing_since IS NULL
        AND NOT EXISTS (SELECT FROM lumina.image_files o
            WHERE o.image = f.image AND o.device = f.device AND o.inode = f.inode AND o.id <> f.id
            AND o.state = 'keep' AND o.missing_since IS NULL
            AND (NOT coalesce(lumina_internal.is_below(protected, o.path), false),
                    coalesce(lumina_internal.folder_rank(preferred, o.path), 65536), coalesce(o.import_job, 0),
                    CASE WHEN o.import_job IS NULL THEN o.id ELSE 0 END, o.path)
                < (NOT k.is_protected, k.folder, k.import_job, k.number, f.path)
            OFFSET 0); -- keeps it a look-up: most files have one name
END;
COMMENT ON FUNCTION lumina_internal.files_there(int8, bytea, bytea) IS
    'Internal: the files of an image that are there, each by one of its names';

-- What is there of the current groups that nobody has decided: images that are not rejected, with the files that they
-- have. Images and files may have gone since the run; the first that is left of a group is the one to keep. Redundant
-- are, of an image that stays, all files but the first, those that are protected, and those that are wanted; and all of
-- an image that goes. The first image of a group stays, and one that has a protected file, also if that is missing: it
-- may be on a disk that is not there at the moment.
CREATE VIEW lumina_internal.current_files WITH (security_invoker = true) AS
SELECT c.*, CASE WHEN c.image_place = 1 OR c.keeps_image
        THEN c.place_in_image > 1 AND NOT c.is_protected AND NOT c.is_wanted ELSE true END AS is_redundant
FROM (SELECT g.catalog, g.id AS group_id, g.kind, m.image, m.place, m.distance, m.similarity, i.size, f.file, f.path,
        row_number() OVER w AS file_place, first_value(f.path) OVER w AS keep, f.is_protected, f.is_wanted,
        dense_rank() OVER (PARTITION BY g.id ORDER BY m.place) AS image_place,
        row_number() OVER (PARTITION BY g.id, m.place
            ORDER BY f.folder, NOT f.is_protected, NOT f.is_wanted, f.import_job, f.number,
                f.path COLLATE "C") AS place_in_image,
        p.protected IS NOT NULL AND EXISTS (SELECT FROM lumina.image_files o WHERE o.image = m.image
            AND o.state = 'keep' AND lumina_internal.is_below(p.protected, o.path)) AS keeps_image
    FROM lumina.duplicate_runs r
    JOIN (SELECT c.id, lumina_internal.folder_list(c.settings->'preferred_folders') AS preferred,
            lumina_internal.folder_list((SELECT jsonb_agg(s.path) FROM lumina.sources s
                WHERE s.catalog = c.id AND s.protected)) AS protected
        FROM lumina.catalogs c OFFSET 0) p ON p.id = r.catalog
    JOIN lumina.duplicate_groups g ON g.run = r.id
    JOIN lumina.duplicate_members m ON m.group_id = g.id AND m.run = g.run
    JOIN lumina.images i ON i.id = m.image AND i.status <> 'rejected'
    CROSS JOIN LATERAL lumina_internal.files_there(m.image, p.preferred, p.protected) f
    WHERE r.is_current AND g.decision IS NULL
    -- Of the files of an image that in the best preferred folder is kept, then one that is protected, then one that is
    -- wanted, then the earliest.
    WINDOW w AS (PARTITION BY g.id
        ORDER BY m.place, f.folder, NOT f.is_protected, NOT f.is_wanted, f.import_job, f.number, f.path COLLATE "C")) c;
GRANT SELECT ON lumina_internal.current_files TO PUBLIC;
COMMENT ON VIEW lumina_internal.current_files IS
    'Internal: the files of current groups, the one to keep of each group first';

CREATE VIEW lumina.image_duplicates WITH (security_invoker = true) AS
SELECT c.name AS catalog, f.group_id, f.kind, f.image, f.file, f.path, f.keep, f.distance, f.similarity, f.size
FROM lumina_internal.current_files f
JOIN lumina.catalogs c ON c.id = f.catalog
WHERE f.is_redundant;
GRANT SELECT ON lumina.image_duplicates TO PUBLIC;
COMMENT ON VIEW lumina.image_duplicates IS
    'One row a redundant file: exact and near ones together, with the file to keep instead; none of a protected source';

CREATE VIEW lumina.duplicate_statistics WITH (security_invoker = true) AS
SELECT c.name AS catalog, r.id AS run, r.job, r.created_at, r.rule, r.strategy, r.images, r.compared, r.near_pairs,
    count(g.id) AS groups,
    count(g.id) FILTER (WHERE g.kind = 'exact') AS exact,
    count(g.id) FILTER (WHERE g.kind = 'identical') AS identical,
    count(g.id) FILTER (WHERE g.kind = 'near') AS near,
    coalesce(sum(g.current_images::int8), 0) AS members,
    coalesce(sum(g.current_redundant::int8), 0) AS redundant_files,
    coalesce(sum(g.current_savings), 0) AS savings,
    pg_size_pretty(coalesce(sum(g.current_savings), 0)) AS win_back
FROM lumina.duplicate_runs r
JOIN lumina.catalogs c ON c.id = r.catalog
LEFT JOIN lumina.duplicate_groups g ON g.run = r.id AND g.is_open
WHERE r.is_current
GROUP BY c.name, r.id;
GRANT SELECT ON lumina.duplicate_statistics TO PUBLIC;
COMMENT ON VIEW lumina.duplicate_statistics IS
    'One row a catalog: its current run, and what is there of its groups by now: how many of which kind, and the '
    'bytes to win back';

-- The catalog of that name that the current role may read; an error where there is none.
CREATE FUNCTION lumina_internal.readable_catalog(caller oid, catalog_name text) RETURNS int8
    STABLE LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT lumina_internal.catalog(caller, catalog_name, 'read');
END;
REVOKE EXECUTE ON FUNCTION lumina_internal.readable_catalog(oid, text) FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.readable_catalog(oid, text) IS 'Internal: readable_catalog for a caller';
CREATE FUNCTION lumina.readable_catalog(name text) RETURNS int8
    STABLE PARALLEL RESTRICTED LANGUAGE c AS 'MODULE_PATHNAME', 'as_owner';
COMMENT ON FUNCTION lumina.readable_catalog(text) IS
    'The id of the catalog of that name; an error where the current role may not read one';
