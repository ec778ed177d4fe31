-- What a catalog holds: sources, images (one row a content) and their files (one row a place).
--
-- A hash that is not to be trusted never votes: hash_valid is false where a picture is flat, and true only where all
-- hashes are there. Both scores and their parts are computed from the row itself and stored in it, so that they can be
-- neither stale nor absent. Only a score that the catalog has chosen instead is written by jobs, chosen_score;
-- ranking_score is that, or else quality_score.

CREATE TYPE lumina.image_status AS ENUM ('active', 'rejected', 'archived', 'flagged');
COMMENT ON TYPE lumina.image_status IS 'What was decided about an image; rejected ones are hidden and never grouped';
CREATE TYPE lumina.file_state AS ENUM ('keep', 'rejected', 'trashed');
COMMENT ON TYPE lumina.file_state IS 'What was decided about one file of an image';

CREATE FUNCTION lumina.quality_format(format text) RETURNS float8
    IMMUTABLE PARALLEL SAFE LANGUAGE c AS 'MODULE_PATHNAME', 'quality_format';
COMMENT ON FUNCTION lumina.quality_format(text) IS
    'How well an image format keeps a picture, 0 to 100: raw 100, TIFF 90, PNG 85, JPEG 70, ...';
CREATE FUNCTION lumina.quality_resolution(width int4, height int4) RETURNS float8
    IMMUTABLE PARALLEL SAFE LANGUAGE c AS 'MODULE_PATHNAME', 'quality_resolution';
COMMENT ON FUNCTION lumina.quality_resolution(int4, int4) IS
    'The score of a number of pixels, 0 to 100: 33 megapixels and more are 100';
CREATE FUNCTION lumina.quality_size(format text, size int8) RETURNS float8
    IMMUTABLE PARALLEL SAFE LANGUAGE c AS 'MODULE_PATHNAME', 'quality_size';
COMMENT ON FUNCTION lumina.quality_size(text, int8) IS
    'The score of a number of bytes, 0 to 100, on the scale of its format';
CREATE FUNCTION lumina.quality_metadata(make text, model text, lens text, focal_length float4, aperture float4,
    exposure_time float8, iso int4, latitude float8, longitude float8) RETURNS float8
    IMMUTABLE PARALLEL SAFE LANGUAGE c AS 'MODULE_PATHNAME', 'quality_metadata';
COMMENT ON FUNCTION lumina.quality_metadata(text, text, text, float4, float4, float8, int4, float8, float8) IS
    'The score of what a camera wrote down, 0 to 100: make and model 15 each, all else 10 each';
CREATE FUNCTION lumina.quality_score(format text, width int4, height int4, size int8, metadata float8) RETURNS float8
    IMMUTABLE PARALLEL SAFE LANGUAGE c AS 'MODULE_PATHNAME', 'quality_score';
COMMENT ON FUNCTION lumina.quality_score(text, int4, int4, int8, float8) IS
    'The quality of an image, 0 to 100: format 40 %, resolution 35 %, size 15 %, metadata 10 %';

-- The parts of the composite score are points of it, and add up to it.
CREATE FUNCTION lumina.composite_format(format text, jpeg_quality int4) RETURNS float8
    IMMUTABLE PARALLEL SAFE LANGUAGE c AS 'MODULE_PATHNAME', 'composite_format';
COMMENT ON FUNCTION lumina.composite_format(text, int4) IS
    'The points of an image format, 0 to 40: raw 40, PNG and TIFF 35, BMP 30, JPEG by its quality 30, 25 or 20, ...';
CREATE FUNCTION lumina.composite_resolution(width int4, height int4) RETURNS float8
    IMMUTABLE PARALLEL SAFE LANGUAGE c AS 'MODULE_PATHNAME', 'composite_resolution';
COMMENT ON FUNCTION lumina.composite_resolution(int4, int4) IS
    'The points of a number of pixels, 0 to 30: 15 + 8 * log10(megapixels + 1)';
CREATE FUNCTION lumina.composite_size(size int8, width int4, height int4) RETURNS float8
    IMMUTABLE PARALLEL SAFE LANGUAGE c AS 'MODULE_PATHNAME', 'composite_size';
COMMENT ON FUNCTION lumina.composite_size(int8, int4, int4) IS
    'The points of a number of bytes, 0 to 20: 20 for 10,000,000 a megapixel and more';
CREATE FUNCTION lumina.composite_sharpness(sharpness float8) RETURNS float8
    IMMUTABLE PARALLEL SAFE LANGUAGE c AS 'MODULE_PATHNAME', 'composite_sharpness';
