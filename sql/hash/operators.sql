-- Distance and nearness. The boolean forms never raise and are LEAKPROOF: row-level security leaves them to the index.
--
-- a <~> b <= r is a filter that no index can serve: Postgres wants the bare column as the operand of the comparison.
-- phash_within and <@ are the forms that an index can serve.

CREATE FUNCTION phash_distance_support(internal) RETURNS internal
    IMMUTABLE STRICT PARALLEL SAFE LANGUAGE c AS 'MODULE_PATHNAME', 'phash_distance_support_wrapper';
COMMENT ON FUNCTION phash_distance_support(internal) IS 'Planner support';

CREATE FUNCTION phash_in_ball_support(internal) RETURNS internal
    IMMUTABLE STRICT PARALLEL SAFE LANGUAGE c AS 'MODULE_PATHNAME', 'phash_in_ball_support_wrapper';
COMMENT ON FUNCTION phash_in_ball_support(internal) IS 'Planner support';

CREATE FUNCTION phash_ball_contains_support(internal) RETURNS internal
    IMMUTABLE STRICT PARALLEL SAFE LANGUAGE c AS 'MODULE_PATHNAME', 'phash_ball_contains_support_wrapper';
COMMENT ON FUNCTION phash_ball_contains_support(internal) IS 'Planner support';

CREATE FUNCTION phash_within_support(internal) RETURNS internal
    IMMUTABLE STRICT PARALLEL SAFE LANGUAGE c AS 'MODULE_PATHNAME', 'phash_within_support_wrapper';
COMMENT ON FUNCTION phash_within_support(internal) IS 'Planner support';

CREATE FUNCTION phash_in_ball_sel(internal, oid, internal, int4) RETURNS float8
    STABLE STRICT PARALLEL SAFE LANGUAGE c AS 'MODULE_PATHNAME', 'phash_in_ball_sel_wrapper';
COMMENT ON FUNCTION phash_in_ball_sel(internal, oid, internal, int4) IS 'Restriction selectivity of <@';

CREATE FUNCTION phash_ball_contains_sel(internal, oid, internal, int4) RETURNS float8
    STABLE STRICT PARALLEL SAFE LANGUAGE c AS 'MODULE_PATHNAME', 'phash_ball_contains_sel_wrapper';
COMMENT ON FUNCTION phash_ball_contains_sel(internal, oid, internal, int4) IS 'Restriction selectivity of @>';

CREATE FUNCTION phash_in_ball_joinsel(internal, oid, internal, int2, internal) RETURNS float8
    STABLE STRICT PARALLEL SAFE LANGUAGE c AS 'MODULE_PATHNAME', 'phash_in_ball_joinsel_wrapper';
COMMENT ON FUNCTION phash_in_ball_joinsel(internal, oid, internal, int2, internal) IS 'Join selectivity of <@';

CREATE FUNCTION phash_ball_contains_joinsel(internal, oid, internal, int2, internal) RETURNS float8
    STABLE STRICT PARALLEL SAFE LANGUAGE c AS 'MODULE_PATHNAME', 'phash_ball_contains_joinsel_wrapper';
COMMENT ON FUNCTION phash_ball_contains_joinsel(internal, oid, internal, int2, internal) IS 'Join selectivity of @>';

CREATE FUNCTION phash_distance(phash, phash) RETURNS int4
    IMMUTABLE STRICT PARALLEL SAFE COST 1 SUPPORT phash_distance_support
    LANGUAGE c AS 'MODULE_PATHNAME', 'phash_distance';
COMMENT ON FUNCTION phash_distance(phash, phash) IS
    'Hamming distance: the number of bits in which two hashes of one width differ';

CREATE FUNCTION phash_in_ball(phash, phash_ball) RETURNS bool
    IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE COST 1 SUPPORT phash_in_ball_support
    LANGUAGE c AS 'MODULE_PATHNAME', 'phash_in_ball';
COMMENT ON FUNCTION phash_in_ball(phash, phash_ball) IS 'Whether a hash is in a ball';

CREATE FUNCTION phash_ball_contains(phash_ball, phash) RETURNS bool
    IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE COST 1 SUPPORT phash_ball_contains_support
    LANGUAGE c AS 'MODULE_PATHNAME', 'phash_ball_contains';
COMMENT ON FUNCTION phash_ball_contains(phash_ball, phash) IS 'Whether a ball contains a hash';

CREATE FUNCTION phash_within(a phash, b phash, max_distance int4) RETURNS bool
    IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE COST 1 SUPPORT phash_within_support
    LANGUAGE c AS 'MODULE_PATHNAME', 'phash_within';
COMMENT ON FUNCTION phash_within(phash, phash, int4) IS
    'Whether two hashes differ in at most max_distance bits; an index can serve it';

CREATE OPERATOR <~> (
    LEFTARG = phash, RIGHTARG = phash, FUNCTION = phash_distance,
    COMMUTATOR = <~>
);
COMMENT ON OPERATOR <~> (phash, phash) IS 'Hamming distance, in bits';

CREATE OPERATOR <@ (
    LEFTARG = phash, RIGHTARG = phash_ball, FUNCTION = phash_in_ball,
    COMMUTATOR = @>, RESTRICT = phash_in_ball_sel, JOIN = phash_in_ball_joinsel
);
COMMENT ON OPERATOR <@ (phash, phash_ball) IS 'Is in the ball';

CREATE OPERATOR @> (
    LEFTARG = phash_ball, RIGHTARG = phash, FUNCTION = phash_ball_contains,
    COMMUTATOR = <@, RESTRICT = phash_ball_contains_sel, JOIN = phash_ball_contains_joinsel
);
COMMENT ON OPERATOR @> (phash_ball, phash) IS 'Contains the hash';
