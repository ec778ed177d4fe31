-- What the container does in a new volume.
CREATE EXTENSION lumina;
LOAD 'lumina';
ALTER SYSTEM SET lumina.import_roots = '/photos';
SELECT pg_reload_conf();
