-- Roles as the catalog layer keeps them: by their OID, which a rename leaves as it is and no later role of the same
-- name has.
--
-- As text such a value is the name that the role has at this moment. So what goes from cluster to cluster as text (a
-- dump, logical replication) is matched by its name where it comes in, and at that moment alone; what goes as files (a
-- base backup, CREATE DATABASE ... TEMPLATE, pg_upgrade) keeps the OIDs, as the roles themselves do.

CREATE TYPE lumina.role;
CREATE FUNCTION lumina.role_in(cstring) RETURNS lumina.role
    STABLE STRICT PARALLEL SAFE LANGUAGE c AS 'MODULE_PATHNAME', 'role_in';
COMMENT ON FUNCTION lumina.role_in(cstring) IS
    'Reads the name of a role; where no role has it, what is made of it is nobody';
CREATE FUNCTION lumina.role_out(lumina.role) RETURNS cstring
    STABLE STRICT PARALLEL SAFE LANGUAGE c AS 'MODULE_PATHNAME', 'role_out';
COMMENT ON FUNCTION lumina.role_out(lumina.role) IS
    'Writes the name that the role has now; unknown (...) where there is no such role';
CREATE FUNCTION lumina.role_recv(internal) RETURNS lumina.role
    STABLE STRICT PARALLEL SAFE LANGUAGE c AS 'MODULE_PATHNAME', 'role_recv';
COMMENT ON FUNCTION lumina.role_recv(internal) IS 'Reads the same as a text of a binary message';
CREATE FUNCTION lumina.role_send(lumina.role) RETURNS bytea
    STABLE STRICT PARALLEL SAFE LANGUAGE c AS 'MODULE_PATHNAME', 'role_send';
COMMENT ON FUNCTION lumina.role_send(lumina.role) IS 'Writes the same as a text of a binary message';
CREATE TYPE lumina.role (
    INPUT = lumina.role_in,
    OUTPUT = lumina.role_out,
    RECEIVE = lumina.role_recv,
    SEND = lumina.role_send,
    INTERNALLENGTH = VARIABLE,
    ALIGNMENT = int4,
    STORAGE = extended,
    CATEGORY = 'S'
);
COMMENT ON TYPE lumina.role IS 'A role: kept by its OID, so that a rename follows; read and written by its name';

CREATE CAST (lumina.role AS text) WITH INOUT AS IMPLICIT;
COMMENT ON CAST (lumina.role AS text) IS 'The name that the role has now';
CREATE CAST (text AS lumina.role) WITH INOUT AS ASSIGNMENT;
COMMENT ON CAST (text AS lumina.role) IS 'The role that has the name now';

CREATE FUNCTION lumina_internal.role(role oid) RETURNS lumina.role
    IMMUTABLE STRICT PARALLEL SAFE LANGUAGE c AS 'MODULE_PATHNAME', 'role_of_oid';
REVOKE EXECUTE ON FUNCTION lumina_internal.role(oid) FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.role(oid) IS 'Internal: the role of that OID';
CREATE FUNCTION lumina_internal.role_oid(role lumina.role) RETURNS oid
    IMMUTABLE STRICT PARALLEL SAFE LANGUAGE c AS 'MODULE_PATHNAME', 'role_to_oid';
REVOKE EXECUTE ON FUNCTION lumina_internal.role_oid(lumina.role) FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.role_oid(lumina.role) IS
    'Internal: the OID of a role, whether or not it is there still; 0 for nobody';

-- The stored form is compared byte by byte: its first four bytes are the OID.
CREATE FUNCTION lumina.role_eq(lumina.role, lumina.role) RETURNS bool
    IMMUTABLE STRICT PARALLEL SAFE LANGUAGE internal AS 'byteaeq';
COMMENT ON FUNCTION lumina.role_eq(lumina.role, lumina.role) IS 'Whether two are the same role';
CREATE FUNCTION lumina.role_ne(lumina.role, lumina.role) RETURNS bool
    IMMUTABLE STRICT PARALLEL SAFE LANGUAGE internal AS 'byteane';
COMMENT ON FUNCTION lumina.role_ne(lumina.role, lumina.role) IS 'Whether two are different roles';
CREATE FUNCTION lumina.role_lt(lumina.role, lumina.role) RETURNS bool
    IMMUTABLE STRICT PARALLEL SAFE LANGUAGE internal AS 'bytealt';
COMMENT ON FUNCTION lumina.role_lt(lumina.role, lumina.role) IS 'Order by OID: ORDER BY owner::text for that of names';
CREATE FUNCTION lumina.role_le(lumina.role, lumina.role) RETURNS bool
    IMMUTABLE STRICT PARALLEL SAFE LANGUAGE internal AS 'byteale';
