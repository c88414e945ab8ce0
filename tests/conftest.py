"""Fixtures that several rooms' tests share."""

from __future__ import annotations

import os
from pathlib import Path

import hypothesis
import pytest

pytest_plugins = ("leftovers",)

# Deterministic, and without time limits that a busy machine would break.
hypothesis.settings.register_profile("gan-edit", derandomize=True, deadline=None)
hypothesis.settings.load_profile("gan-edit")


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Projections are kept in a folder of the test run; engine processes inherit the variable."""
    os.environ["GAN_EDIT_CACHE_DIR"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def golden() -> Path:
    """Checkpoints written by the official code with what it computed from them; not part of the repository."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "golden"
    if not folder.is_dir():
        pytest.skip("no golden checkpoints beside the repository")
    return folder
