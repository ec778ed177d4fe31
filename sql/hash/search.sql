-- Bulk search: every near pair, every match of two sets, groups; and what a search would do.
--
-- The inner query is text, runs as the caller, and is read to its end before the first row comes back. Not STRICT: the
-- argument id is always NULL, and any other NULL is an error. They start threads and run SQL, so that a parallel worker
-- must not call them. EXECUTE is granted by name: a function that takes SQL as text is not for everyone to call, and
-- gateways publish what everyone may call.

CREATE FUNCTION phash_pairs(query text, max_distance int4)
    RETURNS TABLE (a int8, b int8, distance int4)
    VOLATILE PARALLEL UNSAFE COST 1000000 ROWS 100000 LANGUAGE c AS 'MODULE_PATHNAME', 'phash_pairs';
REVOKE EXECUTE ON FUNCTION phash_pairs(text, int4) FROM PUBLIC;
COMMENT ON FUNCTION phash_pairs(text, int4) IS
    'Every pair of rows of a query (id, hash, ...) within max_distance bits, once, a before b';

CREATE FUNCTION phash_pairs(query text, max_distance int4, id anyelement)
    RETURNS TABLE (a anyelement, b anyelement, distance int4)
    VOLATILE PARALLEL UNSAFE COST 1000000 ROWS 100000 LANGUAGE c AS 'MODULE_PATHNAME', 'phash_pairs';
REVOKE EXECUTE ON FUNCTION phash_pairs(text, int4, anyelement) FROM PUBLIC;
COMMENT ON FUNCTION phash_pairs(text, int4, anyelement) IS
    'Every pair of rows of a query (id, hash, ...) within max_distance bits, once, a before b; ids of the type of id';

CREATE FUNCTION phash_pairs(query text, max_distance int4[])
    RETURNS TABLE (a int8, b int8, distances int4[])
    VOLATILE PARALLEL UNSAFE COST 1000000 ROWS 100000 LANGUAGE c AS 'MODULE_PATHNAME', 'phash_pairs';
REVOKE EXECUTE ON FUNCTION phash_pairs(text, int4[]) FROM PUBLIC;
COMMENT ON FUNCTION phash_pairs(text, int4[]) IS
    'Every pair of rows of a query (id, hash, ...) within max_distance bits in every hash column, once, a before b';

CREATE FUNCTION phash_pairs(query text, max_distance int4[], id anyelement)
    RETURNS TABLE (a anyelement, b anyelement, distances int4[])
    VOLATILE PARALLEL UNSAFE COST 1000000 ROWS 100000 LANGUAGE c AS 'MODULE_PATHNAME', 'phash_pairs';
REVOKE EXECUTE ON FUNCTION phash_pairs(text, int4[], anyelement) FROM PUBLIC;
COMMENT ON FUNCTION phash_pairs(text, int4[], anyelement) IS
    'Every pair of rows of a query (id, hash, ...) within max_distance bits in every hash column, once, a before b; '
    'ids of the type of id';

CREATE FUNCTION phash_matches(left_query text, right_query text, max_distance int4)
    RETURNS TABLE (left_id int8, right_id int8, distance int4)
    VOLATILE PARALLEL UNSAFE COST 1000000 ROWS 100000 LANGUAGE c AS 'MODULE_PATHNAME', 'phash_matches';
REVOKE EXECUTE ON FUNCTION phash_matches(text, text, int4) FROM PUBLIC;
COMMENT ON FUNCTION phash_matches(text, text, int4) IS
    'Every row of one query (id, hash, ...) with every row of another within max_distance bits';

CREATE FUNCTION phash_matches(left_query text, right_query text, max_distance int4, id anyelement)
    RETURNS TABLE (left_id anyelement, right_id anyelement, distance int4)
    VOLATILE PARALLEL UNSAFE COST 1000000 ROWS 100000 LANGUAGE c AS 'MODULE_PATHNAME', 'phash_matches';
REVOKE EXECUTE ON FUNCTION phash_matches(text, text, int4, anyelement) FROM PUBLIC;
COMMENT ON FUNCTION phash_matches(text, text, int4, anyelement) IS
    'Every row of one query (id, hash, ...) with every row of another within max_distance bits; ids of the type of id';

CREATE FUNCTION phash_matches(left_query text, right_query text, max_distance int4[])
    RETURNS TABLE (left_id int8, right_id int8, distances int4[])
    VOLATILE PARALLEL UNSAFE COST 1000000 ROWS 100000 LANGUAGE c AS 'MODULE_PATHNAME', 'phash_matches';
REVOKE EXECUTE ON FUNCTION phash_matches(text, text, int4[]) FROM PUBLIC;
COMMENT ON FUNCTION phash_matches(text, text, int4[]) IS
    'Every row of one query (id, hash, ...) with every row of another within max_distance bits in every hash column';

CREATE FUNCTION phash_matches(left_query text, right_query text, max_distance int4[], id anyelement)
    RETURNS TABLE (left_id anyelement, right_id anyelement, distances int4[])
    VOLATILE PARALLEL UNSAFE COST 1000000 ROWS 100000 LANGUAGE c AS 'MODULE_PATHNAME', 'phash_matches';
REVOKE EXECUTE ON FUNCTION phash_matches(text, text, int4[], anyelement) FROM PUBLIC;
COMMENT ON FUNCTION phash_matches(text, text, int4[], anyelement) IS
    'Every row of one query (id, hash, ...) with every row of another within max_distance bits in every hash column; '
    'ids of the type of id';

