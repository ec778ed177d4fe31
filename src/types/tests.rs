//! Tests inside a server: every way in which a value can be stored, and datums made in Rust.

#[pgrx::pg_schema]
mod tests {
    use crate::pg::fmgr::datum::{Phash, PhashBall, Varlena, inline_payload};
    use lumina_hash::ball::Ball;
    use pgrx::prelude::*;

    /// A `phash` is always stored inline, but a `bytea` or bit string that is cast to one can have a short header, be
    /// compressed, or be stored out of line.
    #[pg_test]
    fn every_storage_is_read() -> Result<(), spi::Error> {
        for storage in ["plain", "main", "extended", "external"] {
            Spi::run(&format!(
                "CREATE TABLE stored (id int, bytes bytea, bits bit varying, filler text);
                ALTER TABLE stored ALTER bytes SET STORAGE {storage}, ALTER bits SET STORAGE {storage},
                    ALTER filler SET STORAGE plain;
                INSERT INTO stored SELECT i, decode(text, 'hex'), ('x' || text)::varbit, repeat('x', 6000)
                FROM generate_series(0, 300) i, lpad(to_hex(i), 1024, '0') AS text;
                INSERT INTO stored VALUES (301, '\\xab', x'ab', NULL)"
            ))?;
            let wrong: Option<i64> = Spi::get_one(
                "SELECT count(*) FROM stored WHERE bytes::phash::text <> encode(bytes, 'hex')
                    OR bits::phash <> bytes::phash OR phash_bits(bits::phash) <> length(bits)",
            )?;
            assert_eq!(wrong, Some(0), "{storage}");
            Spi::run("DROP TABLE stored")?;
        }
        Ok(())
    }

    #[pg_test]
    fn datums_made_in_rust_are_read_back() {
        for bytes in 1..=512u32 {
            let hash: Vec<u8> = (0..bytes).map(|i| (i.wrapping_mul(2_654_435_761) >> (bytes % 24)) as u8).collect();
            let datum = Varlena::new(&[&hash]).into_datum();
            // SAFETY: the varlena was just made and is not freed before the test ends.
            #[allow(unsafe_code)]
            let (inline, read) = unsafe { (inline_payload(datum), Phash::read(datum)) };
            assert_eq!(inline, Some(&hash[..]));
            assert_eq!(read.0, &hash[..]);
            for radius in [0, 1, 8 * i64::from(bytes)] {
                let ball = Ball::new(&hash, radius).unwrap_or_else(|error| panic!("{error}"));
                let datum = Varlena::new(&[&ball.to_binary()]).into_datum();
                // SAFETY: as above.
                #[allow(unsafe_code)]
                let read = unsafe { PhashBall::read(datum) };
                assert_eq!(read.0, ball);
            }
        }
    }

    #[pg_test(error = "no distance between a phash of 8 bits and one of 16 bits")]
    fn an_error_leaves_rust_as_an_error_of_postgres() {
        Spi::run("SELECT phash 'ab' <~> 'abcd'").unwrap_or_else(|error| panic!("{error}"));
    }

    /// Errors raised again and again in subtransactions leave nothing behind that ends the session.
    #[pg_test]
    fn a_session_survives_ten_thousand_errors() -> Result<(), spi::Error> {
        Spi::run(
            "DO $$ DECLARE caught int := 0; BEGIN
                FOR i IN 1..10000 LOOP
                    BEGIN PERFORM ('x' || i)::phash;
                    EXCEPTION WHEN invalid_text_representation THEN caught := caught + 1; END;
                END LOOP;
                IF caught <> 10000 THEN RAISE 'caught %', caught; END IF;
            END $$",
        )
    }
}
