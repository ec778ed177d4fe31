-- Bursts: photographs that a camera took one after the other, as the job detect_bursts has found them.
--
-- A detection replaces all bursts of a catalog in the transaction in which its job succeeds: until then the old ones
-- are there. An image is in at most one burst. Numbers of bursts are never used twice. What somebody has chosen as the
-- best image of a burst is carried over to the burst that continues it: which has that image, and at least half of the
-- images that the old one still has.

CREATE TABLE lumina.bursts (
    id int8 GENERATED ALWAYS AS IDENTITY,
    catalog int8 NOT NULL REFERENCES lumina.catalogs ON DELETE CASCADE,
    -- As they were when the burst was detected; images may have gone since.
    frames int4 NOT NULL CHECK (frames >= shots),
    shots int4 NOT NULL CHECK (shots >= 2),
    started_at timestamptz NOT NULL,
    ended_at timestamptz NOT NULL,
    duration interval NOT NULL GENERATED ALWAYS AS (ended_at - started_at) STORED,
    camera_make text,
    camera_model text,
    best_image int8,
    best_by text NOT NULL CHECK (best_by IN ('quality', 'first', 'middle', 'manual')),
    -- All frames are of one second, and have no parts of it: they may be of one shot, or of a clock that stood still.
    suspect bool NOT NULL,
    -- The catalog is here for the frames to refer to, in one index instead of two.
    PRIMARY KEY (id, catalog),
    FOREIGN KEY (catalog, best_image) REFERENCES lumina.images (catalog, id) ON DELETE SET NULL (best_image),
    CHECK (ended_at >= started_at),
    CHECK (NOT suspect OR ended_at < started_at + '0.5 seconds'::interval)
);
CREATE INDEX bursts_best_image ON lumina.bursts (best_image);
CREATE INDEX bursts_started_at ON lumina.bursts (catalog, started_at DESC, id);
COMMENT ON TABLE lumina.bursts IS
    'Photographs that a camera took one after the other: when, how many, and the best one; suspect: of one second';

CREATE TABLE lumina.burst_frames (
    image int8 PRIMARY KEY,
    burst int8 NOT NULL,
    catalog int8 NOT NULL,
    position int4 NOT NULL CHECK (position >= 0),
    -- Images of one shot are copies of one another; NULL where the burst is a suspect: then it keeps none apart.
    shot int4 CHECK (shot BETWEEN 0 AND position),
    UNIQUE (burst, position),
    FOREIGN KEY (catalog, image) REFERENCES lumina.images (catalog, id) ON DELETE CASCADE,
    FOREIGN KEY (burst, catalog) REFERENCES lumina.bursts (id, catalog) ON DELETE CASCADE
);
COMMENT ON TABLE lumina.burst_frames IS
    'Images in bursts, in the order in which they were taken; those of one shot are copies of one another';

ALTER TABLE lumina.bursts ENABLE ROW LEVEL SECURITY;
CREATE POLICY readable ON lumina.bursts FOR SELECT USING (catalog = ANY ((SELECT lumina.readable_catalogs())::int8[]));
ALTER TABLE lumina.burst_frames ENABLE ROW LEVEL SECURITY;
CREATE POLICY readable ON lumina.burst_frames FOR SELECT
    USING (catalog = ANY ((SELECT lumina.readable_catalogs())::int8[]));
GRANT SELECT ON lumina.bursts, lumina.burst_frames TO PUBLIC;

CREATE FUNCTION lumina_internal.detect_bursts(
    caller oid, catalog_name text, preset text, gap interval, min_frames int4, best text)
    RETURNS int8
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    wanted int8 := lumina_internal.catalog(caller, catalog_name, 'curate');
    seconds numeric;
    frames int4;
