CREATE SCHEMA extensions;
CREATE EXTENSION vector SCHEMA extensions;
