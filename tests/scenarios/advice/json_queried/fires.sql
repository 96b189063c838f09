CREATE TABLE event (id int PRIMARY KEY, seen json, indexed json, kept json);
CREATE INDEX event_kind ON event ((indexed ->> 'kind'));
CREATE VIEW kinds AS SELECT seen -> 'kind' AS kind FROM event;
CREATE TABLE call (id int PRIMARY KEY, body json);
CREATE FUNCTION bodies() RETURNS SETOF json LANGUAGE sql AS 'SELECT body -> 1 FROM call';
