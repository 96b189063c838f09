DROP POLICY IF EXISTS own ON users;
ALTER POLICY own ON public.users USING (true);
DO $$ BEGIN DROP POLICY own ON users; END $$;
