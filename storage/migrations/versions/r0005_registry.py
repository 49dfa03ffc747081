"""Champions whose files are in the study's artifacts, and the aliases that point to them."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

from storage.columns import Json, UtcDateTime

revision = "0005"
down_revision = "0004"

# MySQL commits each change on its own: an upgrade that was interrupted finds some of them made.
_OPTIONS: dict[str, Any] = {
    "if_not_exists": True,
    "mysql_engine": "InnoDB",
    "mysql_charset": "utf8mb4",
    "mysql_collate": "utf8mb4_bin",
    "mariadb_engine": "InnoDB",
    "mariadb_charset": "utf8mb4",
    "mariadb_collate": "utf8mb4_bin",
}
_CHANGES = "tuner_champion_alias_changes"


def upgrade() -> None:
    _column("tuner_champions", sa.Column("digest", sa.String(64)))
    _column("tuner_champions", sa.Column("size", sa.BigInteger))
    _column("tuner_champions", sa.Column("files", Json))
    op.create_table(
        "tuner_champion_aliases",
        sa.Column("alias", sa.String(64), primary_key=True),
        sa.Column("champion_id", sa.Integer, nullable=False),
        **_OPTIONS,
    )
    op.create_table(
        _CHANGES,
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("alias", sa.String(64), nullable=False),
        sa.Column("from_champion", sa.Integer),
        sa.Column("to_champion", sa.Integer, nullable=False),
        sa.Column("who", sa.String(255), nullable=False),
        sa.Column("at", UtcDateTime, nullable=False),
        **_OPTIONS,
    )
    if not sa.inspect(op.get_bind()).has_index(_CHANGES, f"{_CHANGES}_alias"):
        op.create_index(f"{_CHANGES}_alias", _CHANGES, ["alias", "id"])


def _column(table: str, column: sa.Column[Any]) -> None:
    existing = sa.inspect(op.get_bind()).get_columns(table)
    if column.name not in {each["name"] for each in existing}:
        op.add_column(table, column)
