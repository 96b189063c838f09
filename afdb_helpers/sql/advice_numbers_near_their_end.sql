-- Numbers that run out
-- severity: medium
-- why: When the column's type or its sequence has no number left, every INSERT fails, at once. At half of them there is time for a migration beside the application; at three quarters there may not be.
-- remedy: Make the column and its sequence bigint; in place that rewrites the table under ACCESS EXCLUSIVE, so for a large one add a bigint column, fill it in batches and swap.
-- Sequences are read where the role may, by a query that ts_stat runs: pg_sequence_last_value locks them as a writer does;
-- else the highest number in the statistics of the column's index.
WITH numbered AS (
    SELECT c.oid AS table, a.attname AS column, a.atttypid::regtype AS type, s.seqrelid::regclass AS sequence,
           CASE WHEN has_sequence_privilege(s.seqrelid, 'SELECT')
                THEN (SELECT max(word::bigint) FROM ts_stat(
                      format('SELECT array_to_tsvector(ARRAY[last_value::text]) FROM %s', s.seqrelid::regclass))) END AS reached,
           least(s.seqmax, CASE a.atttypid WHEN 'int2'::regtype THEN 32767 WHEN 'int4'::regtype THEN 2147483647
                                           ELSE 9223372036854775807 END) AS most, s.seqcycle
    FROM pg_sequence s
    JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = s.seqrelid AND d.deptype IN ('a', 'i')
                     AND d.refclassid = 'pg_class'::regclass AND d.refobjsubid > 0
    JOIN pg_class c ON c.oid = d.refobjid
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = d.refobjsubid
    WHERE s.seqincrement > 0
    UNION ALL
    SELECT c.oid, a.attname, a.atttypid::regtype, NULL, (st.histogram_bounds::text::bigint[])[cardinality(st.histogram_bounds::text::bigint[])],
           CASE a.atttypid WHEN 'int2'::regtype THEN 32767 ELSE 2147483647 END, false
    FROM pg_index i
    JOIN pg_class c ON c.oid = i.indrelid
    JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = ANY (i.indkey::int2[])
    JOIN pg_stats st ON (st.schemaname, st.tablename, st.attname) = (n.nspname, c.relname, a.attname) AND NOT st.inherited
    WHERE i.indisprimary AND a.atttypid IN ('int2'::regtype, 'int4'::regtype) AND st.histogram_bounds IS NOT NULL
)
SELECT format('%s.%I', t."table"::regclass, t."column") AS object,
       format('%s of %s numbers of type %s are used (%s %%)', max(t.reached), min(t.most), t.type, (100 * max(t.reached) / min(t.most))) AS detail,
       pg_total_relation_size(t."table")::bigint AS bytes,
       CASE WHEN max(t.reached) >= min(t.most) * 0.75 THEN 'high' ELSE 'medium' END AS severity,
       CASE WHEN t.type = 'bigint'::regtype AND max(t.sequence::text) IS NOT NULL THEN format('ALTER SEQUENCE %s AS bigint MAXVALUE 9223372036854775807', max(t.sequence::text))
            ELSE format('ALTER TABLE %s ALTER COLUMN %I TYPE bigint', t."table"::regclass, t."column")
                 || coalesce('; ALTER SEQUENCE ' || max(t.sequence::text) || ' AS bigint', '') END AS remedy
FROM numbered t
JOIN pg_class c ON c.oid = t."table"
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE t.reached IS NOT NULL AND NOT t.seqcycle AND n.nspname !~ '^pg_' AND n.nspname <> ALL (:theirs)
GROUP BY t."table", t."column", t.type
HAVING max(t.reached) >= min(t.most) * 0.5
