-- Which publications of updates or deletes name columns or filter rows of a table that is told apart by its primary key?
SELECT p.pubname::text AS name
FROM pg_publication_rel r
JOIN pg_publication p ON p.oid = r.prpubid
JOIN pg_class c ON c.oid = r.prrelid
WHERE c.oid = to_regclass(quote_ident(:table)) AND c.relreplident = 'd' AND (p.pubupdate OR p.pubdelete)
  AND (r.prattrs IS NOT NULL OR r.prqual IS NOT NULL)
ORDER BY 1