COMMENT ON FUNCTION lumina.role_le(lumina.role, lumina.role) IS 'Order by OID: ORDER BY owner::text for that of names';
CREATE FUNCTION lumina.role_gt(lumina.role, lumina.role) RETURNS bool
    IMMUTABLE STRICT PARALLEL SAFE LANGUAGE internal AS 'byteagt';
COMMENT ON FUNCTION lumina.role_gt(lumina.role, lumina.role) IS 'Order by OID: ORDER BY owner::text for that of names';
CREATE FUNCTION lumina.role_ge(lumina.role, lumina.role) RETURNS bool
    IMMUTABLE STRICT PARALLEL SAFE LANGUAGE internal AS 'byteage';
COMMENT ON FUNCTION lumina.role_ge(lumina.role, lumina.role) IS 'Order by OID: ORDER BY owner::text for that of names';
CREATE FUNCTION lumina.role_cmp(lumina.role, lumina.role) RETURNS int4
    IMMUTABLE STRICT PARALLEL SAFE LANGUAGE internal AS 'byteacmp';
COMMENT ON FUNCTION lumina.role_cmp(lumina.role, lumina.role) IS 'Order by OID, for btree';
CREATE FUNCTION lumina.role_hash(lumina.role) RETURNS int4
    IMMUTABLE STRICT PARALLEL SAFE LANGUAGE internal AS 'hashvarlena';
COMMENT ON FUNCTION lumina.role_hash(lumina.role) IS 'Hash of a role, for hash joins and GROUP BY';

CREATE OPERATOR lumina.= (FUNCTION = lumina.role_eq, LEFTARG = lumina.role, RIGHTARG = lumina.role,
    COMMUTATOR = OPERATOR(lumina.=), NEGATOR = OPERATOR(lumina.<>), RESTRICT = eqsel, JOIN = eqjoinsel, HASHES, MERGES);
COMMENT ON OPERATOR lumina.= (lumina.role, lumina.role) IS 'the same role';
CREATE OPERATOR lumina.<> (FUNCTION = lumina.role_ne, LEFTARG = lumina.role, RIGHTARG = lumina.role,
    COMMUTATOR = OPERATOR(lumina.<>), NEGATOR = OPERATOR(lumina.=), RESTRICT = neqsel, JOIN = neqjoinsel);
COMMENT ON OPERATOR lumina.<> (lumina.role, lumina.role) IS 'different roles';
CREATE OPERATOR lumina.< (FUNCTION = lumina.role_lt, LEFTARG = lumina.role, RIGHTARG = lumina.role,
    COMMUTATOR = OPERATOR(lumina.>), NEGATOR = OPERATOR(lumina.>=), RESTRICT = scalarltsel, JOIN = scalarltjoinsel);
COMMENT ON OPERATOR lumina.< (lumina.role, lumina.role) IS 'before, by OID';
CREATE OPERATOR lumina.<= (FUNCTION = lumina.role_le, LEFTARG = lumina.role, RIGHTARG = lumina.role,
    COMMUTATOR = OPERATOR(lumina.>=), NEGATOR = OPERATOR(lumina.>), RESTRICT = scalarlesel, JOIN = scalarlejoinsel);
COMMENT ON OPERATOR lumina.<= (lumina.role, lumina.role) IS 'before or the same, by OID';
CREATE OPERATOR lumina.> (FUNCTION = lumina.role_gt, LEFTARG = lumina.role, RIGHTARG = lumina.role,
    COMMUTATOR = OPERATOR(lumina.<), NEGATOR = OPERATOR(lumina.<=), RESTRICT = scalargtsel, JOIN = scalargtjoinsel);
COMMENT ON OPERATOR lumina.> (lumina.role, lumina.role) IS 'after, by OID';
CREATE OPERATOR lumina.>= (FUNCTION = lumina.role_ge, LEFTARG = lumina.role, RIGHTARG = lumina.role,
    COMMUTATOR = OPERATOR(lumina.<=), NEGATOR = OPERATOR(lumina.<), RESTRICT = scalargesel, JOIN = scalargejoinsel);
COMMENT ON OPERATOR lumina.>= (lumina.role, lumina.role) IS 'after or the same, by OID';
CREATE OPERATOR CLASS lumina.role_ops DEFAULT FOR TYPE lumina.role USING btree AS
    OPERATOR 1 lumina.<, OPERATOR 2 lumina.<=, OPERATOR 3 lumina.=, OPERATOR 4 lumina.>=, OPERATOR 5 lumina.>,
    FUNCTION 1 lumina.role_cmp(lumina.role, lumina.role);
COMMENT ON OPERATOR CLASS lumina.role_ops USING btree IS 'Order of roles by OID';
CREATE OPERATOR CLASS lumina.role_ops DEFAULT FOR TYPE lumina.role USING hash AS
    OPERATOR 1 lumina.=, FUNCTION 1 lumina.role_hash(lumina.role);
COMMENT ON OPERATOR CLASS lumina.role_ops USING hash IS 'Hashes of roles';