COMMENT ON FUNCTION lumina.composite_sharpness(float8) IS
    'The points of a sharpness, the variance of the Laplacian, 0 to 10: 10 * v / (v + 300)';
CREATE FUNCTION lumina.composite_score(format text, jpeg_quality int4, width int4, height int4, size int8,
    sharpness float8) RETURNS float8
    IMMUTABLE PARALLEL SAFE LANGUAGE c AS 'MODULE_PATHNAME', 'composite_score';
COMMENT ON FUNCTION lumina.composite_score(text, int4, int4, int4, int8, float8) IS
    'The composite score of an image, 0 to 100: the sum of its points of format, resolution, size and sharpness';

CREATE FUNCTION lumina_internal.is_raw(format text) RETURNS bool
    -- Not STRICT, which keeps it from being inlined.
    IMMUTABLE PARALLEL SAFE LANGUAGE sql
RETURN format IN ('dng', 'cr2', 'cr3', 'nef', 'arw', 'orf', 'rw2', 'raf', 'pef', 'srw', 'crw', 'mrw',
    'x3f', 'raw');
COMMENT ON FUNCTION lumina_internal.is_raw(text) IS 'Internal: whether a format is one of the raw files of cameras';

CREATE TABLE lumina.sources (
    id int8 GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    catalog int8 NOT NULL REFERENCES lumina.catalogs ON DELETE CASCADE,
    path text COLLATE "C" NOT NULL CHECK (path LIKE '/%' AND octet_length(path) <= 2500),
    name text NOT NULL,
    import_mode lumina.import_mode NOT NULL DEFAULT 'reference',
    auto_import bool NOT NULL DEFAULT false,
    protected bool NOT NULL DEFAULT false,
    last_scanned_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (catalog, path),
    UNIQUE (id, catalog)
);
COMMENT ON TABLE lumina.sources IS 'Directories that a catalog imports from, again and again';

CREATE TABLE lumina.images (
    id int8 GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    catalog int8 NOT NULL REFERENCES lumina.catalogs ON DELETE CASCADE,
    sha256 bytea NOT NULL CHECK (octet_length(sha256) = 32),
    size int8 NOT NULL CHECK (size >= 0),
    format text NOT NULL CHECK (format = lower(format) AND format <> ''),
    width int4 CHECK (width > 0),
    height int4 CHECK (height > 0),
    orientation int2 CHECK (orientation BETWEEN 1 AND 8),
    truncated bool NOT NULL DEFAULT false,
    damaged_data bool NOT NULL DEFAULT false,
    captured_at timestamptz CHECK (captured_at BETWEEN '0001-01-01 00:00:00+00' AND '9999-12-31 23:59:59+00'),
    date_source text,
    date_confidence int2 CHECK (date_confidence BETWEEN 0 AND 100),
    camera_make text,
    camera_model text,
    lens_model text,
    focal_length float4 CHECK (focal_length > 0 AND focal_length < 'Infinity'),
    aperture float4 CHECK (aperture > 0 AND aperture < 'Infinity'),
    exposure_time float8 CHECK (exposure_time > 0 AND exposure_time < 'Infinity'),
    iso int4 CHECK (iso > 0),
    latitude float8 CHECK (latitude BETWEEN -90 AND 90),
    longitude float8 CHECK (longitude BETWEEN -180 AND 180),
    metadata jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(metadata) = 'object'),
    ahash @extschema@.phash(64),
    dhash @extschema@.phash(64),
    dct @extschema@.phash(64),
    pdq @extschema@.phash(256),
    pdq_quality int2 CHECK (pdq_quality BETWEEN 0 AND 100),
    hash_valid bool NOT NULL DEFAULT false,
    sharpness float4 CHECK (sharpness >= 0 AND sharpness < 'Infinity'),
    -- As estimated from the tables of a JPEG file.
    jpeg_quality int2 CHECK (jpeg_quality BETWEEN 1 AND 100),
    -- Whether it is an original, or made of another file: 8 where a camera's data are there, plus 4 where the file is
    -- built as cameras do it and no earlier compression shows, plus 2 where nothing says that it was changed, plus 1
    -- where no earlier compression shows.
    originality int2 NOT NULL DEFAULT 1 CHECK (originality BETWEEN 0 AND 15),
    -- The squared gradient, summed over all pixels, over the variance; and how much of it is as fine as pixels.
    detail float4 CHECK (detail >= 0 AND detail < 'Infinity'),
    fineness float4 CHECK (fineness >= 0 AND fineness < 'Infinity'),
    quality_format float4 NOT NULL GENERATED ALWAYS AS (lumina.quality_format(format)) STORED,
    quality_resolution float4 NOT NULL GENERATED ALWAYS AS (lumina.quality_resolution(width, height)) STORED,
    quality_size float4 NOT NULL GENERATED ALWAYS AS (lumina.quality_size(format, size)) STORED,
    quality_metadata float4 NOT NULL GENERATED ALWAYS AS (lumina.quality_metadata(camera_make, camera_model, lens_model,
        focal_length, aperture, exposure_time, iso, latitude, longitude)) STORED,
    quality_score float4 NOT NULL GENERATED ALWAYS AS (lumina.quality_score(format, width, height, size,
        lumina.quality_metadata(camera_make, camera_model, lens_model, focal_length, aperture, exposure_time, iso,
            latitude, longitude))) STORED CHECK (quality_score BETWEEN 0 AND 100),
    composite_format float4 NOT NULL GENERATED ALWAYS AS (lumina.composite_format(format, jpeg_quality)) STORED,
    composite_resolution float4 NOT NULL GENERATED ALWAYS AS (lumina.composite_resolution(width, height)) STORED,
    composite_size float4 NOT NULL GENERATED ALWAYS AS (lumina.composite_size(size, width, height)) STORED,
    composite_sharpness float4 NOT NULL GENERATED ALWAYS AS (lumina.composite_sharpness(sharpness)) STORED,
    composite_score float4 NOT NULL GENERATED ALWAYS AS (lumina.composite_score(format, jpeg_quality, width, height,
        size, sharpness)) STORED CHECK (composite_score BETWEEN 0 AND 100),
    -- The score that the catalog's option quality makes of these parts; NULL where it is quality_score (quality.sql).
    chosen_score float4 CHECK (chosen_score BETWEEN 0 AND 100),
    ranking_score float4 NOT NULL GENERATED ALWAYS AS (coalesce(chosen_score, lumina.quality_score(format, width,
        height, size, lumina.quality_metadata(camera_make, camera_model, lens_model, focal_length, aperture,
            exposure_time, iso, latitude, longitude)))) STORED,
    status lumina.image_status NOT NULL DEFAULT 'active',
    created_at timestamptz NOT NULL DEFAULT now(),
    -- In this order: a look-up by the content is one whatever is known of the sizes of catalogs.
    UNIQUE (sha256, catalog),
    UNIQUE (catalog, id),
    CHECK ((width IS NULL) = (height IS NULL)),
    CHECK (NOT hash_valid OR (ahash IS NOT NULL AND dhash IS NOT NULL AND dct IS NOT NULL AND pdq IS NOT NULL))
