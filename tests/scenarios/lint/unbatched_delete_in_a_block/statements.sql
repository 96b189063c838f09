DO $$ BEGIN IF true THEN DELETE FROM users WHERE name = 'a;b'; END IF; END $$;
