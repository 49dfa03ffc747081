"""Champions whose files are in the study's artifacts, and the aliases that point to them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from storage.columns import Json, UtcDateTime
from storage.migrations.steps import TABLE, add_column, create_index

revision = "0005"
down_revision = "0004"

_CHANGES = "tuner_champion_alias_changes"


def upgrade() -> None:
    add_column("tuner_champions", sa.Column("digest", sa.String(64)))
    add_column("tuner_champions", sa.Column("size", sa.BigInteger))
    add_column("tuner_champions", sa.Column("files", Json))
    op.create_table(
        "tuner_champion_aliases",
        sa.Column("alias", sa.String(64), primary_key=True),
        sa.Column("champion_id", sa.Integer, nullable=False),
        **TABLE,
    )
    op.create_table(
        _CHANGES,
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("alias", sa.String(64), nullable=False),
        sa.Column("from_champion", sa.Integer),
        sa.Column("to_champion", sa.Integer, nullable=False),
        sa.Column("who", sa.String(255), nullable=False),
        sa.Column("at", UtcDateTime, nullable=False),
        **TABLE,
    )
    create_index(f"{_CHANGES}_alias", _CHANGES, ["alias", "id"])
