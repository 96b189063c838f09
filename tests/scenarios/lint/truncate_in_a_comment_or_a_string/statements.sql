-- TRUNCATE users
/* TRUNCATE /* nested */ users */ INSERT INTO users (name) VALUES ('TRUNCATE users; DROP TRIGGER t ON users');
