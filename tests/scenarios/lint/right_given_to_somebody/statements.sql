GRANT SELECT ON users TO reading;
GRANT editors TO ann;
