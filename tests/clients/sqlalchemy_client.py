"""SQLAlchemy 2 with phash: a column type with the width, distance() and within(), the ORM, Core, reflection.

Run by scripts/test-clients, which sets PGHOST, PGPORT, PGUSER and PGDATABASE to a throwaway server with the extension
created. docs/clients.md shows pieces of this file.
"""

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from psycopg import Connection
from psycopg.types import TypeInfo
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql.base import ischema_names
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from sqlalchemy.types import UserDefinedType


def hex_digits(value: Any) -> str | None:
    return None if value is None else str(value)


class PHash(UserDefinedType[str]):
    """A phash column: hex digits in Python. PHash(64) holds hashes of 64 bits, PHash() hashes of any width."""

    cache_ok = True

    def __init__(self, bits: int | None = None) -> None:
        self.bits = bits

    def get_col_spec(self, **_: Any) -> str:
        return "phash" if self.bits is None else f"phash({self.bits})"

    def bind_processor(self, dialect: sa.Dialect) -> Callable[[Any], str | None]:
        """Takes hex digits, bytes, and whatever has hex digits as its str(), such as an imagehash.ImageHash."""

        def process(value: Any) -> str | None:
            return value.hex() if isinstance(value, bytes) else hex_digits(value)

        return process

    def result_processor(self, dialect: sa.Dialect, coltype: object) -> Callable[[Any], str | None]:
        return hex_digits

    class comparator_factory(UserDefinedType.Comparator[str]):
        def distance(self, other: Any) -> sa.ColumnElement[int]:
            """How many bits differ. To sort by; as a filter no index can serve it."""
            return self.expr.op("<~>", return_type=sa.Integer())(other)

        def within(self, other: Any, max_distance: Any) -> sa.ColumnElement[bool]:
            """At most max_distance bits differ. To filter by: an index can serve it."""
            return sa.func.phash_within(self.expr, sa.type_coerce(other, self.type), max_distance, type_=sa.Boolean())


ischema_names["phash"] = PHash  # for reflection


def know_arrays(connection: Connection[Any], _: object) -> None:
    """Only columns of arrays need this: without it psycopg gives a phash[] as one str, '{abcd,1234}'."""
    if info := TypeInfo.fetch(connection, "phash"):
        info.register(connection)


class Base(DeclarativeBase):
    pass


class Photo(Base):
    __tablename__ = "photos"

    id: Mapped[int] = mapped_column(sa.Identity(), primary_key=True)
    dhash: Mapped[str | None] = mapped_column(PHash(64), index=True)
    free: Mapped[str | None] = mapped_column(PHash())
    several: Mapped[list[str] | None] = mapped_column(ARRAY(PHash(16)))


HASH = "c3a1f0e00f1e3c78"
NEAR = "c3a1f0e00f1e3c79"
FAR = "3c5e0f1ff0e1c387"


class Printed:
    """Like an imagehash.ImageHash: an object that prints itself as hex digits."""

    def __str__(self) -> str:
        return NEAR


def fails(state: str, action: Callable[..., object], *arguments: object) -> None:
    """Checks that an action raises an error of the server with this SQLSTATE."""
    try:
        action(*arguments)
    except DBAPIError as error:
        assert error.orig is not None and getattr(error.orig, "sqlstate", None) == state, error
        return
    raise AssertionError(f"no error {state}")


def example(engine: sa.Engine) -> Any:
    with Session(engine) as session:
        session.add(Photo(dhash="c3a1f0e00f1e3c78"))
        session.commit()
        distance = Photo.dhash.distance("c3a1f0e00f1e3c79")
        near = session.execute(
            sa.select(Photo.id, Photo.dhash, distance)
            .where(Photo.dhash.within("c3a1f0e00f1e3c79", 5))
            .order_by(distance, Photo.id)
        ).all()
    return near


