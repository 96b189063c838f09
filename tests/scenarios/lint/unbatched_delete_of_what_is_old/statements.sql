DELETE FROM users WHERE created_at < now() - interval '90 days';
