"""Which attempt at its trial wrote an epoch."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    # An upgrade that was interrupted may have made it.
    if "run" not in {each["name"] for each in sa.inspect(op.get_bind()).get_columns("tuner_epochs")}:
        op.add_column("tuner_epochs", sa.Column("run", sa.Integer))
