-- Images given as bytea: their hashes, and what their metadata say. Decoding takes milliseconds to seconds: COST says
-- so, and the functions are safe to run in parallel workers.

CREATE FUNCTION image_phash(image bytea, method text, size int4 DEFAULT 8, orient bool DEFAULT true) RETURNS phash
    IMMUTABLE STRICT PARALLEL SAFE COST 100000 LANGUAGE c AS 'MODULE_PATHNAME', 'image_phash';
COMMENT ON FUNCTION image_phash(bytea, text, int4, bool) IS
    'Hash of an image of size * size bits; methods ahash, dhash, dct (phash), whash, median, block, pdq';

CREATE FUNCTION image_pdq(image bytea, orient bool DEFAULT true, OUT hash phash, OUT quality int4)
    IMMUTABLE STRICT PARALLEL SAFE COST 100000 LANGUAGE c AS 'MODULE_PATHNAME', 'image_pdq';
COMMENT ON FUNCTION image_pdq(bytea, bool) IS
    'PDQ hash of an image, 256 bits, and its quality, 0 to 100: below 50 the hash is not to be trusted';

CREATE FUNCTION image_phashes(
    image bytea, orient bool DEFAULT true,
    OUT ahash phash, OUT dhash phash, OUT dct phash, OUT whash phash, OUT median phash, OUT block phash,
    OUT pdq phash, OUT pdq_quality int4, OUT sharpness float8,
    OUT width int4, OUT height int4, OUT format text, OUT orientation int4)
    IMMUTABLE STRICT PARALLEL SAFE COST 200000 LANGUAGE c AS 'MODULE_PATHNAME', 'image_phashes';
COMMENT ON FUNCTION image_phashes(bytea, bool) IS
    'All hashes of an image, its sharpness, stored width and height, format and EXIF orientation, from one decode';

CREATE FUNCTION image_phash_dihedral(
    image bytea, method text, size int4 DEFAULT 8, orient bool DEFAULT true)
    RETURNS TABLE (transform text, hash phash)
    IMMUTABLE STRICT PARALLEL SAFE COST 300000 ROWS 8 LANGUAGE c AS 'MODULE_PATHNAME', 'image_phash_dihedral';
COMMENT ON FUNCTION image_phash_dihedral(bytea, text, int4, bool) IS
    'Hashes of the eight turned and mirrored forms of an image, from one decode';

CREATE FUNCTION phash_dihedral(hash phash, method text) RETURNS TABLE (transform text, hash phash)
    IMMUTABLE STRICT PARALLEL SAFE COST 10 ROWS 8 LANGUAGE c AS 'MODULE_PATHNAME', 'phash_dihedral';
COMMENT ON FUNCTION phash_dihedral(phash, text) IS
    'Hashes of the turned and mirrored forms of an image, from its hash by this method: eight, of dhash and block four';

CREATE FUNCTION image_info(image bytea) RETURNS jsonb
    IMMUTABLE STRICT PARALLEL SAFE COST 1000 LANGUAGE c AS 'MODULE_PATHNAME', 'image_info';
COMMENT ON FUNCTION image_info(bytea) IS
    'What an image says of itself, read without decoding it: format, width, height, orientation, EXIF facts, dates';
