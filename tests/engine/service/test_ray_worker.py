"""Workers on a Ray cluster: an engine with a real one of this machine, whose actors compute something small."""

from __future__ import annotations

import http.server
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import ray_computer
import ray_engine
from engine_process import EngineProcess, wait_for
from ray_computer import LONG, QUICK, TOO_LARGE

from gan_edit_engine.cli.install import engine_program
from gan_edit_engine.service import ray_worker
from gan_edit_protocol import connection, wire
from gan_edit_protocol.errors import GanEditError
from gan_edit_protocol.events import Cancelled, Event, Failed, FramesReady, Progress
from gan_edit_protocol.requests import CancelRequest, RandomRequest
from gan_edit_protocol.settings import RandomSettings
from gan_edit_protocol.transport import SocketTransport

SECONDS = 60.0


class Engine:
    """The engine, one client of it, and the marks that its jobs leave."""

    def __init__(
        self, folder: Path, scratch: Path, device: str = "simulated", computer: str = "ray_computer:Computer"
    ) -> None:
        self._marks = folder / "marks"
        self._marks.mkdir()
        environment = {
            "RAY_TMPDIR": str(scratch),
            ray_computer.MARKS: str(self._marks),
            "PYTHONPATH": str(Path(ray_computer.__file__).parent),
        }
        self.process = EngineProcess(
            folder, device, computer, environment=environment, script=Path(ray_engine.__file__)
        )
        self.process.wait_until_ready()
        self._transport = SocketTransport(connection.read(self.process.file))

    def ask(self, seed: int) -> str:
        job = uuid.uuid4().hex
        self._transport.send(wire.encode(job, RandomRequest(settings=RandomSettings(seed=seed))))
        return job

    def cancel(self, job: str) -> None:
        self._transport.send(wire.encode(uuid.uuid4().hex, CancelRequest(job)))

    def hear(self, job: str, *kinds: type) -> Event:
        """The next event of ``job`` of one of these kinds."""
        for _ in range(int(SECONDS * 10)):
            came = self._transport.receive(0.1)
            if came is None:
                continue
            sender, event = wire.decode_event(came)
            if sender == job and isinstance(event, kinds):
                return event
        raise AssertionError(f"nothing came: {self.process.log}")

    def end_of(self, job: str) -> Event:
        return self.hear(job, FramesReady, Failed, Cancelled)

    def begun(self, job: str) -> list[int]:
        """The processes that have begun it."""
        return list(map(int, (self._marks / job).read_text().split()))

    def end(self) -> None:
        self._transport.close()
        self.process.end()


@pytest.fixture(scope="module")
def scratch() -> Iterator[Path]:
    """For Ray's sockets, whose paths must be short."""
    folder = tempfile.mkdtemp(prefix="ray", dir="/tmp")
    yield Path(folder)
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory, scratch: Path) -> Iterator[Engine]:
    made = Engine(tmp_path_factory.mktemp("engine"), scratch)
    made.end_of(made.ask(QUICK))
    yield made
    made.end()


