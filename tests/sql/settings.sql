-- Settings outside their range: Postgres 18 says the unit of the bounds as well.
CREATE EXTENSION lumina;
SET lumina.image_memory = '1kB';
