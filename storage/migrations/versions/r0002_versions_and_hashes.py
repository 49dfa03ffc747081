"""What a worker runs, and the size and hash of every kept model."""

from __future__ import annotations

import sqlalchemy as sa

from storage.columns import Json
from storage.migrations.steps import add_column

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    add_column("tuner_workers", sa.Column("versions", Json))
    add_column("tuner_trials", sa.Column("checkpoint_size", sa.BigInteger))
    add_column("tuner_trials", sa.Column("checkpoint_sha256", sa.String(64)))
