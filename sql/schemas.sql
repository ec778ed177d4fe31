-- The schemas of the photo catalog: what users may call, and what it is made of.
--
-- Everything from here on is named with its schema, but operators and types of Postgres's own: they are found in
-- pg_catalog alone, whatever others have put into the schema that the extension is created in.

SET LOCAL search_path = pg_catalog, pg_temp;

CREATE SCHEMA lumina;
COMMENT ON SCHEMA lumina IS 'The photo catalog of the extension lumina: images, jobs, duplicates';
GRANT USAGE ON SCHEMA lumina TO PUBLIC;

-- USAGE is no right to call anything: EXECUTE on internal functions is for the extension's owner, but for a few that
-- tell nothing. It is needed where names are looked up with the rights of a user: by as_owner (src/pg/fmgr/owner.rs),
-- by lumina.duplicates, which reads a view, and by a search for duplicates, which reads images as its submitter.
CREATE SCHEMA lumina_internal;
COMMENT ON SCHEMA lumina_internal IS
    'What the functions and views of the schema lumina are made of: nothing in it is for users, all of it may change';
GRANT USAGE ON SCHEMA lumina_internal TO PUBLIC;
