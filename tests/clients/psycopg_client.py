"""psycopg 3 with phash: without any set-up, and with an adapter of its own in text and in binary.

Run by scripts/test-clients, which sets PGHOST, PGPORT, PGUSER and PGDATABASE to a throwaway server with the extension
created. docs/clients.md shows pieces of this file.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import Connection, errors
from psycopg.abc import Buffer
from psycopg.adapt import Dumper, Loader
from psycopg.pq import Format
from psycopg.types import TypeInfo


@dataclass(frozen=True, order=True)
class Phash:
    """A hash, as its bytes: the most significant bit of the first one is the hash's first bit."""

    data: bytes

    @classmethod
    def from_hex(cls, digits: str) -> "Phash":
        return cls(bytes.fromhex(digits))

    def __str__(self) -> str:
        return self.data.hex()


class PhashDumper(Dumper):
    def dump(self, obj: Phash) -> bytes:
        return obj.data.hex().encode()


class PhashBinaryDumper(Dumper):
    format = Format.BINARY

    def dump(self, obj: Phash) -> bytes:
        return obj.data


class PhashLoader(Loader):
    def load(self, data: Buffer) -> Phash:
        return Phash(bytes.fromhex(bytes(data).decode()))


class PhashBinaryLoader(Loader):
    format = Format.BINARY

    def load(self, data: Buffer) -> Phash:
        return Phash(bytes(data))


def register_phash(connection: Connection[Any], name: str = "phash") -> None:
    """Makes a connection send and receive Phash. The type's OID is another one in every database."""
    info = TypeInfo.fetch(connection, name)  # "extensions.phash" where the schema is not on the search path
    if info is None:
        raise LookupError(f"no type {name}: CREATE EXTENSION lumina in this database first")
    info.register(connection)
    for dumper in (PhashDumper, PhashBinaryDumper):
        connection.adapters.register_dumper(Phash, type(dumper.__name__, (dumper,), {"oid": info.oid}))
    for loader in (PhashLoader, PhashBinaryLoader):
        connection.adapters.register_loader(info.oid, loader)


HASH = "c3a1f0e00f1e3c78"
NEAR = "c3a1f0e00f1e3c79"
FAR = "3c5e0f1ff0e1c387"


def connect() -> Connection[Any]:
    return psycopg.connect(autocommit=True)


def new_table(connection: Connection[Any]) -> None:
    connection.execute("DROP TABLE IF EXISTS photos")
    connection.execute("CREATE TABLE photos (id bigint PRIMARY KEY, dhash phash(64), free phash)")


def fails(error: type[psycopg.Error], state: str, action: Callable[..., object], *arguments: object) -> psycopg.Error:
    """Checks that an action raises just this class of error, with this SQLSTATE."""
    try:
        action(*arguments)
    except psycopg.Error as raised:
        assert type(raised) is error and raised.sqlstate == state, f"{type(raised)} {raised.sqlstate}: {raised}"
        return raised
    raise AssertionError(f"no {error.__name__}")


def example() -> list[Any]:
    with psycopg.connect() as connection:
        connection.execute("INSERT INTO photos (id, dhash) VALUES (%s, %s)", (1, "c3a1f0e00f1e3c78"))
        near = connection.execute(
            "SELECT id, dhash, dhash <~> %(hash)s AS distance FROM photos"
            " WHERE phash_within(dhash, %(hash)s, %(bits)s) ORDER BY distance",
            {"hash": "c3a1f0e00f1e3c79", "bits": 5},
        ).fetchall()
    return near


def example_with_adapter() -> Any:
    with psycopg.connect() as connection:
        register_phash(connection)
        connection.execute("INSERT INTO photos (id, dhash) VALUES (%s, %b)", (2, Phash.from_hex("c3a1f0e00f1e3c79")))
        row = connection.execute("SELECT dhash FROM photos WHERE id = 2", binary=True).fetchone()
    return row


