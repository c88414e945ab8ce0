"""A test that leaves something behind fails, whatever it leaves; one that puts all away passes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

# Processes that a test leaves read from the input of the run that is looked at, and end when it is closed.
LEAVES = {
    "the test left behind: thread waits for ever": """
        import threading
        def test_it(): threading.Thread(target=threading.Event().wait, name="waits for ever", daemon=True).start()
    """,
    "the test left behind: process": """
        import subprocess, sys
        kept = []
        def test_it(): kept.append(subprocess.Popen([sys.executable, "-c", "input()"]))
    """,
    "the test left behind: process ": """
        import subprocess, sys
        DETACH = "from subprocess import Popen; Popen([{0!r}, '-c', 'input()'], start_new_session=True).returncode = 0"
        def test_it(): subprocess.run([sys.executable, "-c", DETACH.format(sys.executable)], check=True)
    """,
    "the test left behind: socket": """
        import socket
        kept = []
        def test_it(): kept.append(socket.create_server(("127.0.0.1", 0)))
    """,
    "the test left behind: file": """
        import os, tempfile
        def test_it(): os.close(tempfile.mkstemp()[0])
    """,
    "the test left behind: file ": """
        import pytest, tempfile
        @pytest.fixture
        def folder(): return tempfile.mkdtemp()
        def test_it(folder): pass
    """,
    "the whole run left behind: process": """
        import subprocess, sys, pytest
        kept = []
        @pytest.fixture(scope="module")
        def shared(): kept.append(subprocess.Popen([sys.executable, "-c", "input()"]))
        def test_it(shared): pass
    """,
}
LEAVES_NOTHING = {
    "what it did not make": "def test_it(): pass",
    "what ends by itself": """
        import threading, time
        def test_it(): threading.Thread(target=time.sleep, args=(0.3,)).start()
    """,
    "what is its module's": """
        import subprocess, sys, pytest
        @pytest.fixture(scope="module")
        def shared():
            with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
                yield process
                process.communicate(b"\\n")
        def test_it(shared): assert shared.poll() is None
    """,
    "what it puts away": """
        import socket, subprocess, sys, tempfile, threading
        def test_it():
            with tempfile.NamedTemporaryFile(), socket.create_server(("127.0.0.1", 0)):
                subprocess.run([sys.executable, "-c", ""], check=True)
                thread = threading.Thread(target=print)
                thread.start()
                thread.join()
    """,
}


def run(folder: Path, test: str, grace: float) -> str:
    """What pytest says of a file with ``test``, where what is ending has ``grace`` seconds."""
    patience = f"import leftovers\nleftovers.GRACE_SECONDS = {grace}\n"
    (folder / "test_it.py").write_text(patience + dedent(test), encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-s", "-p", "leftovers", "-p", "no:cacheprovider", "test_it.py"]
    command += ["--rootdir", str(folder), "--basetemp", str(folder / "temp")]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=folder, env=environment, stdin=pipe, stdout=pipe, text=True) as process:
        process.wait()
        process.stdin.close()
        return process.stdout.read()  # until what was left has ended, too


@pytest.mark.parametrize("reason", LEAVES)
def test_what_is_left_fails_the_test(tmp_path: Path, reason: str) -> None:
    said = run(tmp_path, LEAVES[reason], grace=0.1)
    assert reason in said
    assert "1 passed, 1 error" in said


@pytest.mark.parametrize("what", LEAVES_NOTHING)
def test_what_is_put_away_or_shared_does_not(tmp_path: Path, what: str) -> None:
    assert "1 passed in" in run(tmp_path, LEAVES_NOTHING[what], grace=20)