-- Room for another version of some rows of a page: a decision about all groups rejects every eighth image or so. No
-- index is written where the new version is in the same page.
) WITH (fillfactor = 85);
COMMENT ON TABLE lumina.images IS 'One row a picture, that is a content, of a catalog: facts, hashes, quality, status';

-- When a picture was taken, unless that is less sure than the time of a file (30): the start of a clock that was never
-- set makes no picture the older one. Not STRICT, which keeps it from being inlined.
CREATE FUNCTION lumina_internal.known_time(captured_at timestamptz, date_confidence int2) RETURNS timestamptz
    IMMUTABLE PARALLEL SAFE LANGUAGE sql
RETURN CASE WHEN date_confidence < 30 THEN NULL ELSE captured_at END;
COMMENT ON FUNCTION lumina_internal.known_time(timestamptz, int2) IS
    'Internal: when a picture was taken, as far as its age counts';

-- Whether a picture is what a camera has written with a raw file, where they have files of one stem. Counters of
-- cameras begin at 1 again: so it is the same shot, by time and camera, or the pictures are near by the first
-- alternative of the rule verified. Not STRICT, which keeps it from being inlined.
CREATE FUNCTION lumina_internal.is_sibling(picture lumina.images, raw lumina.images) RETURNS bool
    IMMUTABLE PARALLEL SAFE LANGUAGE sql
RETURN picture.format IN ('jpeg', 'heic')
    AND lumina_internal.is_raw(raw.format) AND raw.hash_valid AND raw.status <> 'rejected'
    AND (picture.captured_at = raw.captured_at AND picture.camera_make = raw.camera_make
            AND picture.camera_model = raw.camera_model
        OR picture.hash_valid AND picture.dhash OPERATOR(@extschema@.<~>) raw.dhash <= 12
            AND picture.pdq OPERATOR(@extschema@.<~>) raw.pdq <= 100);
COMMENT ON FUNCTION lumina_internal.is_sibling(lumina.images, lumina.images) IS
    'Internal: whether a picture is of the same shot as a raw file';

