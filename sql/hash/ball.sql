-- phash_ball: every hash within a radius of a centre, the right operand of <@.

CREATE TYPE phash_ball;

CREATE FUNCTION phash_ball_in(cstring, oid, int4) RETURNS phash_ball
    IMMUTABLE STRICT PARALLEL SAFE LANGUAGE c AS 'MODULE_PATHNAME', 'phash_ball_in_wrapper';
COMMENT ON FUNCTION phash_ball_in(cstring, oid, int4) IS 'Reads <hex,radius>';

CREATE FUNCTION phash_ball_out(phash_ball) RETURNS cstring
    IMMUTABLE STRICT PARALLEL SAFE LANGUAGE c AS 'MODULE_PATHNAME', 'phash_ball_out_wrapper';
COMMENT ON FUNCTION phash_ball_out(phash_ball) IS 'Writes <hex,radius>';

CREATE FUNCTION phash_ball_recv(internal, oid, int4) RETURNS phash_ball
    IMMUTABLE STRICT PARALLEL SAFE LANGUAGE c AS 'MODULE_PATHNAME', 'phash_ball_recv_wrapper';
COMMENT ON FUNCTION phash_ball_recv(internal, oid, int4) IS 'Reads the radius as int4 and the bytes of the centre';

CREATE FUNCTION phash_ball_send(phash_ball) RETURNS bytea
    IMMUTABLE STRICT PARALLEL SAFE LANGUAGE c AS 'MODULE_PATHNAME', 'phash_ball_send_wrapper';
COMMENT ON FUNCTION phash_ball_send(phash_ball) IS 'Writes the radius as int4 and the bytes of the centre';

CREATE TYPE phash_ball (
    INPUT = phash_ball_in,
    OUTPUT = phash_ball_out,
    RECEIVE = phash_ball_recv,
    SEND = phash_ball_send,
    INTERNALLENGTH = VARIABLE,
    ALIGNMENT = int4,
    STORAGE = plain
);
COMMENT ON TYPE phash_ball IS 'Every phash within a radius, in bits, of a centre';

CREATE FUNCTION phash_ball(center phash, radius int4) RETURNS phash_ball
    IMMUTABLE STRICT PARALLEL SAFE LANGUAGE c AS 'MODULE_PATHNAME', 'phash_ball_wrapper';
COMMENT ON FUNCTION phash_ball(phash, int4) IS 'Every hash within radius bits of center';

CREATE FUNCTION phash_search_ball(center phash, radius int4) RETURNS phash_ball
    IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE LANGUAGE c AS 'MODULE_PATHNAME', 'phash_search_ball_wrapper';
COMMENT ON FUNCTION phash_search_ball(phash, int4) IS
    'The ball that phash_within searches in an index: NULL for a negative radius, never wider than the hash';

CREATE FUNCTION phash_ball_center(phash_ball) RETURNS phash
    IMMUTABLE STRICT PARALLEL SAFE LANGUAGE c AS 'MODULE_PATHNAME', 'phash_ball_center_wrapper';
COMMENT ON FUNCTION phash_ball_center(phash_ball) IS 'Centre of a ball';

CREATE FUNCTION phash_ball_radius(phash_ball) RETURNS int4
    IMMUTABLE STRICT PARALLEL SAFE LANGUAGE c AS 'MODULE_PATHNAME', 'phash_ball_radius_wrapper';
COMMENT ON FUNCTION phash_ball_radius(phash_ball) IS 'Radius of a ball, in bits';
