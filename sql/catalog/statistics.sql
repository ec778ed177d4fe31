-- Which columns ANALYZE looks at: those that tie rows together, and how far work is. Of all others there are no
-- statistics.
--
-- Row-level security hides rows, but not statistics from the planner: for a comparison that is LEAKPROOF, as those of
-- numbers, texts, bytes and hashes are, it estimates by the common values and the histogram of all rows of the table,
-- and EXPLAIN tells the estimate to every role. A few hundred of them are a search for a path or a hash of somebody
-- else's. A column that is new has none until it is in this list.

DO $$
DECLARE
    tied CONSTANT name[] := ARRAY['id', 'catalog', 'image', 'file', 'source', 'import_job', 'job', 'parent', 'run',
        'group_id', 'place', 'burst'];
    work CONSTANT name[] := ARRAY['kind', 'state', 'status', 'action', 'reason', 'is_current', 'missing_since',
        'decision'];
    columns text;
    of_table regclass;
BEGIN
    FOR of_table, columns IN
        SELECT c.oid, string_agg(format('ALTER COLUMN %I SET STATISTICS 0', a.attname), ', ')
        FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
        WHERE c.relnamespace = 'lumina'::regnamespace AND c.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped
            AND a.attname <> ALL (tied || work)
        GROUP BY c.oid
    LOOP
        EXECUTE format('ALTER TABLE %s %s', of_table, columns);
    END LOOP;
END $$;
