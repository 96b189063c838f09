CREATE TABLE event (id int PRIMARY KEY, body json, asked jsonb);
CREATE INDEX event_kind ON event ((asked ->> 'kind'));
CREATE VIEW bodies AS SELECT id, body FROM event;
CREATE FUNCTION other() RETURNS json LANGUAGE sql AS $$SELECT '{"a": 1}'::json -> 'a'$$;
