CREATE SCHEMA api;
CREATE SCHEMA storage;
CREATE TABLE storage.objects (id int PRIMARY KEY, bucket_id text, owner text);
ALTER TABLE storage.objects ENABLE ROW LEVEL SECURITY;
CREATE POLICY faces ON storage.objects FOR SELECT USING (bucket_id = 'ava''tars');
CREATE POLICY "all of it" ON storage.objects TO authenticated USING (true);
