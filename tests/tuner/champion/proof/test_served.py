"""What of a file's outputs is rounding: of each by its own size, whatever that of others and the number of layers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tuner.champion.messages import Written
from tuner.champion.proof.clean_runs import CleanOutputs, Timing
from tuner.champion.proof.formats import FormatProof
from tuner.champion.proof.served import check_served
from tuner.champion.proof.verification import Exported, Proof
from tuner.champion.records.arithmetic import Arithmetic
from tuner.champion.records.champion_json import ImageInput, OutputTensor, TensorInput
from tuner.data.prepared import TargetFacts
from tuner.errors import ExportError

CLASSES = ("dark", "mid", "light")
TARGET = TargetFacts(name="", task="classification", class_names=CLASSES, shape=(), dtype="int64")
# Of a network as deep as any, for which sums of large logits may be off by some hundredths.
DEEP = Arithmetic(layers=50, terms=200_000)
LOGITS = np.linspace(-50, 50, 300, dtype=np.float32).reshape(100, 3)[:, ::-1] * np.float32(0.5) + 25


def softmax(logits: Any) -> Any:
    powers = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def outputs(folder: Path, device: Any = "cpu", **arrays: Any) -> CleanOutputs:
    files = {name: folder / f"{place}.npy" for place, name in enumerate(arrays)}
    for name, values in arrays.items():
        np.save(files[name], values)
    return CleanOutputs(files, len(LOGITS), 1.0, Timing(1.0, 1.0), device)


def written(arithmetic: Arithmetic, raw_signature: str) -> Written:
    takes = ImageInput(image_size=(8, 8), color_mode="rgb", signatures={})
    return Written(
        data=Path(),
        input=takes,
        outputs=(OutputTensor(tensor="probabilities", dtype="float32", shape=(3,)),),
        learned=(TARGET,),
        raw_signature=raw_signature,
        raw_tensors=("outputs",),
        raw_columns=3,
        unscorable=None,
        lost="",
        left_out=(),
        needs={},
        own=None,
        drawn=(),
        arithmetic=arithmetic,
        versions={},
    )


def check(folder: Path, probabilities: Any, pixels: Any, arithmetic: Arithmetic = DEEP, device: Any = "cpu") -> None:
    given = {"probabilities": probabilities.astype(np.float32), "pixels/probabilities": pixels.astype(np.float32)}
    found = outputs(folder, device, outputs=LOGITS, **given)
    check_served(written(arithmetic, "outputs"), [TARGET], found, "SparseCategoricalCrossentropy")


@pytest.mark.parametrize("device", ["cpu", "gpu"])
@pytest.mark.parametrize("wrong", [lambda logits: logits * 1.01, lambda logits: logits + np.arange(3) / 1000])
def test_large_logits_make_no_room_for_other_probabilities(tmp_path: Path, wrong: Any, device: Any) -> None:
    meant = softmax(LOGITS)
    other = softmax(wrong(LOGITS.astype(np.float64)))
    check(tmp_path, meant, meant, device=device)
    with pytest.raises(ExportError, match="from what its outputs mean"):
        check(tmp_path, other, other, device=device)


@pytest.mark.parametrize("device", ["cpu", "gpu"])
def test_pixels_may_differ_by_the_rounding_of_one_device_alone(tmp_path: Path, device: Any) -> None:
    small, meant = Arithmetic(layers=20, terms=20_000), softmax(LOGITS)
    check(tmp_path, meant, meant + 1e-4, small, device)
    with pytest.raises(ExportError, match=r"the signature pixels gives .* \(at most 0\.00027 is rounding\)"):
        check(tmp_path, meant, meant + 1e-3, small, device)
    # The neighbour of a number in half precision.
    check(tmp_path, meant, meant + 9e-4, small.model_copy(update={"precision": "float16"}), device)


def test_what_a_converted_file_may_differ_by_is_of_each_output_by_itself(tmp_path: Path) -> None:
    table = written(Arithmetic(layers=5, terms=5_000), "outputs").model_copy(
        update={"input": TensorInput(kind="table", structure="dict", tensors=(), signatures={})}
    )
    proven = outputs(tmp_path, outputs=1000 * LOGITS, probabilities=softmax(LOGITS))
    # Of the request, the data and the rest nothing is asked.
    nothing: Any = None
    exported = Exported(nothing, table, nothing, nothing)
    proof = Proof(nothing, nothing, proven, nothing)
    held_to = FormatProof(exported, proof, nothing, tmp_path, tmp_path, tmp_path)
    assert held_to._other_than_rounding((1.0, 2e-4)) is None
    assert "differ from the SavedModel's by 0.0005" in (held_to._other_than_rounding((1.0, 5e-4)) or "")
