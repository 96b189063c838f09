CREATE TABLE event (at timestamptz NOT NULL, what text);
CREATE TABLE "Odd ""name; 🐘" (code text NOT NULL UNIQUE DEFERRABLE, sure text NOT NULL);
CREATE UNIQUE INDEX sure_key ON "Odd ""name; 🐘" (sure);
CREATE TABLE part (i int) PARTITION BY RANGE (i);
CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM (0) TO (10);
