-- The index access method hamming: exact searches by radius, and of the nearest first.

CREATE FUNCTION hamming_handler(internal) RETURNS index_am_handler
    VOLATILE STRICT PARALLEL SAFE LANGUAGE c AS 'MODULE_PATHNAME', 'hamming_handler';
COMMENT ON FUNCTION hamming_handler(internal) IS 'Handler of the access method hamming';

CREATE ACCESS METHOD hamming TYPE INDEX HANDLER hamming_handler;
COMMENT ON ACCESS METHOD hamming IS
    'Exact searches of hashes by Hamming distance: within a radius, and the nearest first';

CREATE OPERATOR CLASS phash_hamming_ops DEFAULT FOR TYPE phash USING hamming AS
    OPERATOR 1 <@ (phash, phash_ball),
    OPERATOR 2 <~> (phash, phash) FOR ORDER BY pg_catalog.integer_ops;
COMMENT ON OPERATOR CLASS phash_hamming_ops USING hamming IS 'Hamming distance of hashes of one width';

CREATE FUNCTION hamming_index_check(index regclass, heapallindexed bool DEFAULT false) RETURNS void
    VOLATILE STRICT PARALLEL RESTRICTED LANGUAGE c AS 'MODULE_PATHNAME', 'hamming_index_check';
COMMENT ON FUNCTION hamming_index_check(regclass, bool) IS
    'Raises an error for the first thing that is wrong with a hamming index; with heapallindexed, also unless every '
    'row of its table is in it';

CREATE FUNCTION hamming_index_stats(
    index regclass,
    OUT bits int4, OUT bands int4, OUT entries int8, OUT nulls int8,
    OUT runs int4, OUT staging_pages int4, OUT staging_entries int8, OUT merge_debt int8,
    OUT pages int8, OUT free_pages int8, OUT bytes int8
) VOLATILE STRICT PARALLEL RESTRICTED LANGUAGE c AS 'MODULE_PATHNAME', 'hamming_index_stats';
COMMENT ON FUNCTION hamming_index_stats(regclass) IS
    'A hamming index in figures: its width and bands, rows and NULLs, runs, what is in staging, rows that merges '
    'would write, and its pages';

CREATE FUNCTION hamming_index_merge(index regclass) RETURNS void
    VOLATILE STRICT PARALLEL UNSAFE LANGUAGE c AS 'MODULE_PATHNAME', 'hamming_index_merge';
COMMENT ON FUNCTION hamming_index_merge(regclass) IS
    'Makes one run of a hamming index, so that searches are as fast as after a build';
