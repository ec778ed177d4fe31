CREATE EXTENSION lumina;
LOAD 'lumina';
ALTER SYSTEM SET lumina.import_roots = '/srv/photos';
SELECT pg_reload_conf();

-- ## Preview an import
SELECT lumina.create_catalog('holiday');
