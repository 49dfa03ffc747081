"""What the documentation says exists, and what exists is documented."""

from __future__ import annotations

import configparser
import importlib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin

import pytest
import typer
import yaml
from pydantic import BaseModel
from spec_documents import WITH_TABLES, with_tables

from storage.artifacts import StudyArtifacts
from tuner import api
from tuner.cli import app
from tuner.client import Client
from tuner.spec.choices import PRUNERS, SAMPLERS, SPACES
from tuner.spec.data import DATA_KINDS
from tuner.spec.reading import load_spec
from tuner.spec.search_spec import SearchSpec
from tuner.trial.outcome import Outcome

ROOT = Path(__file__).parent.parent
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
GUIDE = (ROOT / "docs/guide.md").read_text(encoding="utf-8")
# A sampler, pruner or space is a name with options that only the named one knows.
_LEAVES = {"space", "sampler", "pruner"}


def section(title: str) -> str:
    """The guide's section of that title."""
    found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", GUIDE, re.DOTALL | re.MULTILINE)
    assert found, title
    return found[1]


def first_cells(text: str) -> list[str]:
    """The names in the first column of a section's tables."""
    return re.findall(r"^\| `([^`]+)`", text, re.MULTILINE)


def spec_keys(model: type[BaseModel], data: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """The dotted key of every value of a spec with such data."""
    for field_name, field in model.model_fields.items():
        name = str(field.validation_alias or field_name)
        parts = (data,) if name == "data" else _parts(field.annotation)
        section = next((part for part in parts if _is_section(part)), None)
        if section is None or name in _LEAVES:
            yield f"{prefix}{name}"
        else:
            inside = f"{name}.NAME" if get_origin(field.annotation) is dict else name
            yield from spec_keys(section, data, f"{prefix}{inside}.")


def _parts(annotation: Any) -> tuple[Any, ...]:
    return get_args(annotation) if get_origin(annotation) in (Union, UnionType, tuple, dict) else (annotation,)


def _is_section(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def commands() -> dict[str, Any]:
    return dict(typer.main.get_command(app).commands)  # type: ignore[attr-defined]


def test_the_guide_has_every_key_of_a_spec_and_no_other() -> None:
    documented = {*first_cells(section("The spec")), *first_cells(section("Data"))}
    existing = {key for data in DATA_KINDS.values() for key in spec_keys(SearchSpec, data)}
    sections = {".".join(key.split(".")[:count]) for key in existing for count in range(1, key.count(".") + 1)}
    assert existing - documented == set()
    assert documented - existing - sections == set()


@pytest.mark.parametrize("path", WITH_TABLES, ids=lambda path: path.stem)
def test_tables_say_of_every_key_what_its_description_says(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert with_tables(text) == text, "run PYTHONPATH=. python scripts/spec_documents.py"
    assert "<!-- keys: " in text and with_tables(text.replace("The number of", "A number of")) == text


def test_what_the_client_lacks_is_in_its_table() -> None:
    rows = (ROOT / "docs/service.md").read_text(encoding="utf-8").partition("| function of `tuner.api` |")[2]
    listed = {name for row in re.findall(r"^\|([^|]+)\|", rows, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)}
    functions = {name for name in api.__all__ if inspect.isfunction(getattr(api, name))}
    assert listed == {name for name in functions if not hasattr(Client, name)}


def test_every_command_is_in_the_guide_and_every_command_in_the_documents_exists() -> None:
    mentioned = {name for path in DOCUMENTS for name in _commands_in(path.read_text(encoding="utf-8"))}
    assert set(commands()) - set(_commands_in(GUIDE)) == set()
    assert mentioned - set(commands()) == set()


def _commands_in(text: str) -> list[str]:
    # In code, not in prose: a line of a block, or between backticks.
    return re.findall(r"(?:^(?:\$ )?|`|\d )tuner ([a-z]+)\b(?![.:])", text, re.MULTILINE)


@pytest.mark.parametrize("title, names", [("Samplers", SAMPLERS), ("Pruners", PRUNERS), ("Outcomes", tuple(Outcome))])
def test_every_name_has_a_row_in_its_table(title: str, names: tuple[str, ...]) -> None:
    assert sorted(first_cells(section(title))) == sorted(names)


@pytest.mark.parametrize("name", ["image", "structured"])
def test_every_option_of_a_space_has_a_row(name: str) -> None:
    # Imports TensorFlow.
    space = getattr(importlib.import_module(f"search_spaces.{name}"), f"{name.title()}Space")
    parameters = set(inspect.signature(space.__init__).parameters) - {"self", "data", "epochs", "batch_size"}
    described = section("Search spaces").partition(f"**`{name}`**")[2].partition("**`")[0]
    assert set(first_cells(described)) == parameters


def test_every_space_is_described() -> None:
    assert all(f"**`{space}`**" in section("Search spaces") for space in SPACES)


def test_the_files_named_are_those_that_are_written(tmp_path: Path) -> None:
    artifacts = StudyArtifacts.at(tmp_path / "tuner-artifacts", "digits", tmp_path)
    text = section("Files")
    assert f"{artifacts.folder.relative_to(tmp_path)}/" in text
    artifacts.put_splits("{}")
    assert {"splits.json"} == {path.name for path in artifacts.folder.iterdir()}
    for path in (artifacts.preflight_log(), artifacts.launcher_log(), artifacts.export_log()):
        assert path.name in text
    model = artifacts.put_model(4, 1, lambda file: file.write_bytes(b"model"))
    resume = artifacts.put_resume(4, 1, 3, lambda file: file.write_bytes(b"state"))
    keys = [model.key, resume.artifact.key, artifacts.log_key(4, 1)]
    for name in ("trials", "00004", "run-001", "best.keras", "resume", "trial.log"):
        assert name in text and any(name in key.split("/") for key in keys)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_relative_links_lead_somewhere(path: Path) -> None:
    prose = re.sub(r"^```.*?^```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    for target in re.findall(r"\]\(([^)\s]+)\)", prose):
        if "://" in target:
            continue
        file, _, anchor = target.partition("#")
        linked = (path.parent / file) if file else path
        assert linked.exists(), target
        if anchor:
            assert anchor in _anchors(linked.read_text(encoding="utf-8")), target


def _anchors(text: str) -> set[str]:
    """As GitHub makes them from headings."""
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_the_python_examples_use_what_the_api_has() -> None:
    names = {name for path in DOCUMENTS for name in re.findall(r"\bapi\.(\w+)", path.read_text(encoding="utf-8"))}
    assert names
    assert {name for name in names if not hasattr(api, name) and name != "py"} == set()


def test_every_yaml_block_is_yaml() -> None:
    for path in DOCUMENTS:
        for block in re.findall(r"^```yaml\n(.*?)^```", path.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE):
            assert isinstance(yaml.safe_load(block), dict), path


@pytest.mark.parametrize("path", sorted(ROOT.glob("examples/*/*.yaml")), ids=lambda path: path.stem)
def test_every_example_is_a_spec(path: Path) -> None:
    assert load_spec(path).study


def test_the_structure_page_has_the_layers_that_are_enforced() -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    layers = setup["importlinter:contract:layers"]["layers"].replace("tuner.", "").split("\n")
    page = (ROOT / "docs/structure.md").read_text(encoding="utf-8")
    assert " > ".join(f"`{layer}`" for layer in layers if layer) in " ".join(page.split())


def test_the_tree_of_the_structure_page_is_that_of_the_project() -> None:
    listed = set(_listed_in_the_tree())
    assert [path for path in sorted(listed) if not list(ROOT.glob(path))] == []
    packages = {f"tuner/{path.name}" for path in (ROOT / "tuner").iterdir() if (path / "__init__.py").is_file()}
    assert packages <= {path.rstrip("*") for path in listed}


def _listed_in_the_tree() -> Iterator[str]:
    """The paths of the page's first block, where two more blanks are one folder further in."""
    page = (ROOT / "docs/structure.md").read_text(encoding="utf-8")
    above: list[str] = []
    for indent, name in re.findall(r"^( *)(\S+)", page.split("```")[1], re.MULTILINE):
        above = [*above[: len(indent) // 2], name.rstrip("/")]
        yield "/".join(above)


def test_the_structure_page_names_whole_paths() -> None:
    page = (ROOT / "docs/structure.md").read_text(encoding="utf-8")
    named = re.findall(r"`([\w.-]+(?:/[\w./-]*|\.(?:py|js|sh|html|json|cfg)))`", page)
    assert len(named) > 100
    assert [name for name in named if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_places_named_exist(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for name in re.findall(r"`((?:tuner|storage|search_spaces|scripts|tests|docs|examples)/[\w./-]*)", text):
        assert (ROOT / name).exists(), name


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_names_of_code_exist(path: Path) -> None:
    for dotted in re.findall(r"`((?:tuner|storage|search_spaces)\.[\w.]+)`", path.read_text(encoding="utf-8")):
        assert _is_code(dotted.split(".")), dotted


def _is_code(parts: list[str]) -> bool:
    """Whether the module exists and defines, or takes from its neighbours, the name that follows."""
    for length in range(len(parts), 0, -1):
        place = ROOT.joinpath(*parts[:length])
        module = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
        if module.is_file():
            source = module.read_text(encoding="utf-8")
            return all(re.search(rf"\b{name}\b", source) for name in parts[length:])
    return False
