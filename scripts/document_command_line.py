#!/usr/bin/env python3
"""Write docs/command-line.md from the commands themselves; with --check, fail when the file is stale."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import typer
from typer.main import get_command

from gan_edit_engine.cli import app as cli
from gan_edit_engine.cli import models as models_cli

PAGE = Path(__file__).resolve().parents[1] / "docs" / "command-line.md"
HEAD = """# The command line

Written by `scripts/document_command_line.py` from the program's own help; do not edit.

Errors are one line on standard error. Exit codes: 0 done, 1 the engine failed, 2 the input is wrong, 130 cancelled.
"""


def page() -> str:
    """The whole page in Markdown."""
    parts = [HEAD]
    for name, command in commands_of(cli.app):
        parts.append(describe(f"gan-edit {name}", command))
        if name == "models":
            parts += [describe(f"gan-edit models {n}", c) for n, c in commands_of(models_cli.app)]
    for name, kind in cli.SETTINGS_OF.items():
        parts.append(settings_table(f"## Settings of `gan-edit {name}`", kind.specs()))
    return "\n".join(parts)


def commands_of(app: typer.Typer) -> list[tuple[str, Any]]:
    """The names and commands of a program that has several."""
    group: Any = get_command(app)
    return list(group.commands.items())


def describe(title: str, command: Any) -> str:
    """One command: usage, what it does, and a table of its options."""
    arguments = [param for param in command.params if param.param_type_name == "argument"]
    options = [param for param in command.params if param.param_type_name == "option"]
    usage = " ".join([title, *(argument.metavar() for argument in map(Parameter, arguments))])
    rows = [Parameter(param).row() for param in [*arguments, *options]]
    table = ["| | default | |", "|---|---|---|", *rows] if rows else []
    return "\n".join([f"## `{usage}`", "", str(command.help).strip(), "", *table, ""])


class Parameter:
    """What the table says of one argument or option."""

    def __init__(self, param: Any) -> None:
        self._param = param

    def metavar(self) -> str:
        """How the usage line names an argument."""
        return str(self._param.metavar or self._param.name.upper())

    def row(self) -> str:
        """A line of the table."""
        param = self._param
        if param.param_type_name == "argument":
            spelling = self.metavar()
        elif param.is_flag:
            spelling = param.opts[0]
        else:
            spelling = f"{param.opts[0]} {param.metavar or param.name.upper()}"
        given = isinstance(param.default, (str, int, float)) and param.default not in (False, "")
        default = "required" if param.required else f"`{param.default}`" if given else ""
        return f"| `{spelling}` | {default} | {param.help} |"


def settings_table(title: str, specs: tuple[Any, ...]) -> str:
    """The settings of one command, as --set takes them."""
    rows = [f"| `{s.name}` | `{s.default}` | {s.range} | {s.help} |" for s in specs]
    return "\n".join([title, "", "| setting | default | range | meaning |", "|---|---|---|---|", *rows, ""])


def main() -> None:
    text = page()
    if "--check" not in sys.argv:
        PAGE.write_text(text, encoding="utf-8")
    elif PAGE.read_text(encoding="utf-8") != text:
        sys.exit(f"{PAGE.name} is stale; write it again with: python scripts/document_command_line.py")


if __name__ == "__main__":
    main()
