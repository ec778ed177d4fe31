-- What is wrong with the groups of table hashes by one column and strategy: a line each. Distances are counted on
-- Postgres's own bit strings.
CREATE FUNCTION bits(a varbit, b varbit) RETURNS int IMMUTABLE STRICT LANGUAGE sql AS 'SELECT bit_count(a # b)::int';
CREATE FUNCTION wrong_groups(hash_column text, radius int, strategy text) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
    CREATE TEMP TABLE h (id int8 PRIMARY KEY, h varbit);
    EXECUTE format('INSERT INTO h SELECT id, (''x'' || %1$I::text)::varbit FROM hashes '
        'WHERE %1$I IS NOT NULL AND id <= 900', hash_column);
    CREATE TEMP TABLE near AS
        SELECT a.id AS a, b.id AS b FROM h a, h b WHERE a.id <> b.id AND bits(a.h, b.h) <= radius;
    CREATE INDEX ON near (a);
    CREATE TEMP TABLE g AS
        SELECT g.*, h.h FROM phash_groups('SELECT id, h::phash FROM h ORDER BY random()', radius, strategy) g
        LEFT JOIN h ON id = member;
    CREATE INDEX ON g (member);
    ANALYZE near; ANALYZE g;
    IF NOT EXISTS (SELECT FROM g) THEN
        RETURN NEXT 'nothing to look at';
    END IF;
    RETURN QUERY SELECT 'a member that is none: ' || member FROM g WHERE h IS NULL;
    RETURN QUERY SELECT 'in two groups: ' || member FROM g GROUP BY member HAVING count(*) > 1;
    RETURN QUERY SELECT 'no group numbers from 1: ' || max(group_id) FROM g
        HAVING min(group_id) <> 1 OR max(group_id) <> count(DISTINCT group_id);
    RETURN QUERY SELECT 'a group with fewer than two members or not one primary: ' || group_id FROM g GROUP BY group_id
        HAVING count(*) < 2 OR count(*) FILTER (WHERE is_primary) <> 1;
    RETURN QUERY SELECT format('distance to the primary of %s: %s', m.member, m.distance)
        FROM g m JOIN g p ON p.group_id = m.group_id AND p.is_primary WHERE m.distance IS DISTINCT FROM bits(m.h, p.h);
    RETURN QUERY SELECT format('the largest distance in group %s is %s, not %s', a.group_id, max(bits(a.h, b.h)),
        a.group_distance)
        FROM g a JOIN g b USING (group_id) GROUP BY a.group_id, a.group_distance
        HAVING max(bits(a.h, b.h)) IS DISTINCT FROM a.group_distance;
    -- What is near a member without being in its group, in order, said by the primary alone.
    RETURN QUERY SELECT format('also near group %s is %s, not %s', group_id, x.others, g.also_near)
        FROM g LEFT JOIN (
            SELECT m.group_id, array_agg(DISTINCT b ORDER BY b) AS others FROM g m JOIN near ON a = m.member
            LEFT JOIN g o ON o.member = b WHERE o.group_id IS DISTINCT FROM m.group_id GROUP BY m.group_id) x
                USING (group_id)
        WHERE CASE WHEN is_primary THEN x.others END IS DISTINCT FROM g.also_near;
    RETURN QUERY SELECT format('near and both in no group: %s, %s', a, b) FROM near
        WHERE a NOT IN (SELECT member FROM g) AND b NOT IN (SELECT member FROM g);
    IF strategy = 'clique' THEN
        RETURN QUERY SELECT 'no clique: ' || group_id FROM g WHERE group_distance > radius;
        -- Two groups that could be one would have been joined.
        RETURN QUERY SELECT format('could be one: %s, %s', a.group_id, b.group_id)
            FROM near JOIN g a ON a.member = near.a JOIN g b ON b.member = near.b AND b.group_id > a.group_id
            GROUP BY a.group_id, b.group_id
            HAVING count(*) = (SELECT count(*) FROM g WHERE group_id = a.group_id) * (SELECT count(*) FROM g
                WHERE group_id = b.group_id);
    ELSIF strategy = 'star' THEN
        RETURN QUERY SELECT 'not near its primary: ' || member FROM g WHERE distance > radius;
    ELSE
        RETURN QUERY SELECT 'a component that is not whole: ' || group_id FROM g WHERE also_near IS NOT NULL;
        RETURN QUERY SELECT 'a component of two: ' || group_id FROM g WHERE member NOT IN (
            WITH RECURSIVE reached(id) AS (
                SELECT member FROM g WHERE is_primary UNION SELECT b FROM reached JOIN near ON a = id)
            SELECT id FROM reached);
    END IF;
    DROP TABLE h, near, g;
END $$;
