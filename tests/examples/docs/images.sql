CREATE EXTENSION lumina;
CREATE TABLE photos (id bigint PRIMARY KEY, bytes bytea);
INSERT INTO photos VALUES (1, pg_read_binary_file('/srv/photos/x.jpg'));
-- the same, mirrored by its orientation
INSERT INTO photos SELECT 2, substr(bytes, 1, 2)
    || '\xffe10022457869660000' || '\x4d4d002a00000008' || '\x00010112000300000001000200000000' || '\x0000'
    || substr(bytes, 3) FROM photos;
