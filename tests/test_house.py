"""The house stays one that can be walked through. Which room may import which, `lint-imports` says."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ENGINE = ROOT / "engine" / "gan_edit_engine"
BUILDINGS = (ENGINE, ROOT / "protocol" / "gan_edit_protocol", ROOT / "gimp_plugin" / "gan-edit")
FILES = [file for building in BUILDINGS for file in sorted(building.rglob("*.py"))]
LINES, PARAMETERS = 350, 5
CALLED_BY_GIMP = {"run"}


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_a_module_is_read_in_one_go_and_its_functions_take_few_things(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= LINES
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_") and node.name not in CALLED_BY_GIMP:
            # A command's parameters are options: they have names where it is called.
            given = [each for each in _parameters(node) if not _is_option(each)]
            assert len(given) <= PARAMETERS, f"{node.name} takes {len(given)} parameters"


def test_the_engine_is_rooms_and_nothing_lies_in_front_of_them() -> None:
    assert {file.name for file in ENGINE.glob("*.py")} <= {"__init__.py", "__main__.py"}


def _parameters(function: ast.FunctionDef) -> list[ast.arg]:
    every = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
    return [each for each in every if each.arg not in ("self", "cls")]


def _is_option(parameter: ast.arg) -> bool:
    text = "" if parameter.annotation is None else ast.unparse(parameter.annotation)
    return "typer." in text or text in OPTION_TYPES


OPTION_TYPES = {
    name
    for file in (ENGINE / "cli").glob("*.py")
    for node in ast.parse(file.read_text(encoding="utf-8")).body
    if isinstance(node, ast.Assign) and "typer." in ast.unparse(node.value)
    for target in node.targets
    for name in [ast.unparse(target)]
}
"""Names such as ModelName, each an Annotated[…, typer.Option(…)]."""
