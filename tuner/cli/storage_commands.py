"""Commands that look after the database."""

from __future__ import annotations

from storage.urls import mask_password
from tuner.cli.app import Storage, say, storage_commands
from tuner.launch import changes
from tuner.study.locations import storage_url


@storage_commands.command("upgrade")
def upgrade(storage: Storage = None) -> None:
    """Upgrade a database that an older version created.

    Stop the workers of the older version first. All studies are kept.
    """
    found, now = changes.upgrade_storage(storage=storage)
    where = mask_password(storage_url(storage))
    upgraded = f"{where}: upgraded from schema {found or 'none'} to {now}"
    say(f"{where} already has schema {now}" if found == now else upgraded)
