"""Fixtures that several rooms' tests share."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import Any

import hypothesis
import pytest

pytest_plugins = ("leftovers",)

# Nothing that the tests start reports to anybody.
os.environ.update(HF_HUB_DISABLE_TELEMETRY="1", GRADIO_ANALYTICS_ENABLED="False")

# Deterministic, and without time limits that a busy machine would break.
hypothesis.settings.register_profile("gan-edit", derandomize=True, deadline=None)
hypothesis.settings.load_profile("gan-edit")


NO_GOLDENS = "compared with official goldens, and ../shared is not there"


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Projections are kept in a folder of the test run, as is what torch compiles; engine processes inherit it."""
    os.environ["GAN_EDIT_CACHE_DIR"] = str(tmp_path_factory.mktemp("cache"))
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(tmp_path_factory.mktemp("compiled"))


@pytest.fixture(scope="session")
def golden() -> Path:
    """Checkpoints written by the official code with what it computed from them; not part of the repository."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "golden"
    if not folder.is_dir():
        pytest.skip(NO_GOLDENS)
    return folder


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The files that take longest first, so that where several are run at a time none is left alone at the end."""
    slow = Counter(item.path for item in items if item.get_closest_marker("slow"))
    items.sort(key=lambda item: slow[item.path], reverse=True)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Says how many tests were skipped for want of what, however little is printed otherwise."""
    skipped = terminalreporter.stats.get("skipped", ())
    reasons = Counter(report.longrepr[2].removeprefix("Skipped: ") for report in skipped)
    for reason, count in reasons.items():
        tests = "1 test was" if count == 1 else f"{count} tests were"
        terminalreporter.write_line(f"{tests} skipped: {reason}", yellow=True, bold=True)
