PRAGMA foreign_keys = ON;
CREATE TABLE _alembic_tmp_parent (id INTEGER PRIMARY KEY, title VARCHAR(20));
INSERT INTO _alembic_tmp_parent SELECT id, name FROM parent;
DROP TABLE parent;
ALTER TABLE _alembic_tmp_parent RENAME TO parent;