BEGIN
    IF preset IS NULL OR best IS NULL THEN
        RAISE null_value_not_allowed USING MESSAGE = 'preset and best must not be NULL',
            HINT = 'Leave them out for default and quality.';
    END IF;
    SELECT p.seconds, p.frames INTO seconds, frames
        FROM (VALUES ('default', 2.0, 3), ('sports', 0.5, 5), ('portrait', 5.0, 3), ('events', 3.0, 4))
            p (name, seconds, frames)
        WHERE p.name = preset;
    IF NOT FOUND THEN
        RAISE invalid_parameter_value USING MESSAGE = format('unknown preset "%s"', left(preset, 80)),
            HINT = 'The presets are default, sports, portrait and events.';
    ELSIF best NOT IN ('quality', 'first', 'middle') THEN
        RAISE invalid_parameter_value USING MESSAGE = format('unknown way "%s" to find the best image', left(best, 80)),
            HINT = 'The best image is the one of best quality, the first or the middle; '
                'lumina.set_burst_best(burst, image) chooses one by hand.';
    ELSIF gap NOT BETWEEN '0.1 seconds'::interval AND '30 seconds'::interval THEN
        RAISE numeric_value_out_of_range USING MESSAGE = format('gap %s is not between 0.1 and 30 seconds', gap),
            HINT = 'It is the longest time from one frame to the next one.';
    ELSIF min_frames NOT BETWEEN 2 AND 1000 THEN
        RAISE numeric_value_out_of_range USING MESSAGE = format('min_frames %s is not between 2 and 1000', min_frames),
            HINT = 'It is how many shots a burst has at least.';
    END IF;
    RETURN lumina_internal.submit(caller, 'detect_bursts', wanted, jsonb_build_object(
        'gap', coalesce(extract(epoch FROM gap), seconds), 'min_frames', coalesce(min_frames, frames), 'best', best));
END $$;
REVOKE EXECUTE ON FUNCTION lumina_internal.detect_bursts(oid, text, text, interval, int4, text) FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.detect_bursts(oid, text, text, interval, int4, text) IS
    'Internal: detect_bursts for a caller';
CREATE FUNCTION lumina.detect_bursts(catalog text, preset text DEFAULT 'default', gap interval DEFAULT NULL,
        min_frames int4 DEFAULT NULL, best text DEFAULT 'quality') RETURNS int8
    LANGUAGE c AS 'MODULE_PATHNAME', 'as_owner';
COMMENT ON FUNCTION lumina.detect_bursts(text, text, interval, int4, text) IS
    'Submits a job that finds the bursts of a catalog and replaces those it had; returns the job''s id';

CREATE FUNCTION lumina_internal.set_burst_best(caller oid, burst int8, image int8) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    wanted int8 := set_burst_best.burst;
    chosen int8 := set_burst_best.image;
    of_catalog lumina.catalogs;
BEGIN
    IF wanted IS NULL OR chosen IS NULL THEN
        RAISE null_value_not_allowed USING MESSAGE = 'burst and image must not be NULL',
            HINT = 'Give the numbers of a burst and of one of its images: TABLE lumina.burst_images lists them.';
    END IF;
    SELECT c.* INTO of_catalog FROM lumina.bursts b JOIN lumina.catalogs c ON c.id = b.catalog WHERE b.id = wanted;
    IF lumina_internal.rights(caller, of_catalog.id) IS NOT NULL THEN
        PERFORM lumina_internal.catalog(caller, of_catalog.name, 'curate');
        -- A detection that is about to end has the catalog locked: either it sees this choice, or this call sees that
        -- the burst is gone.
        PERFORM FROM lumina.catalogs c WHERE c.id = of_catalog.id FOR NO KEY UPDATE;
        IF EXISTS (SELECT FROM lumina.bursts b WHERE b.id = wanted) THEN
            UPDATE lumina.bursts b SET best_image = chosen, best_by = 'manual'
                WHERE b.id = wanted AND EXISTS (SELECT FROM lumina.burst_frames f
                    WHERE f.image = chosen AND f.burst + 0 = wanted);
            IF NOT FOUND THEN
                RAISE invalid_parameter_value USING
                    MESSAGE = format('image %s is not in burst %s', chosen, wanted),
                    HINT = format('SELECT image, path FROM lumina.burst_images WHERE burst = %s lists those that are.',
                        wanted);
            END IF;
            RETURN;
        END IF;
    END IF;
    RAISE undefined_object USING MESSAGE = format('burst %s does not exist', wanted),
        HINT = 'Each detection gives bursts new numbers: SELECT * FROM lumina.list_bursts(...) lists them.';
END $$;
REVOKE EXECUTE ON FUNCTION lumina_internal.set_burst_best(oid, int8, int8) FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.set_burst_best(oid, int8, int8) IS 'Internal: set_burst_best for a caller';
CREATE FUNCTION lumina.set_burst_best(burst int8, image int8) RETURNS void
    LANGUAGE c AS 'MODULE_PATHNAME', 'as_owner';
COMMENT ON FUNCTION lumina.set_burst_best(int8, int8) IS
    'Chooses the best image of a burst by hand; later detections keep the choice while the burst is there';

