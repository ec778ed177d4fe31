-- phash: a string of 8 to 4096 bits, with its width as a type modifier.

DO $$
BEGIN
    IF '@extschema@' IN ('lumina', 'lumina_internal') THEN
        RAISE EXCEPTION 'extension "lumina" cannot be created in schema "%"', '@extschema@'
            USING ERRCODE = 'invalid_schema_name',
                  DETAIL = 'That schema is kept for the photo catalog''s own objects.',
                  HINT = 'Use another one: CREATE EXTENSION lumina SCHEMA public.';
    END IF;
END
$$;

CREATE TYPE phash;

CREATE FUNCTION phash_in(cstring, oid, int4) RETURNS phash
    IMMUTABLE STRICT PARALLEL SAFE LANGUAGE c AS 'MODULE_PATHNAME', 'phash_in_wrapper';
COMMENT ON FUNCTION phash_in(cstring, oid, int4) IS 'Reads hex digits, two a byte, most significant bit first';

CREATE FUNCTION phash_out(phash) RETURNS cstring
    IMMUTABLE STRICT PARALLEL SAFE LANGUAGE c AS 'MODULE_PATHNAME', 'phash_out_wrapper';
COMMENT ON FUNCTION phash_out(phash) IS 'Writes lower-case hex digits';

CREATE FUNCTION phash_recv(internal, oid, int4) RETURNS phash
    IMMUTABLE STRICT PARALLEL SAFE LANGUAGE c AS 'MODULE_PATHNAME', 'phash_recv_wrapper';
COMMENT ON FUNCTION phash_recv(internal, oid, int4) IS 'Reads the bare bytes';

CREATE FUNCTION phash_send(phash) RETURNS bytea
    IMMUTABLE STRICT PARALLEL SAFE LANGUAGE c AS 'MODULE_PATHNAME', 'phash_send_wrapper';
COMMENT ON FUNCTION phash_send(phash) IS 'Writes the bare bytes';

CREATE FUNCTION phash_typmod_in(cstring[]) RETURNS int4
    IMMUTABLE STRICT PARALLEL SAFE LANGUAGE c AS 'MODULE_PATHNAME', 'phash_typmod_in_wrapper';
COMMENT ON FUNCTION phash_typmod_in(cstring[]) IS 'Reads the width of phash(n)';

CREATE FUNCTION phash_typmod_out(int4) RETURNS cstring
    IMMUTABLE STRICT PARALLEL SAFE LANGUAGE c AS 'MODULE_PATHNAME', 'phash_typmod_out_wrapper';
COMMENT ON FUNCTION phash_typmod_out(int4) IS 'Writes the width of phash(n)';

CREATE TYPE phash (
    INPUT = phash_in,
    OUTPUT = phash_out,
    RECEIVE = phash_recv,
    SEND = phash_send,
    TYPMOD_IN = phash_typmod_in,
    TYPMOD_OUT = phash_typmod_out,
    INTERNALLENGTH = VARIABLE,
    ALIGNMENT = int4,
    STORAGE = plain
);
COMMENT ON TYPE phash IS
    'Perceptual hash: a string of 8 to 4096 bits compared by Hamming distance; phash(64) holds hashes of 64 bits only';

CREATE FUNCTION phash(phash, int4, bool) RETURNS phash
    IMMUTABLE STRICT PARALLEL SAFE LANGUAGE c AS 'MODULE_PATHNAME', 'phash_enforce_width_wrapper';
COMMENT ON FUNCTION phash(phash, int4, bool) IS 'Checks the width of a hash against phash(n)';

CREATE CAST (phash AS phash) WITH FUNCTION phash(phash, int4, bool) AS IMPLICIT;
COMMENT ON CAST (phash AS phash) IS 'Checks the width';

CREATE FUNCTION phash_bits(hash phash) RETURNS int4
    IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE LANGUAGE c AS 'MODULE_PATHNAME', 'phash_bits_wrapper';
COMMENT ON FUNCTION phash_bits(phash) IS 'Width of a hash in bits';
