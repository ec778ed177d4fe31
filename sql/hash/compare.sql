-- Equality and order, byte by byte and total over all widths, with the default operator classes of btree and hash.

CREATE FUNCTION phash_eq(phash, phash) RETURNS bool
    IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE COST 1 LANGUAGE c AS 'MODULE_PATHNAME', 'phash_eq';
COMMENT ON FUNCTION phash_eq(phash, phash) IS 'Implementation of =';
CREATE OPERATOR = (
    LEFTARG = phash, RIGHTARG = phash, FUNCTION = phash_eq,
    COMMUTATOR = =, NEGATOR = <>, RESTRICT = eqsel, JOIN = eqjoinsel, HASHES, MERGES
);
COMMENT ON OPERATOR = (phash, phash) IS 'Equal, of the same width';

CREATE FUNCTION phash_ne(phash, phash) RETURNS bool
    IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE COST 1 LANGUAGE c AS 'MODULE_PATHNAME', 'phash_ne';
COMMENT ON FUNCTION phash_ne(phash, phash) IS 'Implementation of <>';
CREATE OPERATOR <> (
    LEFTARG = phash, RIGHTARG = phash, FUNCTION = phash_ne,
    COMMUTATOR = <>, NEGATOR = =, RESTRICT = neqsel, JOIN = neqjoinsel
);
COMMENT ON OPERATOR <> (phash, phash) IS 'Not equal';

CREATE FUNCTION phash_lt(phash, phash) RETURNS bool
    IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE COST 1 LANGUAGE c AS 'MODULE_PATHNAME', 'phash_lt';
COMMENT ON FUNCTION phash_lt(phash, phash) IS 'Implementation of <';
CREATE OPERATOR < (
    LEFTARG = phash, RIGHTARG = phash, FUNCTION = phash_lt,
    COMMUTATOR = >, NEGATOR = >=, RESTRICT = scalarltsel, JOIN = scalarltjoinsel
);
COMMENT ON OPERATOR < (phash, phash) IS 'Before';

CREATE FUNCTION phash_le(phash, phash) RETURNS bool
    IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE COST 1 LANGUAGE c AS 'MODULE_PATHNAME', 'phash_le';
COMMENT ON FUNCTION phash_le(phash, phash) IS 'Implementation of <=';
CREATE OPERATOR <= (
    LEFTARG = phash, RIGHTARG = phash, FUNCTION = phash_le,
    COMMUTATOR = >=, NEGATOR = >, RESTRICT = scalarlesel, JOIN = scalarlejoinsel
);
COMMENT ON OPERATOR <= (phash, phash) IS 'Before or equal';

CREATE FUNCTION phash_gt(phash, phash) RETURNS bool
    IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE COST 1 LANGUAGE c AS 'MODULE_PATHNAME', 'phash_gt';
COMMENT ON FUNCTION phash_gt(phash, phash) IS 'Implementation of >';
CREATE OPERATOR > (
    LEFTARG = phash, RIGHTARG = phash, FUNCTION = phash_gt,
    COMMUTATOR = <, NEGATOR = <=, RESTRICT = scalargtsel, JOIN = scalargtjoinsel
);
COMMENT ON OPERATOR > (phash, phash) IS 'After';

CREATE FUNCTION phash_ge(phash, phash) RETURNS bool
    IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE COST 1 LANGUAGE c AS 'MODULE_PATHNAME', 'phash_ge';
COMMENT ON FUNCTION phash_ge(phash, phash) IS 'Implementation of >=';
CREATE OPERATOR >= (
    LEFTARG = phash, RIGHTARG = phash, FUNCTION = phash_ge,
    COMMUTATOR = <=, NEGATOR = <, RESTRICT = scalargesel, JOIN = scalargejoinsel
);
COMMENT ON OPERATOR >= (phash, phash) IS 'After or equal';

CREATE FUNCTION phash_cmp(phash, phash) RETURNS int4
    IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE COST 1 LANGUAGE c AS 'MODULE_PATHNAME', 'phash_cmp';
COMMENT ON FUNCTION phash_cmp(phash, phash) IS '-1, 0 or 1: which of two hashes comes first';

CREATE FUNCTION phash_sortsupport(internal) RETURNS void
    IMMUTABLE STRICT PARALLEL SAFE LANGUAGE c AS 'MODULE_PATHNAME', 'phash_sortsupport_wrapper';
COMMENT ON FUNCTION phash_sortsupport(internal) IS 'Sort support';

CREATE FUNCTION phash_hash(phash) RETURNS int4
    IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE COST 1 LANGUAGE c AS 'MODULE_PATHNAME', 'phash_hash';
COMMENT ON FUNCTION phash_hash(phash) IS 'Hash code';

CREATE FUNCTION phash_hash_extended(phash, int8) RETURNS int8
    IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE COST 1 LANGUAGE c AS 'MODULE_PATHNAME', 'phash_hash_extended';
COMMENT ON FUNCTION phash_hash_extended(phash, int8) IS 'Hash code of 64 bits with a seed';

CREATE OPERATOR CLASS phash_ops DEFAULT FOR TYPE phash USING btree AS
    OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >,
    FUNCTION 1 phash_cmp(phash, phash),
    FUNCTION 2 phash_sortsupport(internal),
    FUNCTION 4 btequalimage(oid);
COMMENT ON OPERATOR CLASS phash_ops USING btree IS 'Order of hashes, byte by byte';

CREATE OPERATOR CLASS phash_ops DEFAULT FOR TYPE phash USING hash AS
    OPERATOR 1 =,
    FUNCTION 1 phash_hash(phash),
    FUNCTION 2 phash_hash_extended(phash, int8);
COMMENT ON OPERATOR CLASS phash_ops USING hash IS 'Equality of hashes';
