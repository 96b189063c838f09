WITH gone AS (DELETE FROM public.users WHERE name IS NULL RETURNING id) SELECT count(*) FROM gone;
