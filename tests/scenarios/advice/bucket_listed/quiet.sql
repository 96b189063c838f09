CREATE SCHEMA api;
CREATE SCHEMA storage;
CREATE TABLE storage.objects (id int PRIMARY KEY, bucket_id text, owner text);
ALTER TABLE storage.objects ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON storage.objects FOR SELECT USING (bucket_id = 'avatars' AND owner = current_user);
CREATE POLICY ours ON storage.objects FOR SELECT TO service_role USING (true);
CREATE POLICY put ON storage.objects FOR INSERT TO anon WITH CHECK (bucket_id = 'avatars');
CREATE POLICY never ON storage.objects AS RESTRICTIVE FOR SELECT USING (bucket_id = 'avatars');
