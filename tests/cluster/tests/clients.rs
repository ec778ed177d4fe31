//! phash through tokio-postgres: in binary by a custom type, in text by a cast, COPY both ways, errors.
//!
//! The other clients are run by `scripts/test-clients`; `docs/clients.md` shows pieces of this file.

use bytes::BytesMut;
use lumina_cluster::Cluster;
use lumina_cluster::postgres::binary_copy::BinaryCopyOutIter;
use lumina_cluster::postgres::fallible_iterator::FallibleIterator;
use std::error::Error;
use std::pin::pin;
use tokio_postgres::binary_copy::BinaryCopyInWriter;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};
use tokio_postgres::{Client, NoTls};

/// A hash, as its bytes: the most significant bit of the first one is the hash's first bit.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Phash(Vec<u8>);

impl ToSql for Phash {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        out.extend_from_slice(&self.0);
        Ok(IsNull::No)
    }

    fn accepts(ty: &Type) -> bool {
        ty.name() == "phash"
    }

    to_sql_checked!();
}

impl<'a> FromSql<'a> for Phash {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Phash(raw.to_vec()))
    }

    fn accepts(ty: &Type) -> bool {
        ty.name() == "phash"
    }
}

const HASH: u64 = 0xc3a1_f0e0_0f1e_3c78;

fn phash(value: u64) -> Phash {
    Phash(value.to_be_bytes().to_vec())
}

/// Runs a test in a database of its own, with the extension and an empty table, in one session.
fn in_a_session(
    cluster: &Cluster,
    database: &str,
    test: impl AsyncFnOnce(&Client) -> Result<(), tokio_postgres::Error>,
) {
    cluster.sql("postgres", &format!(r#"CREATE DATABASE "{database}""#));
    let table = "CREATE TABLE photos (id bigint PRIMARY KEY, dhash phash(64), free phash)";
    cluster.sql(database, &format!("CREATE EXTENSION lumina; {table}"));
    let mut config = tokio_postgres::Config::new();
    config.host_path(cluster.socket_folder()).port(cluster.port()).user("postgres").dbname(database);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (client, connection) = config.connect(NoTls).await.unwrap();
        let connection = tokio::spawn(connection);
        test(&client).await.unwrap();
        drop(client);
        connection.await.unwrap().unwrap();
    });
}

/// The SQLSTATE of a statement that must fail.
fn state<T>(result: Result<T, tokio_postgres::Error>) -> SqlState {
    let error = result.err().expect("an error");
    error.code().unwrap_or_else(|| panic!("not from the server: {error}")).clone()
}

#[test]
fn tokio_postgres_client() {
    let cluster = Cluster::start();
    binary(&cluster);
    text(&cluster);
    copies(&cluster);
    errors(&cluster);
}

fn binary(cluster: &Cluster) {
    in_a_session(cluster, "binary", async |client| {
        let hash = Phash(0xc3a1_f0e0_0f1e_3c78_u64.to_be_bytes().to_vec());
        client.execute("INSERT INTO photos (id, dhash) VALUES ($1, $2)", &[&1_i64, &hash]).await?;
        for (id, other) in [(2_i64, Some(phash(HASH ^ 1))), (3, Some(phash(!HASH))), (4, None)] {
            client.execute("INSERT INTO photos VALUES ($1, $2, $3)", &[&id, &other, &Phash(vec![0xab; 512])]).await?;
        }

        let rows = client
            .query(
                "SELECT id, dhash, dhash <~> $1 AS distance FROM photos
                 WHERE phash_within(dhash, $1, $2) ORDER BY distance",
                &[&hash, &5_i32],
            )
            .await?;
        let found: Vec<(i64, Phash, i32)> = rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect();
        assert_eq!(found, [(1, hash.clone(), 0), (2, phash(HASH ^ 1), 1)]);

        let rows = client.query("SELECT dhash, free FROM photos WHERE id >= 3 ORDER BY id", &[]).await?;
        let found: Vec<(Option<Phash>, Phash)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
        assert_eq!(found, [(Some(phash(!HASH)), Phash(vec![0xab; 512])), (None, Phash(vec![0xab; 512]))]);

        let several = vec![Some(phash(!HASH)), None, Some(phash(HASH))];
        let rows =
            client.query("SELECT id, $1::phash[] FROM photos WHERE dhash = ANY ($1) ORDER BY id", &[&several]).await?;
        let found: Vec<(i64, Vec<Option<Phash>>)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
        assert_eq!(found, [(1, several.clone()), (3, several)]);

        // One server-side plan, used often enough to be made for all parameters.
        let near = client.prepare("SELECT count(*) FROM photos WHERE dhash <@ phash_ball($1, $2)").await?;
        assert_eq!(near.params()[0].name(), "phash");
        for i in 0..20 {
            let count: i64 = client.query_one(&near, &[&phash(HASH ^ (i % 2)), &1_i32]).await?.get(0);
            assert_eq!(count, 2);
        }
        Ok(())
    });
}