CREATE FUNCTION phash_groups(query text, max_distance int4, strategy text DEFAULT 'clique')
    RETURNS TABLE (group_id int8, member int8, is_primary bool, distance int4, group_distance int4, also_near int8[])
    VOLATILE PARALLEL UNSAFE COST 1000000 ROWS 100000 LANGUAGE c AS 'MODULE_PATHNAME', 'phash_groups';
REVOKE EXECUTE ON FUNCTION phash_groups(text, int4, text) FROM PUBLIC;
COMMENT ON FUNCTION phash_groups(text, int4, text) IS
    'Rows of a query (id, hash, ...) within max_distance bits of one another in groups, by strategy clique, star or '
    'component';

CREATE FUNCTION phash_groups(query text, max_distance int4, id anyelement)
    RETURNS TABLE (group_id int8, member anyelement, is_primary bool, distance int4, group_distance int4,
        also_near anyarray)
    VOLATILE PARALLEL UNSAFE COST 1000000 ROWS 100000 LANGUAGE c AS 'MODULE_PATHNAME', 'phash_groups_clique';
REVOKE EXECUTE ON FUNCTION phash_groups(text, int4, anyelement) FROM PUBLIC;
COMMENT ON FUNCTION phash_groups(text, int4, anyelement) IS
    'Rows of a query (id, hash, ...) within max_distance bits of one another in groups, that are cliques; ids of the '
    'type of id';

CREATE FUNCTION phash_groups(query text, max_distance int4, strategy text, id anyelement)
    RETURNS TABLE (group_id int8, member anyelement, is_primary bool, distance int4, group_distance int4,
        also_near anyarray)
    VOLATILE PARALLEL UNSAFE COST 1000000 ROWS 100000 LANGUAGE c AS 'MODULE_PATHNAME', 'phash_groups';
REVOKE EXECUTE ON FUNCTION phash_groups(text, int4, text, anyelement) FROM PUBLIC;
COMMENT ON FUNCTION phash_groups(text, int4, text, anyelement) IS
    'Rows of a query (id, hash, ...) within max_distance bits of one another in groups, by strategy clique, star or '
    'component; ids of the type of id';

CREATE FUNCTION phash_groups(query text, max_distance int4[], strategy text DEFAULT 'clique')
    RETURNS TABLE (group_id int8, member int8, is_primary bool, distances int4[], group_distances int4[],
        also_near int8[])
    VOLATILE PARALLEL UNSAFE COST 1000000 ROWS 100000 LANGUAGE c AS 'MODULE_PATHNAME', 'phash_groups';
REVOKE EXECUTE ON FUNCTION phash_groups(text, int4[], text) FROM PUBLIC;
COMMENT ON FUNCTION phash_groups(text, int4[], text) IS
    'Rows of a query (id, hash, ...) within max_distance bits in every hash column of one another in groups, by '
    'strategy clique, star or component';

CREATE FUNCTION phash_groups(query text, max_distance int4[], id anyelement)
    RETURNS TABLE (group_id int8, member anyelement, is_primary bool, distances int4[], group_distances int4[],
        also_near anyarray)
    VOLATILE PARALLEL UNSAFE COST 1000000 ROWS 100000 LANGUAGE c AS 'MODULE_PATHNAME', 'phash_groups_clique';
REVOKE EXECUTE ON FUNCTION phash_groups(text, int4[], anyelement) FROM PUBLIC;
COMMENT ON FUNCTION phash_groups(text, int4[], anyelement) IS
    'Rows of a query (id, hash, ...) within max_distance bits in every hash column of one another in groups, that are '
    'cliques; ids of the type of id';

CREATE FUNCTION phash_groups(query text, max_distance int4[], strategy text, id anyelement)
    RETURNS TABLE (group_id int8, member anyelement, is_primary bool, distances int4[], group_distances int4[],
        also_near anyarray)
    VOLATILE PARALLEL UNSAFE COST 1000000 ROWS 100000 LANGUAGE c AS 'MODULE_PATHNAME', 'phash_groups';
REVOKE EXECUTE ON FUNCTION phash_groups(text, int4[], text, anyelement) FROM PUBLIC;
COMMENT ON FUNCTION phash_groups(text, int4[], text, anyelement) IS
    'Rows of a query (id, hash, ...) within max_distance bits in every hash column of one another in groups, by '
    'strategy clique, star or component; ids of the type of id';

CREATE FUNCTION phash_plan(query text, max_distance int4)
    RETURNS TABLE (rows int8, distinct_hashes int8, method text, hash_column int4, widths int4[], tolerances int4[],
        flips int8, candidates float8, milliseconds float8, memory int8, threads int4, device text)
    VOLATILE PARALLEL UNSAFE COST 1000000 ROWS 1 LANGUAGE c AS 'MODULE_PATHNAME', 'phash_plan';
REVOKE EXECUTE ON FUNCTION phash_plan(text, int4) FROM PUBLIC;
COMMENT ON FUNCTION phash_plan(text, int4) IS
    'How phash_pairs would search: by which bands of which column, with how many flips and candidates, in what time '
    'and memory';

CREATE FUNCTION phash_plan(query text, max_distance int4[])
    RETURNS TABLE (rows int8, distinct_hashes int8, method text, hash_column int4, widths int4[], tolerances int4[],
        flips int8, candidates float8, milliseconds float8, memory int8, threads int4, device text)
    VOLATILE PARALLEL UNSAFE COST 1000000 ROWS 1 LANGUAGE c AS 'MODULE_PATHNAME', 'phash_plan';
REVOKE EXECUTE ON FUNCTION phash_plan(text, int4[]) FROM PUBLIC;
COMMENT ON FUNCTION phash_plan(text, int4[]) IS
    'How phash_pairs would search: by which bands of which column, with how many flips and candidates, in what time '
    'and memory';
