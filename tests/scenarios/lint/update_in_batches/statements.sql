UPDATE users SET name = upper(name) WHERE ctid = ANY (ARRAY(SELECT ctid FROM users WHERE name <> upper(name) LIMIT 1000));