def strings_need_no_adapter(connection: Connection[Any]) -> None:
    """psycopg sends a str without a type, so that Postgres takes it for what the place needs: a phash."""
    with connection.cursor() as cursor:
        cursor.executemany("INSERT INTO photos (id, dhash) VALUES (%s, %s)", [(3, FAR), (4, None)])
        cursor.execute("SELECT id, dhash, dhash <~> %s FROM photos WHERE dhash <~> %s <= 5 ORDER BY id", (HASH, HASH))
        assert cursor.fetchall() == [(1, HASH, 0), (2, NEAR, 1)]
        cursor.execute("SELECT id FROM photos WHERE dhash <@ phash_ball(%s, %s) ORDER BY id", (HASH, 5))
        assert cursor.fetchall() == [(1,), (2,)]
        cursor.execute("SELECT id FROM photos WHERE dhash = ANY(%s::phash[]) ORDER BY id", ([HASH, FAR],))
        assert cursor.fetchall() == [(1,), (3,)]
        cursor.execute("SELECT id, dhash FROM photos ORDER BY dhash <~> %s, id LIMIT 2", (NEAR,))
        assert cursor.fetchall() == [(2, NEAR), (1, HASH)]
        cursor.execute("SELECT dhash FROM photos WHERE id = 4")
        assert cursor.fetchone() == (None,)


def bytes_need_a_cast(connection: Connection[Any]) -> None:
    """A bytes object is a bytea, and no bytea becomes a phash unasked."""
    insert = "INSERT INTO photos (id, dhash) VALUES (%s, %s)"
    fails(errors.DatatypeMismatch, "42804", connection.execute, insert, (10, bytes.fromhex(HASH)))
    connection.execute("INSERT INTO photos (id, dhash) VALUES (%s, %s::bytea::phash)", (10, bytes.fromhex(HASH)))
    assert connection.execute("SELECT dhash, dhash::bytea FROM photos WHERE id = 10").fetchone() == (
        HASH,
        bytes.fromhex(HASH),
    )


def binary_strings_are_text(connection: Connection[Any]) -> None:
    """%b sends a str with the type text, which is stored and not compared."""
    connection.execute("UPDATE photos SET dhash = %b WHERE id = 10", (NEAR,))
    search = "SELECT id FROM photos WHERE dhash = %b"
    fails(errors.UndefinedFunction, "42883", connection.execute, search, (NEAR,))


def both_formats(connection: Connection[Any]) -> None:
    """Phash objects out and in, in each of the four pairs of formats, prepared and not."""
    identifier = 100
    for placeholder in ("%t", "%b"):
        for binary in (False, True):
            for prepare in (False, True):
                identifier += 1
                sent = Phash.from_hex(HASH)
                connection.execute(
                    f"INSERT INTO photos (id, dhash, free) VALUES (%s, {placeholder}, {placeholder})",
                    (identifier, sent, Phash(b"\xab\xcd\xef")),
                    prepare=prepare,
                )
                cursor = connection.execute(
                    f"SELECT dhash, free, dhash <~> {placeholder} FROM photos WHERE id = %s AND dhash = {placeholder}"
                    f" AND phash_within(dhash, {placeholder}, 5)",
                    (Phash.from_hex(NEAR), identifier, sent, Phash.from_hex(NEAR)),
                    binary=binary,
                    prepare=prepare,
                )
                assert cursor.fetchall() == [(sent, Phash(b"\xab\xcd\xef"), 1)]
    with connection.cursor(binary=True) as cursor:
        cursor.execute("SELECT NULL::phash, %b::phash", (None,))
        assert cursor.fetchone() == (None, None)
        cursor.execute("SELECT phash_ball(%b, 5)", (Phash.from_hex(HASH),))
        assert cursor.fetchone() == (b"\0\0\0\5" + bytes.fromhex(HASH),)
        cursor.execute("SELECT %b", (Phash(bytes(range(256)) * 2),))  # 4096 bits, the widest
        assert cursor.fetchone() == (Phash(bytes(range(256)) * 2),)


def many(connection: Connection[Any]) -> None:
    rows = [(1000 + i, Phash(i.to_bytes(8, "big"))) for i in range(500)]
    with connection.cursor() as cursor:
        cursor.executemany("INSERT INTO photos (id, dhash) VALUES (%s, %b)", rows)
        assert cursor.rowcount == 500
        cursor.executemany(
            "UPDATE photos SET free = %t WHERE id = %s RETURNING free", [(h, i) for i, h in rows[:2]], returning=True
        )
        returned = [one.fetchall() for one in cursor.results()]
    assert returned == [[(Phash(bytes(8)),)], [(Phash(bytes(7) + b"\x01"),)]], returned
    stored = connection.execute("SELECT id, dhash FROM photos WHERE id >= 1000 ORDER BY dhash").fetchall()
    assert stored == rows


