CREATE TABLE note (id int PRIMARY KEY);
CREATE POLICY mine ON note USING (id = 1);
CREATE POLICY "or yours" ON note USING (id = 2);
