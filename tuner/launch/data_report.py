"""What is said about the data before a study starts: what was found in it, what was inferred, and what follows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from tuner.spec.search_spec import SearchSpec

# More classes, and longer lists of them, are counted and not named.
_NAMED_CLASSES = 10
_NAMED_LENGTH = 80
_COLUMN_KINDS = ("number", "integer", "category", "text")


def data_said(spec: SearchSpec, data: Mapping[str, Any], class_weights: Sequence[float] | None) -> list[str]:
    """One line for each thing to say.

    Args:
        data: the description of the prepared data.
        class_weights: of the model with default values.
    """
    lines = [f"Data: {_sizes(data)}"]
    if data["structure"] == "dict" and all(each["kind"] in _COLUMN_KINDS for each in data["inputs"]):
        counts = Counter(each["kind"] for each in data["inputs"])
        lines.append("Columns: " + ", ".join(f"{counts[kind]} {kind}" for kind in _COLUMN_KINDS if counts[kind]))
    if getattr(spec.data, "task", None) == "auto" and data["targets"]:
        tasks = ", ".join(each["task"] for each in data["targets"])
        lines.append(f"Task: {tasks}, inferred from the labels; set data.task to change it")
    if data.get("weights"):
        lines.append("Weights: " + ", ".join(_weight_said(each) for each in data["weights"]))
    lines += [f"Note: {note}" for note in data.get("notes", ())]
    if class_weights is not None:
        lines.append(_weights_said(spec, data, class_weights))
    return lines


def _sizes(data: Mapping[str, Any]) -> str:
    counts = {name: split["examples"] for name, split in data["splits"].items()}
    sizes = ", ".join(f"{count} {name}" for name, count in counts.items())
    what = "files" if data["kind"].endswith("_directory") else "rows"
    skipped = f"; {data['skipped']} {what} skipped" if data["skipped"] else ""
    return f"{sum(counts.values())} examples{_task_said(data)} ({sizes}{skipped})"


def _task_said(data: Mapping[str, Any]) -> str:
    names = data["class_names"]
    if data["task"] == "classification" and names:
        return f" of {len(names)} classes{_named(names)}"
    return {
        "multi_label": f" with {len(names)} labels{_named(names)}, any number of them each",
        "regression": ", regression",
        "none": " without labels",
    }[data["task"]]


def _weight_said(weights: Mapping[str, Any]) -> str:
    named = f" for {weights['name']}" if weights["name"] else ""
    shape = ", ".join(["examples", *map(str, weights["shape"])])
    return f"({shape}){named}" if weights["shape"] or named else "one for each example"


def _named(names: Sequence[str]) -> str:
    listed = ", ".join(names)
    return f": {listed}" if len(names) <= _NAMED_CLASSES and len(listed) <= _NAMED_LENGTH else ""


def _weights_said(spec: SearchSpec, data: Mapping[str, Any], class_weights: Sequence[float]) -> str:
    counts = data["splits"]["train"]["class_counts"]
    rarest = min(counts, key=counts.__getitem__)
    share = counts[rarest] / sum(counts.values())
    weights = ", ".join(f"{name} {weight:.3g}" for name, weight in zip(counts, class_weights, strict=True))
    shown = weights if len(counts) <= _NAMED_CLASSES else f"{min(class_weights):.3g} to {max(class_weights):.3g}"
    return (
        f"Class weights: {shown} (training.class_weight: {spec.training.class_weight}; "
        f"{share:.2%} of the training examples are {rarest})"
    )
