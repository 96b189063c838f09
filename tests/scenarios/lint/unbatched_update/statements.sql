UPDATE users SET name = upper(name) WHERE name <> '';
