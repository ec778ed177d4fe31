-- The pigeonhole rule as rows: two hashes of one width within max_distance bits share at least one (band, value), so
-- that an equi-join on both columns finds every pair, on any engine that can repartition rows.

CREATE FUNCTION phash_bands_support(internal) RETURNS internal
    IMMUTABLE STRICT PARALLEL SAFE LANGUAGE c AS 'MODULE_PATHNAME', 'phash_bands_support_wrapper';
COMMENT ON FUNCTION phash_bands_support(internal) IS 'Planner support';

CREATE FUNCTION phash_bands(hash phash, max_distance int4) RETURNS TABLE (band int4, value int8)
    IMMUTABLE STRICT PARALLEL SAFE ROWS 6 SUPPORT phash_bands_support
    LANGUAGE c AS 'MODULE_PATHNAME', 'phash_bands_wrapper';
COMMENT ON FUNCTION phash_bands(phash, int4) IS
    'The max_distance + 1 bands of a hash: hashes within max_distance bits share one';
