CREATE EXTENSION vector;
UPDATE pg_extension SET extversion = '0.7.4' WHERE extname = 'vector';  -- as after the server's package was renewed
