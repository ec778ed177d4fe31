-- The GPU that bulk searches use.
--
-- Both are for those who look after the server: the name and the load of its hardware are nobody else's concern, and a
-- device that fails again and again is not for everyone to try once more.

CREATE FUNCTION lumina.gpu_info()
    RETURNS TABLE (state text, name text, capability text, memory int8, cuda text, pairs_per_second float8,
        process int4, started_at timestamptz, memory_limit int8, memory_used int8, searches int8,
        active_searches int4, failures int4, last_error_at timestamptz, last_error text)
    VOLATILE PARALLEL UNSAFE COST 1000 ROWS 1 LANGUAGE c AS 'MODULE_PATHNAME', 'gpu_info';
REVOKE EXECUTE ON FUNCTION lumina.gpu_info() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION lumina.gpu_info() TO pg_monitor;
COMMENT ON FUNCTION lumina.gpu_info() IS
    'The GPU of bulk searches: its state, what it is, the process that uses it, its searches, failures of the last '
    'hour';

CREATE FUNCTION lumina.gpu_reset() RETURNS void
    VOLATILE STRICT PARALLEL UNSAFE COST 1000 LANGUAGE c AS 'MODULE_PATHNAME', 'gpu_reset';
REVOKE EXECUTE ON FUNCTION lumina.gpu_reset() FROM PUBLIC;
COMMENT ON FUNCTION lumina.gpu_reset() IS
    'Lets the next search try the GPU again, after failures or a new driver';