CREATE TABLE lumina.image_files (
    id int8 GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    catalog int8 NOT NULL,
    image int8 NOT NULL,
    path text COLLATE "C" NOT NULL CHECK (path LIKE '/%' AND octet_length(path) <= 2500),
    managed bool NOT NULL DEFAULT false,
    original_path text COLLATE "C" NOT NULL CHECK (original_path LIKE '/%'),
    source int8,
    -- Not a foreign key: a dump holds the files that a running job has imported so far, but not the job.
    import_job int8,
    -- What the file was when it was read: where one of these differs, an import reads it again.
    size int8 CHECK (size >= 0),
    device int8,
    inode int8,
    modified_at timestamptz,
    changed_at timestamptz,
    missing_since timestamptz,
    state lumina.file_state NOT NULL DEFAULT 'keep',
    created_at timestamptz NOT NULL DEFAULT now(),
    -- The path without its extension and without directories that are named by a format: a raw file and the JPEG that
    -- the camera wrote with it have the same, also where they were sorted into RAW/ and JPG/.
    stem text COLLATE "C" NOT NULL GENERATED ALWAYS AS (regexp_replace(path,
        '/(raws?|jpe?gs?|hei[cf]s?|hif|dng|cr[23]|nef|arw|orf|rw2|raf|pef|srw)(?=/)|\.[^./]*$', '', 'gi')) STORED,
    UNIQUE (path, catalog),
    UNIQUE (id, catalog),
    FOREIGN KEY (catalog, image) REFERENCES lumina.images (catalog, id) ON DELETE CASCADE,
    FOREIGN KEY (source, catalog) REFERENCES lumina.sources (id, catalog) ON DELETE SET NULL (source)
-- As of images.
) WITH (fillfactor = 90);
-- Device and inode find the names of a file: an image may have very many files.
CREATE INDEX image_files_image ON lumina.image_files (image, device, inode);
CREATE INDEX image_files_stem ON lumina.image_files USING hash (stem);
COMMENT ON TABLE lumina.image_files IS
    'One row a file: where an image lies; an exact duplicate is an image with two files';

CREATE TABLE lumina.sidecars (
    catalog int8 NOT NULL,
    path text COLLATE "C" NOT NULL CHECK (path LIKE '/%' AND octet_length(path) <= 2500),
    file int8 NOT NULL,
    kind text NOT NULL CHECK (kind IN ('edit', 'metadata', 'video')),
    size int8 CHECK (size >= 0),
    PRIMARY KEY (catalog, path),
    FOREIGN KEY (file, catalog) REFERENCES lumina.image_files (id, catalog) ON DELETE CASCADE
);
CREATE INDEX sidecars_file ON lumina.sidecars (file);
COMMENT ON TABLE lumina.sidecars IS
    'Files that go with a photograph of the same name: edits (.xmp, .aae), Google Takeout''s metadata (.json), and the '
    'film of a live picture (.mov, .mp4)';

CREATE FUNCTION lumina_internal.keep_original_path() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RAISE integrity_constraint_violation USING MESSAGE = 'the original path of a file never changes',
        HINT = 'Change path, which says where the file lies now.';
END $$;
REVOKE EXECUTE ON FUNCTION lumina_internal.keep_original_path() FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.keep_original_path() IS 'Internal: keeps image_files.original_path as it was';
-- AFTER: with a trigger before it every update would compute the stem again.
CREATE TRIGGER keep_original_path AFTER UPDATE OF original_path ON lumina.image_files FOR EACH ROW
    WHEN (OLD.original_path IS DISTINCT FROM NEW.original_path) EXECUTE FUNCTION lumina_internal.keep_original_path();

ALTER TABLE lumina.sources ENABLE ROW LEVEL SECURITY;
CREATE POLICY readable ON lumina.sources FOR SELECT USING (catalog = ANY ((SELECT lumina.readable_catalogs())::int8[]));
ALTER TABLE lumina.images ENABLE ROW LEVEL SECURITY;
CREATE POLICY readable ON lumina.images FOR SELECT USING (catalog = ANY ((SELECT lumina.readable_catalogs())::int8[]));
ALTER TABLE lumina.image_files ENABLE ROW LEVEL SECURITY;
CREATE POLICY readable ON lumina.image_files FOR SELECT
    USING (catalog = ANY ((SELECT lumina.readable_catalogs())::int8[]));
ALTER TABLE lumina.sidecars ENABLE ROW LEVEL SECURITY;
CREATE POLICY readable ON lumina.sidecars FOR SELECT
    USING (catalog = ANY ((SELECT lumina.readable_catalogs())::int8[]));
GRANT SELECT ON lumina.sources, lumina.images, lumina.image_files, lumina.sidecars TO PUBLIC;