def arrays(connection: Connection[Any]) -> None:
    hashes = [Phash.from_hex(HASH), None, Phash.from_hex(FAR)]
    for placeholder in ("%t", "%b"):
        for binary in (False, True):
            cursor = connection.execute(f"SELECT {placeholder}", (hashes,), binary=binary)
            assert cursor.fetchone() == (hashes,)
        found = connection.execute(
            f"SELECT id FROM photos WHERE dhash = ANY({placeholder}) AND id < 10 ORDER BY id", (hashes,)
        )
        assert found.fetchall() == [(1,), (3,)]


def copies(connection: Connection[Any]) -> None:
    """COPY in and out, in text and in binary."""
    rows = [(1, Phash.from_hex(HASH)), (2, None), (3, Phash.from_hex(FAR))]
    for options in ("(FORMAT text)", "(FORMAT binary)"):
        connection.execute("CREATE TEMP TABLE copied (id bigint, dhash phash(64))")
        with connection.cursor() as cursor:
            with cursor.copy(f"COPY copied FROM STDIN {options}") as copy:
                copy.set_types(["int8", "phash"])
                for row in rows:
                    copy.write_row(row)
            with cursor.copy(f"COPY copied TO STDOUT {options}") as copy:
                copy.set_types(["int8", "phash"])
                assert list(copy.rows()) == rows
        connection.execute("DROP TABLE copied")


def errors_have_classes(connection: Connection[Any]) -> None:
    """What a program can catch: the wrong width, and text that is no hash."""
    insert = "INSERT INTO photos (id, dhash) VALUES (5000, %s)"
    width = fails(errors.StringDataLengthMismatch, "22026", connection.execute, insert, ("c3a1",))
    assert width.diag.message_primary == "phash of 16 bits does not fit type phash(64)"
    assert width.diag.message_hint is not None
    for placeholder in ("%t", "%b"):
        statement = insert.replace("%s", placeholder)
        fails(errors.StringDataLengthMismatch, "22026", connection.execute, statement, (Phash(b"\xc3\xa1"),))
    text = fails(errors.InvalidTextRepresentation, "22P02", connection.execute, insert, ("nothex",))
    assert text.diag.message_detail == '"n" at position 1 is not a hex digit.'
    # Bytes that are no hash at all: none, and one more than fit.
    for data in (b"", bytes(513)):
        fails(errors.InvalidBinaryRepresentation, "22P03", connection.execute, "SELECT %b", (Phash(data),))
    # A search with a hash of another width than the column's is refused, not answered with nothing.
    search = "SELECT id FROM photos WHERE phash_within(dhash, %s, 5)"
    fails(errors.DatatypeMismatch, "42804", connection.execute, search, ("c3a1",))
    distance = "SELECT free <~> %s FROM photos WHERE id = 101"
    fails(errors.StringDataLengthMismatch, "22026", connection.execute, distance, ("c3a1",))

    def copy_wrong_width() -> None:
        with connection.cursor() as cursor, cursor.copy("COPY photos (id, dhash) FROM STDIN (FORMAT binary)") as copy:
            copy.set_types(["int8", "phash"])
            copy.write_row((5000, Phash(b"\xc3\xa1")))

    fails(errors.StringDataLengthMismatch, "22026", copy_wrong_width)


def schema_of_its_own(connection: Connection[Any]) -> None:
    """With the extension in a schema that is not on the path, everything is named with the schema."""
    connection.execute("DROP EXTENSION lumina CASCADE")
    connection.execute("CREATE SCHEMA extensions")
    connection.execute("CREATE EXTENSION lumina SCHEMA extensions")
    assert TypeInfo.fetch(connection, "phash") is None
    register_phash(connection, "extensions.phash")
    near = (Phash.from_hex(HASH), Phash.from_hex(NEAR))
    row = connection.execute("SELECT %b, %t OPERATOR(extensions.<~>) %b", (near[0], *near), binary=True).fetchone()
    assert row == (near[0], 1)
    fails(errors.UndefinedFunction, "42883", connection.execute, "SELECT %b <~> %b", near)
    fails(errors.UndefinedObject, "42704", connection.execute, "SELECT %s::phash", (HASH,))


def main() -> None:
    with connect() as connection:
        new_table(connection)
        assert example() == [(1, HASH, 1)]
        assert example_with_adapter() == (Phash.from_hex(NEAR),)
        strings_need_no_adapter(connection)
        bytes_need_a_cast(connection)
        binary_strings_are_text(connection)
    with connect() as connection:
        register_phash(connection)
        both_formats(connection)
        many(connection)
        arrays(connection)
        copies(connection)
        errors_have_classes(connection)
    with connect() as connection:
        schema_of_its_own(connection)


if __name__ == "__main__":
    main()
