"""What a worker runs, and the size and hash of every kept model."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

from storage.columns import Json

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    _column("tuner_workers", sa.Column("versions", Json))
    _column("tuner_trials", sa.Column("checkpoint_size", sa.BigInteger))
    _column("tuner_trials", sa.Column("checkpoint_sha256", sa.String(64)))


def _column(table: str, column: sa.Column[Any]) -> None:
    # MySQL commits each change on its own: an upgrade that was interrupted finds some of them made.
    existing = sa.inspect(op.get_bind()).get_columns(table)
    if column.name not in {each["name"] for each in existing}:
        op.add_column(table, column)
