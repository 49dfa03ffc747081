"""What may be asked of an export, and what the parts of the project show of it."""

from __future__ import annotations

import re
from typing import Any

import pytest
from typer.testing import CliRunner

from tuner.champion.export.options import ExportKeywords, ExportOptions, export_options
from tuner.cli import app
from tuner.errors import ExportError
from tuner.http.app import create_app
from tuner.http.settings import ServiceSettings


@pytest.mark.parametrize(
    "asked",
    [
        {"smallest": True, "trial": 0},
        {"trial": 0, "prefer": "val_loss"},
        {"max_bytes": 0},
        {"max_latency_ms": 0},
        {"top": 0},
        {"seeds": 101},
        {"prefer": ""},
        {"formats": []},
        {"formats": ["keras", "onyx"]},
    ],
)
def test_what_no_export_takes_is_refused_without_the_words_of_the_command_line(asked: dict[str, Any]) -> None:
    with pytest.raises(ExportError) as refused:
        export_options(None, asked)
    said = str(refused.value)
    assert "--" not in said and "\n" not in said
    assert any(name.rstrip("s") in said for name in asked)


def test_the_formats_that_every_export_has_are_among_them_in_one_order() -> None:
    assert export_options(None, {"formats": ["onnx", "keras"]}).formats == ("keras", "saved_model", "onnx")
    assert export_options(None, {}) == ExportOptions() == export_options(ExportOptions(), {})


def test_options_are_given_as_one_object_or_by_name() -> None:
    with pytest.raises(ExportError, match="give top within the options"):
        export_options(ExportOptions(), {"top": 3})
    with pytest.raises(TypeError, match="there is no export option tops; the options are trial, "):
        export_options(None, {"tops": 3})


def test_every_option_is_described_once_and_shown_everywhere() -> None:
    fields = ExportOptions.model_fields
    assert set(ExportKeywords.__annotations__) == set(fields)
    shown = CliRunner().invoke(app, ["export", "--help"], env={"COLUMNS": "100"}).output
    assert "cannot be combined with --trial." in " ".join(shown.split()) and "--max-latency-ms" in shown
    words = re.sub(r"\W+", " ", shown)
    schema = create_app(ServiceSettings(storage="sqlite:///absent.db")).openapi()["components"]["schemas"][
        "ExportOptions"
    ]["properties"]
    for name, field in fields.items():
        assert field.description and schema[name]["description"] == field.description
        assert f" {name.replace('_', ' ')} " in words and re.sub(r"\W+", " ", field.description).strip() in words, name