# Before there is an engine here, whose cluster Ray would find.
@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("ray://head:10001", "cannot work through Ray's client port"),
        ("nonsense", "cannot be joined"),
        ("127.0.0.1:1", "cannot be joined (no Ray answers there)"),
        ("auto", "cannot be joined"),
    ],
)
def test_a_cluster_that_is_none_is_named(tmp_path: Path, address: str, words: str) -> None:
    done = subprocess.run(
        [*engine_program(), "engine", "--connection", str(tmp_path / "engine.json"), "--ray", address],
        env={**os.environ, "RAY_TMPDIR": str(tmp_path)},  # where none was started
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_actors_compute_and_say_how_far_they_are(engine: Engine) -> None:
    job = engine.ask(QUICK)
    assert engine.hear(job, Progress) == Progress("Working", 1, 2, 0.5)
    ended = engine.end_of(job)
    assert isinstance(ended, FramesReady)
    assert engine.begun(job) == [ended.seed]


def test_a_running_job_is_cancelled_and_the_actor_goes_on(engine: Engine) -> None:
    jobs = [engine.ask(LONG), engine.ask(LONG)]
    for job in jobs:
        engine.hear(job, Progress)
    before = {pid for job in jobs for pid in engine.begun(job)}
    assert len(before) == 2
    engine.cancel(jobs[1])
    assert engine.end_of(jobs[1]) == Cancelled()
    engine.cancel(jobs[0])
    assert engine.end_of(jobs[0]) == Cancelled()
    next_one = engine.ask(QUICK)
    engine.end_of(next_one)
    assert set(engine.begun(next_one)) <= before


def test_a_killed_actors_job_fails_is_not_done_again_and_ray_starts_the_actor_anew(engine: Engine) -> None:
    jobs = [engine.ask(LONG), engine.ask(LONG)]
    for job in jobs:
        engine.hear(job, Progress)
    waiting = engine.ask(QUICK)
    (killed,) = engine.begun(jobs[0])
    os.kill(killed, signal.SIGKILL)
    failed = engine.end_of(jobs[0])
    assert isinstance(failed, Failed)
    assert failed.code == "worker_died"
    assert isinstance(engine.end_of(waiting), FramesReady)
    assert len(engine.begun(jobs[0])) == len(engine.begun(jobs[1])) == 1
    (anew,) = engine.begun(waiting)
    assert anew not in (killed, *engine.begun(jobs[1]))
    engine.cancel(jobs[1])
    assert engine.end_of(jobs[1]) == Cancelled()


def test_the_death_of_an_actor_that_waits_is_noticed_before_a_job_asks_for_it(engine: Engine) -> None:
    first = engine.ask(QUICK)
    engine.end_of(first)
    (idle,) = engine.begun(first)
    before = engine.process.log.count("is gone")
    os.kill(idle, signal.SIGKILL)
    wait_for(lambda: engine.process.log.count("is gone") > before, seconds=SECONDS)
    busy = engine.ask(LONG), engine.ask(LONG)
    for job in busy:
        engine.hear(job, Progress)
        assert idle not in engine.begun(job)
    for job in busy:
        engine.cancel(job)
        engine.end_of(job)


def test_an_actor_whose_memory_was_full_is_made_anew(engine: Engine) -> None:
    too_large = engine.ask(TOO_LARGE)
    failed = engine.end_of(too_large)
    assert isinstance(failed, Failed)
    assert failed.code == "out_of_memory"
    busy = engine.ask(LONG), engine.ask(LONG)
    for job in busy:
        engine.hear(job, Progress)
    assert not set(engine.begun(too_large)) & {pid for job in busy for pid in engine.begun(job)}
    for job in busy:
        engine.cancel(job)
        engine.end_of(job)


def test_an_actor_that_does_not_hear_a_cancellation_is_replaced(engine: Engine) -> None:
    job = engine.ask(ray_computer.DEAF)
    engine.hear(job, Progress)
    (deaf,) = engine.begun(job)
    engine.cancel(job)
    assert engine.end_of(job) == Cancelled()
    wait_for(lambda: not psutil.pid_exists(deaf), seconds=SECONDS)
    jobs = engine.ask(LONG), engine.ask(LONG)
    for job in jobs:
        engine.hear(job, Progress)
    for job in jobs:
        engine.cancel(job)
        engine.end_of(job)


def test_a_device_that_does_not_work_is_named(tmp_path: Path, scratch: Path) -> None:
    broken = Engine(tmp_path, scratch, device="broken")
    try:
        failed = broken.hear(broken.ask(QUICK), Failed)
        assert failed == Failed("bad_device", "The device 'broken' cannot be used.", "Take another.")
    finally:
        broken.end()


def test_a_machine_without_the_engine_is_named(tmp_path: Path, scratch: Path) -> None:
    """The actors of a cluster whose machines lack the package cannot be made, as often as it is tried."""
    missing = Engine(tmp_path, scratch, computer="no_such_module:Computer")
    try:
        failed = missing.hear(missing.ask(QUICK), Failed)
        assert isinstance(failed, Failed)
        assert failed.code == "worker_start"
        assert "No module named 'no_such_module'" in failed.message
    finally:
        missing.end()


def test_an_address_of_something_else_is_named() -> None:
    """Ray itself waits there for minutes."""
    server = http.server.HTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        with pytest.raises(GanEditError, match="no Ray answers there"):
            ray_worker.join(f"127.0.0.1:{server.server_port}")
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.slow
def test_the_command_computes_on_a_cluster_what_it_computes_without(tmp_path: Path, scratch: Path) -> None:
    request = RandomRequest(settings=RandomSettings(seed=7))
    environment = {"RAY_TMPDIR": str(scratch), "OMP_NUM_THREADS": "1"}  # more of them add in another order
    images = []
    for name, options in (("plain", ()), ("ray", ("--ray", "local", "--cpus-per-worker", "0.5", "--workers", "auto"))):
        folder = tmp_path / name
        folder.mkdir()
        engine = EngineProcess(folder, *options, environment=environment).wait_until_ready()
        try:
            with engine.client() as client:
                result = client.run(request)
                images.append(result.image)
                workers = client.status().workers
        finally:
            engine.end()
    assert images[0] == images[1]
    assert len(workers) == 2 * (os.cpu_count() or 1)
    assert workers[0].device == "cpu"


def test_without_ray_the_package_to_install_is_named() -> None:
    code = "import sys; sys.modules['ray'] = None; from gan_edit_engine.service.ray_worker import join; join('auto')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "Ray is not installed. pip install 'gan-edit[ray]'" in done.stderr


def test_nothing_is_reported_to_its_makers(engine: Engine) -> None:
    """Its processes have the switch, from which Ray's own code decides."""
    children = psutil.Process(engine.process.process.pid).children(recursive=True)
    rays = [each for each in children if "raylet" in each.name() or "gcs_server" in each.name()]
    assert rays
    assert all(each.environ()["RAY_USAGE_STATS_ENABLED"] == "0" for each in rays)
