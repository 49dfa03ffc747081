"""Steps of revisions that can be taken again.

MySQL commits each of them on its own: a setup or an upgrade that was interrupted finds some of them made.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

# For ``op.create_table``.
TABLE: dict[str, Any] = {
    "if_not_exists": True,
    "mysql_engine": "InnoDB",
    "mysql_charset": "utf8mb4",
    "mysql_collate": "utf8mb4_bin",
    "mariadb_engine": "InnoDB",
    "mariadb_charset": "utf8mb4",
    "mariadb_collate": "utf8mb4_bin",
}


def add_column(table: str, column: sa.Column[Any]) -> None:
    existing = sa.inspect(op.get_bind()).get_columns(table)
    if column.name not in {each["name"] for each in existing}:
        op.add_column(table, column)


def create_index(name: str, table: str, columns: list[str]) -> None:
    if not sa.inspect(op.get_bind()).has_index(table, name):
        op.create_index(name, table, columns)