def stores(session: Session) -> None:
    session.add(Photo(dhash=HASH, free="ab", several=["abcd", "1234"]))
    session.flush()
    # Several at once, which SQLAlchemy sends as one INSERT ... SELECT ... FROM (VALUES ...) RETURNING.
    session.add_all([Photo(dhash=NEAR), Photo(dhash=FAR, several=[]), Photo(dhash=None)])
    session.commit()
    session.execute(sa.insert(Photo), [{"id": 100 + i, "dhash": f"{i:016X}"} for i in range(20)])
    session.execute(sa.insert(Photo).values(id=200, dhash=bytes.fromhex("00ff00ff00ff00ff")))
    session.execute(sa.insert(Photo).values(id=201, free=Printed()))
    session.commit()
    photo = session.get_one(Photo, 1)
    assert (photo.dhash, photo.free, photo.several) == (HASH, "ab", ["abcd", "1234"])
    assert session.get_one(Photo, 4).dhash is None
    assert session.get_one(Photo, 119).dhash == "0000000000000013"
    assert session.get_one(Photo, 200).dhash == "00ff00ff00ff00ff"
    assert session.get_one(Photo, 201).free == NEAR
    photo.free = "CDEF"
    session.commit()
    assert photo.free == "cdef"


def searches(session: Session) -> None:
    distance = Photo.dhash.distance(NEAR)
    near = session.execute(
        sa.select(Photo.id, distance.label("distance")).where(Photo.dhash.within(NEAR, 5)).order_by(distance)
    )
    assert near.all() == [(2, 0), (1, 1)]
    nearest = sa.select(Photo.id).where(Photo.dhash.is_not(None)).order_by(Photo.dhash.distance(FAR), Photo.id).limit(1)
    assert session.scalars(nearest).all() == [3]
    assert session.scalars(sa.select(Photo.id).where(Photo.dhash == HASH)).all() == [1]
    assert session.scalars(sa.select(Photo.id).where(Photo.dhash.in_([HASH, FAR])).order_by(Photo.id)).all() == [1, 3]
    assert session.scalars(sa.select(Photo.id).where(Photo.dhash.distance(HASH) <= 1).order_by(Photo.id)).all() == [
        1,
        2,
    ]
    other = sa.orm.aliased(Photo)
    pairs = sa.select(Photo.id, other.id).join(other, Photo.dhash.within(other.dhash, 1)).where(Photo.id < other.id)
    assert (1, 2) in session.execute(pairs).all()
    assert session.scalar(sa.select(sa.func.count(Photo.dhash.distinct()))) == 24
    assert session.scalar(sa.select(sa.func.phash_bits(sa.literal("c3a1", PHash())))) == 16


def refuses(session: Session) -> None:
    fails("22026", session.execute, sa.insert(Photo).values(dhash="c3a1"))
    session.rollback()
    fails("22P02", session.execute, sa.insert(Photo).values(dhash="nothex"))
    session.rollback()
    fails("42804", session.execute, sa.select(Photo).where(Photo.dhash.within("c3a1", 5)))
    session.rollback()


def reflects(engine: sa.Engine) -> None:
    """The width comes back from the database, so that a table can be made again from what was read."""
    columns = {column["name"]: column["type"] for column in sa.inspect(engine).get_columns("photos")}
    assert isinstance(columns["dhash"], PHash) and columns["dhash"].bits == 64, columns
    assert isinstance(columns["free"], PHash) and columns["free"].bits is None, columns
    table = sa.Table("photos", sa.MetaData(), autoload_with=engine)
    with engine.connect() as connection:
        rows = connection.execute(sa.select(table.c.id).where(table.c.dhash.within(HASH, 1)).order_by(table.c.id))
        assert rows.all() == [(1,), (2,)]


def main() -> None:
    engine = sa.create_engine("postgresql+psycopg://")  # the server is in PGHOST and the like
    sa.event.listen(engine, "connect", know_arrays)
    Base.metadata.drop_all(engine)
    Base.metadata.create_all(engine)
    with engine.connect() as connection:
        declared = sa.text("SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attname = 'dhash'")
        assert connection.scalars(declared).all()[0] == "phash(64)"
    with Session(engine) as session:
        stores(session)
        searches(session)
        refuses(session)
    reflects(engine)
    assert example(engine) == [(2, NEAR, 0), (1, HASH, 1), (5, HASH, 1)]
    engine.dispose()


if __name__ == "__main__":
    main()
