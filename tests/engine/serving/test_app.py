"""Where the server may listen, and what is said before it does."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("gradio")

from gan_edit_engine.cli.app import main  # noqa: E402
from gan_edit_engine.cli.install import engine_program  # noqa: E402
from gan_edit_engine.serving.app import Address  # noqa: E402
from gan_edit_engine.serving.keys import Keys  # noqa: E402
from gan_edit_engine.serving.proxy import network_of  # noqa: E402
from gan_edit_protocol.errors import GanEditError  # noqa: E402

KEYS = Keys({"anna": "k" * 43})


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "localhost", "::1"])
def test_this_machine_needs_no_keys(host: str) -> None:
    Address(host).check(None)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.7", "studio.example", "", "localhost.example"])
def test_any_other_address_does_and_says_how_to_make_one(host: str) -> None:
    with pytest.raises(GanEditError) as caught:
        Address(host).check(None)
    assert caught.value.code == "no_keys"
    assert "gan-edit keys" in caught.value.hint
    Address(host).check(KEYS)


def test_behind_a_proxy_keys_are_needed_on_this_machine_too() -> None:
    with pytest.raises(GanEditError, match="Behind a proxy everybody") as caught:
        Address(proxy=network_of("127.0.0.1")).check(None)
    assert caught.value.code == "no_keys"
    Address(proxy=network_of("127.0.0.1")).check(KEYS)


@pytest.mark.slow
def test_the_command_refuses_before_it_starts_an_engine(tmp_path: Path) -> None:
    words = ["serve", "--host", "0.0.0.0", "--connection", str(tmp_path / "engine.json")]
    done = subprocess.run([*engine_program(), *words], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "gan-edit keys" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_without_gradio_it_says_what_to_install() -> None:
    program = "import sys; sys.modules['gradio'] = None; from gan_edit_engine.cli import app; app.main(['serve'])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "gan-edit[serve]" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_certificate_and_its_key_come_together(tmp_path: Path) -> None:
    (tmp_path / "some").write_text("no certificate")
    for certificate, key in ((tmp_path / "some", None), (None, tmp_path / "some")):
        with pytest.raises(GanEditError, match="needs its key"):
            Address(certificate=certificate, key=key).check(KEYS)
    for wrong in (tmp_path / "some", tmp_path / "missing", tmp_path):
        with pytest.raises(GanEditError, match="cannot be used") as caught:
            Address(certificate=wrong, key=wrong).check(KEYS)
        assert caught.value.code == "bad_certificate"


def test_an_address_that_is_taken_or_not_ours_is_named() -> None:
    with Address(port=0).bound() as taken, pytest.raises(GanEditError, match="cannot be listened at"):
        Address(port=taken.getsockname()[1]).bound()
    with pytest.raises(GanEditError, match="cannot be listened at") as caught:
        Address("203.0.113.7").bound()  # of RFC 5737, which no machine has
    assert caught.value.code == "bad_address"


def test_it_listens_at_ipv6_too() -> None:
    if not socket.has_ipv6:
        pytest.skip("this machine has no IPv6")
    try:
        bound = Address("::1", 0).bound()
    except GanEditError:
        pytest.skip("this machine has no IPv6")
    with bound:
        assert bound.family == socket.AF_INET6


def test_keys_that_are_missing_are_named(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["serve", "--token-file", str(tmp_path / "keys")])
    assert ended.value.code == 2
    assert "gan-edit keys --file" in capsys.readouterr().err