fn text(cluster: &Cluster) {
    in_a_session(cluster, "text", async |client| {
        let hash = "c3a1f0e00f1e3c78";
        client.execute("INSERT INTO photos (id, dhash) VALUES ($1, $2::text::phash)", &[&1_i64, &hash]).await?;
        client.execute("INSERT INTO photos (id, dhash) VALUES ($1, $2::text)", &[&2_i64, &"C3A1F0E00F1E3C79"]).await?;

        let row = client
            .query_one("SELECT dhash::text FROM photos WHERE phash_within(dhash, $1::text::phash, 0)", &[&hash])
            .await?;
        assert_eq!(row.get::<_, &str>(0), hash);

        // A string alone is refused by the driver, which has learnt that the parameter is a phash.
        let refused = client.execute("INSERT INTO photos (id, dhash) VALUES (3, $1)", &[&hash]).await.unwrap_err();
        assert!(refused.code().is_none() && refused.to_string().contains("error serializing"), "{refused}");
        // The simple protocol has text alone, and needs no cast.
        client.batch_execute(&format!("DELETE FROM photos WHERE dhash = '{hash}'")).await?;
        assert_eq!(client.query("SELECT FROM photos", &[]).await?.len(), 1);
        Ok(())
    });
}

fn copies(cluster: &Cluster) {
    let rows: Vec<(i64, Option<Phash>)> = (0..1000).map(|i| (i, (i % 10 > 0).then(|| phash(i as u64)))).collect();
    in_a_session(cluster, "copies", async |client| {
        let phash_type = client.prepare("SELECT NULL::phash").await?.columns()[0].type_().clone();
        let sink = client.copy_in("COPY photos (id, dhash) FROM STDIN (FORMAT binary)").await?;
        let mut writer = pin!(BinaryCopyInWriter::new(sink, &[Type::INT8, phash_type.clone()]));
        for (id, hash) in &rows {
            writer.as_mut().write(&[id, hash]).await?;
        }
        assert_eq!(writer.finish().await?, 1000);

        let sink = client.copy_in("COPY photos (id, dhash) FROM STDIN (FORMAT binary)").await?;
        let mut writer = pin!(BinaryCopyInWriter::new(sink, &[Type::INT8, phash_type]));
        writer.as_mut().write(&[&2000_i64, &Phash(vec![0xc3, 0xa1])]).await?;
        assert_eq!(state(writer.finish().await), SqlState::STRING_DATA_LENGTH_MISMATCH);
        Ok(())
    });
    // The synchronous client takes the same type.
    let mut client = cluster.connect_to("copies", "postgres");
    let phash_type = client.prepare("SELECT NULL::phash").unwrap().columns()[0].type_().clone();
    let reader = client.copy_out("COPY (SELECT id, dhash FROM photos ORDER BY id) TO STDOUT (FORMAT binary)").unwrap();
    let copied: Vec<(i64, Option<Phash>)> = BinaryCopyOutIter::new(reader, &[Type::INT8, phash_type])
        .map(|row| Ok((row.get(0), row.get(1))))
        .collect()
        .unwrap();
    assert_eq!(copied, rows);
}

fn errors(cluster: &Cluster) {
    in_a_session(cluster, "errors", async |client| {
        let insert = "INSERT INTO photos (id, dhash) VALUES (1, $1)";
        let short = Phash(vec![0xc3, 0xa1]);
        assert_eq!(state(client.execute(insert, &[&short]).await), SqlState::STRING_DATA_LENGTH_MISMATCH); // 22026
        for no_hash in [Phash(vec![]), Phash(vec![0; 513])] {
            let refused = state(client.execute(insert, &[&no_hash]).await);
            assert_eq!(refused, SqlState::INVALID_BINARY_REPRESENTATION); // 22P03
        }
        let text = "INSERT INTO photos (id, dhash) VALUES (1, $1::text::phash)";
        assert_eq!(state(client.execute(text, &[&"c3a1"]).await), SqlState::STRING_DATA_LENGTH_MISMATCH); // 22026
        assert_eq!(state(client.execute(text, &[&"nothex"]).await), SqlState::INVALID_TEXT_REPRESENTATION); // 22P02

        client.execute(insert, &[&phash(HASH)]).await?;
        let search = "SELECT id FROM photos WHERE phash_within(dhash, $1, 5)";
        assert_eq!(state(client.query(search, &[&short]).await), SqlState::DATATYPE_MISMATCH); // 42804
        let distance = "SELECT dhash <~> (SELECT $1::phash) FROM photos";
        assert_eq!(state(client.query(distance, &[&short]).await), SqlState::STRING_DATA_LENGTH_MISMATCH); // 22026
        Ok(())
    });
}
