"""The tests run in an environment that was not made for them, with what else is installed there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1] / "pyproject.toml"
PLUGIN = """
import warnings

def pytest_configure():
    warnings.warn("Benchmarks are automatically disabled because xdist plugin is active.")
"""


def test_a_plugin_that_warns_of_several_tests_at_a_time_does_not_end_the_run(tmp_path: Path) -> None:
    installed = tmp_path / "installed"
    (installed / "pytest_benchmark-5.0.dist-info").mkdir(parents=True)
    described = installed / "pytest_benchmark-5.0.dist-info"
    (described / "METADATA").write_text("Metadata-Version: 2.1\nName: pytest-benchmark\nVersion: 5.0\n")
    (described / "entry_points.txt").write_text("[pytest11]\nbenchmark = warning_plugin\n")
    (installed / "warning_plugin.py").write_text(PLUGIN)
    (tmp_path / "test_it.py").write_text("def test_it(): pass\n")
    command = [sys.executable, "-m", "pytest", "-c", PROJECT, "--rootdir", tmp_path, "-p", "no:cacheprovider"]
    command += ["--basetemp", tmp_path / "temp", "test_it.py"]
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    run = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert "1 passed in" in run.stdout, run.stdout + run.stderr
