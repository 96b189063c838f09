-- A hash of all pages of all large objects, in any order.
SELECT coalesce(sum(hashtextextended(loid || ':' || pageno || ':' || encode(data, 'hex'), 0)), 0)::text
FROM pg_largeobject
