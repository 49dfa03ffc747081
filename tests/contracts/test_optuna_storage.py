"""The Optuna storage that ``storage`` hands out keeps Optuna's own promises, on every backend."""

from __future__ import annotations

import pytest
from optuna.storages import BaseStorage
from optuna.testing.pytest_storages import StorageTestCase

from storage.database import Database


class TestOptunaStorage(StorageTestCase):
    @pytest.fixture
    def storage(self, database: Database) -> BaseStorage:
        return database.optuna
