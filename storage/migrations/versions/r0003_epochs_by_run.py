"""Which attempt at its trial wrote an epoch."""

from __future__ import annotations

import sqlalchemy as sa

from storage.migrations.steps import add_column

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    add_column("tuner_epochs", sa.Column("run", sa.Integer))
