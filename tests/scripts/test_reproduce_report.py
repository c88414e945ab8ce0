"""The page of the report: that all of it is made, and that its sentences follow the numbers."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import narrow_lpips
from gan_edit_engine.checkpoints import safetensors_file
from gan_edit_engine.generators.dcgan import DCGANConfig
from gan_edit_engine.library.models_folder import MODELS_DIR_VARIABLE
from gan_edit_engine.training.dcgan import new_dcgan
from report.chart import decades, line_chart, ticks
from report.figure import Finding
from report.inversions import _space_findings
from report.page import count

REPOSITORY = Path(__file__).resolve().parents[2]
FIGURES = ("layers", "weights", "spaces", "optimisers", "interpolation", "style", "scribbles", "edit")


class _Bench:
    """As much of a bench as the sentences ask for."""

    class generator:  # noqa: N801 - an attribute of the bench
        spaces = ("z", "w", "w+")


def verdicts(**psnr: float) -> list[bool | None]:
    values = {f"{space}, mean of {count}": psnr[f"{name}{count}"] for space, name in SPACES for count in (1, 10)}
    return [finding.agrees for finding in _space_findings(_Bench(), values)]  # type: ignore[arg-type]


SPACES = (("z", "z"), ("w", "w"), ("w+", "p"))


def test_the_sentence_on_the_spaces_follows_the_numbers() -> None:
    assert verdicts(z1=10, z10=11, w1=15, w10=16, p1=20, p10=22) == [True, True]
    assert verdicts(z1=10, z10=11, w1=15, w10=23, p1=20, p10=19) == [False, False]
    assert verdicts(z1=10, z10=11, w1=15, w10=16, p1=20, p10=20.1) == [True, False], "a tie is no preference"


def test_ticks_are_round_and_enclose_the_values() -> None:
    assert ticks(12.3, 26.8) == [10, 12.5, 15, 17.5, 20, 22.5, 25, 27.5]
    assert ticks(3.0, 3.0)[0] <= 3 <= ticks(3.0, 3.0)[-1]
    assert decades(0.03, 0.9) == [0.02, 0.05, 0.1, 0.2, 0.5, 1.0]


def test_a_line_goes_from_corner_to_corner_of_its_chart() -> None:
    svg = line_chart("Loss <1>", "steps", "loss", {"a": [(0, 1), (10, 0.01)]}, log=True)
    assert "Loss &lt;1&gt;" in svg
    assert 'd="M58.0 34.0L506.0 256.0"' in svg


@pytest.mark.slow
def test_the_whole_page_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(MODELS_DIR_VARIABLE, str(tmp_path / "models"))
    narrow_lpips.install()
    torch.manual_seed(0)
    dcgan, out = tmp_path / "tiny.safetensors", tmp_path / "report"
    safetensors_file.write(dcgan, new_dcgan(DCGANConfig(z_dim=8, channels=(8, 8)), seed=0), {"name": "tiny"})
    command = [sys.executable, str(REPOSITORY / "scripts" / "reproduce_report.py"), "--quick", "--device", "cpu"]
    command += ["--threads", "1", "--dcgan", str(dcgan), "--output", str(out)]
    assert subprocess.run(command, timeout=600, check=False).returncode == 0

    page = (out / "index.html").read_text(encoding="utf-8")
    referenced = set(re.findall(r'src="([^"]+)"', page))
    assert referenced == {file.name for file in out.glob("*.webp")}
    assert len(referenced) > 20
    assert page.count("<svg") == 2

    report = json.loads((out / "report.json").read_text(encoding="utf-8"))
    assert tuple(report["figures"]) == FIGURES
    for name in FIGURES:
        findings = [Finding(**finding) for finding in report["figures"][name]["findings"]]
        assert findings, name
        assert f'id="{name}"' in page
        assert report["figures"][name]["numbers"], name
    assert report["model"]["family"] == "stylegan2"
    assert report["dcgan"]["resolution"] == 16
    spaces = {row["setting"] for row in report["figures"]["spaces"]["numbers"]["model"]}
    assert spaces == {f"{space}, mean of {n}" for space, _ in SPACES for n in (1, 10)}
    assert len(report["figures"]["spaces"]["numbers"]["dcgan"]) == 4
    assert report["figures"]["edit"]["numbers"]["largest_change_outside"] == 0
    assert str(tmp_path) not in page + json.dumps(report), "no paths of this machine"


def test_the_page_counts_only_what_the_report_claims() -> None:
    class _Figure:
        findings = (Finding(True, ""), Finding(False, ""), Finding(None, ""))

    assert count([_Figure()]) == "Claims of the report that hold here: 1 of the 2 that could be compared."  # type: ignore[list-item]
