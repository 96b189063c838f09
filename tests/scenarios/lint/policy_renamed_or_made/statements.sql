ALTER POLICY own ON users RENAME TO mine;
CREATE POLICY more ON users TO reading USING (true);
CREATE TABLE fresh (id int);
CREATE POLICY own ON fresh USING (true);
DROP POLICY own ON fresh;
