"""Django with phash: a model field with the width, a lookup that an index serves, the distance as an expression.

Run by scripts/test-clients, which sets PGHOST, PGPORT, PGUSER and PGDATABASE to a throwaway server with the extension
created. docs/clients.md shows pieces of this file.
"""

import os
from collections.abc import Callable
from typing import Any

import django.db
from django.conf import settings
from django.db import models

BOUND_BY_THE_SERVER = os.environ.get("LUMINA_SERVER_SIDE_BINDING") == "1"

settings.configure(
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": os.environ["PGDATABASE"],
            "OPTIONS": {"server_side_binding": BOUND_BY_THE_SERVER},
        }
    },
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    USE_TZ=True,
)
django.setup()


class PHashField(models.Field):
    """A phash column: hex digits in Python. bits=64 holds hashes of 64 bits, without it hashes of any width."""

    def __init__(self, *args: Any, bits: int | None = None, **kwargs: Any) -> None:
        self.bits = bits
        super().__init__(*args, **kwargs)

    def deconstruct(self) -> Any:
        name, path, args, kwargs = super().deconstruct()
        return name, path, args, {**kwargs, "bits": self.bits}

    def db_type(self, connection: Any) -> str:
        return "phash" if self.bits is None else f"phash({self.bits})"


@PHashField.register_lookup
class Within(models.Lookup):
    """filter(dhash__within=(hash, max_distance)): an index can serve it."""

    lookup_name = "within"
    prepare_rhs = False

    def get_db_prep_lookup(self, value: Any, connection: Any) -> tuple[str, list[Any]]:
        return "%s, %s", list(value)

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, list[Any]]:
        left, left_params = self.process_lhs(compiler, connection)
        right, right_params = self.process_rhs(compiler, connection)
        return f"phash_within({left}, {right})", [*left_params, *right_params]


class Distance(models.Func):
    """Distance("dhash", Value(hash)): how many bits differ. To sort by; as a filter no index can serve it."""

    template = "(%(expressions)s)"
    arg_joiner = " <~> "
    arity = 2
    output_field = models.IntegerField()


class Photo(models.Model):
    dhash = PHashField(bits=64, null=True, db_index=True)

    free = PHashField(null=True)

    class Meta:
        app_label = "photos"


HASH = "c3a1f0e00f1e3c78"
NEAR = "c3a1f0e00f1e3c79"
FAR = "3c5e0f1ff0e1c387"


def fails(error: type[django.db.DatabaseError], state: str, action: Callable[..., object], **arguments: object) -> None:
    """Checks that an action raises Django's class of error for this SQLSTATE."""
    try:
        action(**arguments)
    except django.db.DatabaseError as raised:
        assert type(raised) is error and getattr(raised.__cause__, "sqlstate", None) == state, repr(raised)
        return
    raise AssertionError(f"no {error.__name__}")


def example() -> Any:
    Photo.objects.create(dhash="c3a1f0e00f1e3c78")
    near = (
        Photo.objects.filter(dhash__within=("c3a1f0e00f1e3c79", 5))
        .annotate(distance=Distance("dhash", models.Value("c3a1f0e00f1e3c79")))
        .order_by("distance", "id")
    )
    return list(near.values_list("id", "dhash", "distance"))


def main() -> None:
    assert Photo._meta.get_field("dhash").clone().bits == 64  # as a migration writes the field
    with django.db.connection.schema_editor() as editor:
        editor.create_model(Photo)
    photos = Photo.objects
    photos.create(dhash=HASH, free="ABCD")
    photos.bulk_create([Photo(dhash=NEAR), Photo(dhash=FAR), Photo(dhash=None)])
    stored = photos.get(id=1)
    assert (stored.dhash, stored.free) == (HASH, "abcd")
    stored.free = "ab"
    stored.save()
    assert photos.get(free="ab") == stored

    assert [p.id for p in photos.filter(dhash__within=(HASH, 5)).order_by("id")] == [1, 2]
    closest = photos.annotate(distance=Distance("dhash", models.Value(NEAR))).filter(distance__lte=1)
    assert list(closest.order_by("distance").values_list("id", flat=True)) == [2, 1]
    assert photos.filter(dhash__isnull=False).order_by(Distance("dhash", models.Value(FAR)))[0].id == 3
    assert photos.filter(dhash=HASH).count() == 1
    assert photos.filter(dhash__in=[HASH, FAR]).count() == 2
    assert photos.exclude(dhash__within=(HASH, 5)).count() == 2
    assert photos.values("dhash").distinct().count() == 4
    photos.bulk_update([Photo(id=3, dhash=HASH), Photo(id=4, dhash=None)], ["dhash"])
    assert photos.get(id=3).dhash == HASH

    assert example() == [(2, NEAR, 0), (1, HASH, 1), (3, HASH, 1), (5, HASH, 1)]

    fails(django.db.DataError, "22026", photos.create, dhash="c3a1")
    fails(django.db.DataError, "22P02", photos.create, dhash="nothex")
    fails(django.db.ProgrammingError, "42804", lambda: list(photos.filter(dhash__within=("c3a1", 5))))
    with django.db.connection.schema_editor() as editor:
        editor.delete_model(Photo)


if __name__ == "__main__":
    main()
