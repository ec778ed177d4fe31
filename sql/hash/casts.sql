-- Casts. From text on assignment, so that clients that send every parameter as text can store hashes; all others
-- only where they are written.

CREATE CAST (text AS phash) WITH INOUT AS ASSIGNMENT;
COMMENT ON CAST (text AS phash) IS 'Reads hex digits';
CREATE CAST (varchar AS phash) WITH INOUT AS ASSIGNMENT;
COMMENT ON CAST (varchar AS phash) IS 'Reads hex digits';

CREATE FUNCTION phash_from_bigint(int8) RETURNS phash
    IMMUTABLE STRICT PARALLEL SAFE LANGUAGE c AS 'MODULE_PATHNAME', 'phash_from_bigint_wrapper';
COMMENT ON FUNCTION phash_from_bigint(int8) IS 'A hash of 64 bits from a bigint';
CREATE CAST (int8 AS phash) WITH FUNCTION phash_from_bigint(int8);
COMMENT ON CAST (int8 AS phash) IS 'A hash of 64 bits from a bigint';

CREATE FUNCTION phash_to_bigint(phash) RETURNS int8
    IMMUTABLE STRICT PARALLEL SAFE LANGUAGE c AS 'MODULE_PATHNAME', 'phash_to_bigint_wrapper';
COMMENT ON FUNCTION phash_to_bigint(phash) IS 'A hash of 64 bits as a bigint';
CREATE CAST (phash AS int8) WITH FUNCTION phash_to_bigint(phash);
COMMENT ON CAST (phash AS int8) IS 'A hash of 64 bits as a bigint';

CREATE FUNCTION phash_from_bytea(bytea) RETURNS phash
    IMMUTABLE STRICT PARALLEL SAFE LANGUAGE c AS 'MODULE_PATHNAME', 'phash_from_bytea_wrapper';
COMMENT ON FUNCTION phash_from_bytea(bytea) IS 'A hash from its bytes';
CREATE CAST (bytea AS phash) WITH FUNCTION phash_from_bytea(bytea);
COMMENT ON CAST (bytea AS phash) IS 'A hash from its bytes';

CREATE FUNCTION phash_to_bytea(phash) RETURNS bytea
    IMMUTABLE STRICT PARALLEL SAFE LANGUAGE c AS 'MODULE_PATHNAME', 'phash_to_bytea_wrapper';
COMMENT ON FUNCTION phash_to_bytea(phash) IS 'The bytes of a hash';
CREATE CAST (phash AS bytea) WITH FUNCTION phash_to_bytea(phash);
COMMENT ON CAST (phash AS bytea) IS 'The bytes of a hash';

CREATE FUNCTION phash_from_bit(bit) RETURNS phash
    IMMUTABLE STRICT PARALLEL SAFE LANGUAGE c AS 'MODULE_PATHNAME', 'phash_from_bit_wrapper';
COMMENT ON FUNCTION phash_from_bit(bit) IS 'A hash from a bit string of 8 to 4096 bits';
CREATE CAST (bit AS phash) WITH FUNCTION phash_from_bit(bit);
COMMENT ON CAST (bit AS phash) IS 'A hash from a bit string of 8 to 4096 bits';

CREATE FUNCTION phash_from_varbit(varbit) RETURNS phash
    IMMUTABLE STRICT PARALLEL SAFE LANGUAGE c AS 'MODULE_PATHNAME', 'phash_from_bit_wrapper';
COMMENT ON FUNCTION phash_from_varbit(varbit) IS 'A hash from a bit string of 8 to 4096 bits';
CREATE CAST (varbit AS phash) WITH FUNCTION phash_from_varbit(varbit);
COMMENT ON CAST (varbit AS phash) IS 'A hash from a bit string of 8 to 4096 bits';

CREATE FUNCTION phash_to_bit(phash, int4, bool) RETURNS bit
    IMMUTABLE STRICT PARALLEL SAFE LANGUAGE c AS 'MODULE_PATHNAME', 'phash_to_bit_wrapper';
COMMENT ON FUNCTION phash_to_bit(phash, int4, bool) IS 'The bits of a hash, all of them';
CREATE CAST (phash AS bit) WITH FUNCTION phash_to_bit(phash, int4, bool);
COMMENT ON CAST (phash AS bit) IS 'The bits of a hash, all of them';

CREATE FUNCTION phash_to_varbit(phash, int4, bool) RETURNS varbit
    IMMUTABLE STRICT PARALLEL SAFE LANGUAGE c AS 'MODULE_PATHNAME', 'phash_to_varbit_wrapper';
COMMENT ON FUNCTION phash_to_varbit(phash, int4, bool) IS 'The bits of a hash, all of them';
CREATE CAST (phash AS varbit) WITH FUNCTION phash_to_varbit(phash, int4, bool);
COMMENT ON CAST (phash AS varbit) IS 'The bits of a hash, all of them';

