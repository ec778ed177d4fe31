CREATE EXTENSION lumina;
CREATE TABLE photos (id bigint PRIMARY KEY, bytes bytea);
INSERT INTO photos VALUES (1, pg_read_binary_file('/srv/photos/x.jpg'));
