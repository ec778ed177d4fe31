-- Settings outside their range: 17 and 18 say the unit of the bounds as well.
CREATE EXTENSION lumina;
SET lumina.image_memory = '1kB';
