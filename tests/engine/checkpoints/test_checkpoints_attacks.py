"""Harmful and broken model files: each is refused in one line that names it; nothing runs, memory stays bounded."""

from __future__ import annotations

import pickle
import resource
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from attacks import CODE_ATTACKS, SIZE_ATTACKS, WRONG_FILES, sizes
from attacks.build import Builder
from snapshots import small_stylegan2

from gan_edit_engine.checkpoints import CheckpointError, read_discriminator, read_generator
from gan_edit_engine.cli import app as cli

# ru_maxrss is in kilobytes on Linux and in bytes on macOS.
KILOBYTE = 1 if sys.platform == "linux" else 1024
# The largest attacks make half a million small objects or come as 200 MB; believing any claim would take gigabytes.
MEMORY_LIMIT = 400 * 1024 * KILOBYTE


def refused(path: Path) -> CheckpointError:
    with pytest.raises(CheckpointError) as caught:
        read_generator(path)
    assert path.name in caught.value.message
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500
    with pytest.raises(CheckpointError):
        read_discriminator(path)
    return caught.value


@pytest.mark.parametrize("build", CODE_ATTACKS, ids=lambda build: build.__name__)
@pytest.mark.parametrize("suffix", [".pkl", ".pt"])
def test_nothing_in_a_file_is_executed(build: Builder, suffix: str, tmp_path: Path) -> None:
    path, canary = tmp_path / f"attack{suffix}", tmp_path / "canary"
    build(path, canary)
    refused(path)
    assert not canary.exists()


@pytest.mark.parametrize("build", SIZE_ATTACKS, ids=lambda build: build.__name__)
def test_memory_is_bounded_whatever_a_file_claims(build: Builder, tmp_path: Path) -> None:
    path = tmp_path / "attack.pkl"
    build(path, tmp_path / "canary")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    refused(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MEMORY_LIMIT


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (sizes.copies_of_one_text, "copies more data than the file has"),
        (sizes.dictionaries_of_one_list, "more instructions than any model needs"),
        (sizes.sets_of_one_list, "more instructions than any model needs"),
        (sizes.inner_streams_of_the_same_bytes, "more instructions than any model needs"),
        (sizes.variables_that_are_all_the_same_array, "claim more data than the file has"),
        (sizes.modules_with_endless_names, "is damaged"),
        (sizes.keys_of_the_same_hash, "uses a int as a key"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_a_file_has_counts_once_however_often_it_refers_to_it(
    body: Callable[[Path], bytes], reason: str, tmp_path: Path
) -> None:
    (tmp_path / "attack.pkl").write_bytes(body(tmp_path / "canary"))
    assert reason in refused(tmp_path / "attack.pkl").reason


def test_what_an_honest_file_shares_is_read(tmp_path: Path) -> None:
    """Tied weights, and one small filter under the name of every layer."""
    generator = small_stylegan2()
    state = generator.state_dict()
    one = state["synthesis.b4.resample_filter"]
    shared = {name: one if name.endswith("resample_filter") else value for name, value in state.items()}
    torch.save({"state_dict": shared, "generator": shared}, tmp_path / "m.pt")
    assert read_generator(tmp_path / "m.pt")[0].resolution == 16


@pytest.mark.parametrize("build", WRONG_FILES, ids=lambda build: build.__name__)
def test_a_wrong_file_is_refused_by_name_with_the_reason(build: Builder, tmp_path: Path) -> None:
    path = tmp_path / "wrong.pkl"
    build(path, tmp_path / "canary")
    assert refused(path).reason


def test_the_canary_works(tmp_path: Path) -> None:
    """The attacks are real: Python's own unpickler executes the first of them."""
    path, canary = tmp_path / "attack.pkl", tmp_path / "canary"
    CODE_ATTACKS[0](path, canary)
    pickle.loads(path.read_bytes())
    assert canary.exists()


def test_a_forbidden_global_is_named(tmp_path: Path) -> None:
    CODE_ATTACKS[0](tmp_path / "attack.pkl", tmp_path / "canary")
    assert "'os.system'" in refused(tmp_path / "attack.pkl").reason


@pytest.mark.parametrize("name", ["sg2ada_resnet_32.pkl", "tf_sg2_32.pkl", "rosinality_trained_32.pt", "sg3r_32.pkl"])
def test_a_truncated_checkpoint_is_refused_wherever_it_ends(golden: Path, tmp_path: Path, name: str) -> None:
    content = (golden / name).read_bytes()
    path = tmp_path / name
    for part in (0.001, 0.1, 0.3, 0.5, 0.9, 0.999):
        path.write_bytes(content[: int(len(content) * part)])
        refused(path)
    path.write_bytes(content[:-1])
    refused(path)


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    refused(tmp_path / "missing.pkl")
    refused(tmp_path)


@pytest.mark.parametrize("build", [CODE_ATTACKS[0], SIZE_ATTACKS[0], WRONG_FILES[1]], ids=lambda build: build.__name__)
def test_the_command_line_ends_with_code_2_and_one_line(
    build: Builder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "attack.pkl"
    build(path, tmp_path / "canary")
    with pytest.raises(SystemExit) as ended:
        cli.main(["models", "info", str(path)])
    assert ended.value.code == 2
    error = capsys.readouterr().err
    assert "attack.pkl" in error
    assert error.count("\n") == 1
    assert not (tmp_path / "canary").exists()
