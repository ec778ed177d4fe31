-- The examples of README.md come after its session (tests/sql/readme.sql).
UPDATE photos SET pdq = repeat(dhash::text, 4)::phash;