-- Where an image lies: of several files the one to keep, as of a group of duplicates.
CREATE VIEW lumina.burst_images WITH (security_invoker = true) AS
SELECT c.name AS catalog, f.burst, f.position, f.shot, f.image, p.path, i.captured_at, i.ranking_score, i.status,
    coalesce(i.id = b.best_image, false) AS is_best, b.best_by, b.suspect
FROM lumina.burst_frames f
JOIN lumina.bursts b ON b.id = f.burst
JOIN lumina.catalogs c ON c.id = f.catalog
JOIN lumina.images i ON i.id = f.image
LEFT JOIN LATERAL (SELECT q.path FROM lumina.image_files q
    WHERE q.image = f.image AND q.state = 'keep' AND q.missing_since IS NULL
    ORDER BY coalesce(q.import_job, 0), CASE WHEN q.import_job IS NULL THEN q.id ELSE 0 END, q.path LIMIT 1) p ON true;
GRANT SELECT ON lumina.burst_images TO PUBLIC;
COMMENT ON VIEW lumina.burst_images IS
    'One row an image in a burst: its shot, path, quality and status, and whether it is the best one';

CREATE FUNCTION lumina.list_bursts(catalog text, sort text DEFAULT 'newest', "limit" int4 DEFAULT 100,
        with_rejected bool DEFAULT false, OUT burst int8, OUT started_at timestamptz, OUT duration interval,
        OUT camera text, OUT frames int4, OUT shots int4, OUT rejected int4, OUT best text, OUT best_image int8,
        OUT best_by text, OUT suspect bool)
    RETURNS SETOF record STABLE ROWS 100 LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET jit = off AS $$
#variable_conflict use_column
DECLARE
    wanted int8 := lumina.readable_catalog(list_bursts.catalog);
    sorted text := list_bursts.sort;
BEGIN
    IF sorted IS NULL OR with_rejected IS NULL THEN
        RAISE null_value_not_allowed USING MESSAGE = 'sort and with_rejected must not be NULL',
            HINT = 'Leave them out for newest and false.';
    ELSIF sorted NOT IN ('newest', 'oldest', 'largest') THEN
        RAISE invalid_parameter_value USING MESSAGE = format('unknown order "%s"', left(sorted, 80)),
            HINT = 'The orders are newest, oldest and largest.';
    ELSIF "limit" < 1 THEN
        RAISE numeric_value_out_of_range USING MESSAGE = format('limit %s is not positive', "limit"),
            HINT = 'NULL is for all of them.';
    END IF;
    -- The frames of one burst after the other, as far as the limit goes (OFFSET 0).
    RETURN QUERY
    SELECT b.id, b.started_at, b.duration, nullif(concat_ws(' ', b.camera_make, b.camera_model), ''),
        n.frames, n.shots, n.rejected, p.path, b.best_image, b.best_by, b.suspect
    FROM (SELECT a.*, CASE sorted WHEN 'newest' THEN -date_part('epoch', a.started_at)
                WHEN 'oldest' THEN date_part('epoch', a.started_at) ELSE -a.frames END AS rank
            FROM lumina.bursts a WHERE a.catalog = wanted ORDER BY rank, a.id OFFSET 0) b
    CROSS JOIN LATERAL (SELECT count(*)::int4 AS frames,
            CASE WHEN b.suspect THEN b.shots ELSE count(DISTINCT f.shot)::int4 END AS shots,
            (count(*) FILTER (WHERE i.status = 'rejected'))::int4 AS rejected
        FROM lumina.burst_frames f JOIN lumina.images i ON i.id = f.image WHERE f.burst = b.id OFFSET 0) n
    LEFT JOIN LATERAL (SELECT q.path FROM lumina.image_files q
        WHERE q.image = b.best_image AND q.state = 'keep' AND q.missing_since IS NULL
        ORDER BY coalesce(q.import_job, 0), CASE WHEN q.import_job IS NULL THEN q.id ELSE 0 END, q.path LIMIT 1) p
        ON true
    WHERE n.frames > 0 AND (with_rejected OR n.rejected < n.frames)
    ORDER BY b.rank, b.id LIMIT "limit";
END $$;
COMMENT ON FUNCTION lumina.list_bursts(text, text, int4, bool) IS
    'The bursts of a catalog, newest, oldest or largest first, with what is there of them; those that are rejected '
    'altogether only where asked for';
