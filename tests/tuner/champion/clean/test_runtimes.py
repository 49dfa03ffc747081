"""How the clean process runs files."""

from __future__ import annotations

from collections import Counter
from typing import Any

from tuner.champion.clean.runtimes import _SavedModel


class _Tensor:
    def __init__(self, value: str) -> None:
        self.value = value

    def numpy(self) -> str:
        return self.value


def test_each_signature_is_computed_once_for_a_batch_however_many_of_its_outputs_are_kept() -> None:
    called: Counter[str] = Counter()

    class Loaded:
        def __init__(self) -> None:
            self.signatures = {name: self._signature(name) for name in ("serving_default", "outputs")}

        def _signature(self, name: str) -> Any:
            def call() -> dict[str, _Tensor]:
                called[name] += 1
                return {tensor: _Tensor(f"{name} {tensor}") for tensor in ("probabilities", "label", "raw")}

            return call

    runtime = _SavedModel.__new__(_SavedModel)
    runtime._loaded = Loaded()
    runtime._keep = [("outputs", "raw"), ("serving_default", "probabilities"), ("serving_default", "label")]
    assert runtime({}) == ["outputs raw", "serving_default probabilities", "serving_default label"]
    assert called == {"outputs": 1, "serving_default": 1}
