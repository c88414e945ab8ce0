"""Photos go on together, are tried again where an engine failed them, and none is lost or done twice."""

from __future__ import annotations

import collections
import threading
import time
from typing import Any

import pytest
from batch.many import FakeEngine, Run

from gan_edit_engine.batch import driver
from gan_edit_engine.batch.jobs import Job
from gan_edit_engine.batch.report import Line, UnwritableError
from gan_edit_protocol.errors import EngineUnavailableError, GanEditError, JobCancelledError, JobFailedError

DONE: Line = {"task": "project"}


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver, "_AGAIN_SECONDS", 0.02)
    monkeypatch.setattr(driver, "_CROWDED_SECONDS", 0.02)


class Failing:
    """Computes a photo, but raises ``error`` the first ``times`` that one ``of`` the names comes."""

    def __init__(self, error: Exception, times: int, of: str = "") -> None:
        self._error, self._times, self._of = error, times, of
        self.came: collections.Counter[str] = collections.Counter()

    def __call__(self, job: Job) -> Line:
        self.came[job.name] += 1
        if self._of in ("", job.name) and self.came[job.name] <= self._times:
            raise self._error
        return DONE


def each_once(run: Run, count: int) -> bool:
    return collections.Counter(name for name, _ in run.kept) == {f"{n}.jpg": 1 for n in range(count)}


def test_as_many_photos_are_at_the_engine_as_it_has_workers_and_one_waits() -> None:
    engine, enough = FakeEngine(workers=3), threading.Event()

    def compute(job: Job) -> Line:
        if engine.most == 4:
            enough.set()
        enough.wait(10)
        return DONE

    run = Run(engine, compute)
    tally = run.run(40)
    assert engine.most == 4
    assert each_once(run, 40)
    assert (tally.done, tally.failed, tally.now) == (40, 0, 40)


def test_workers_that_come_later_get_photos_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver, "_COUNT_SECONDS", 0.0)
    engine, enough = FakeEngine(workers=1), threading.Event()

    def compute(job: Job) -> Line:
        engine.workers = 3
        if engine.most == 4:
            enough.set()
        if job.name not in ("0.jpg", "1.jpg"):
            enough.wait(10)
        return DONE

    run = Run(engine, compute)
    run.run(40)
    assert engine.most == 4
    assert each_once(run, 40)


@pytest.mark.parametrize("code", ["worker_died", "worker_start", "engine_shutdown", "out_of_memory"])
def test_what_a_worker_failed_is_tried_again_and_recorded_once(code: str) -> None:
    run = Run(FakeEngine(2), Failing(JobFailedError(code, "It died."), driver.TRIES - 1))
    run.run(12)
    assert each_once(run, 12)
    assert all("error" not in line for _, line in run.kept)


def test_a_photo_that_kills_every_worker_becomes_one_line_and_the_others_go_on() -> None:
    compute = Failing(JobFailedError("worker_died", "It died.", "Try again."), 99, of="3.jpg")
    run = Run(FakeEngine(), compute)
    tally = run.run(8)
    assert each_once(run, 8)
    assert compute.came["3.jpg"] == driver.TRIES
    assert dict(run.kept)["3.jpg"] == {"error": "worker_died", "message": "It died.", "hint": "Try again."}
    assert (tally.done, tally.failed) == (7, 1)


@pytest.mark.parametrize("error", [GanEditError("bad_image", "It is damaged."), ValueError("a surprise")])
def test_a_bad_photo_is_not_tried_again(error: Exception) -> None:
    compute = Failing(error, 99, of="0.jpg")
    run = Run(FakeEngine(), compute)
    tally = run.run(3)
    assert compute.came["0.jpg"] == 1
    assert each_once(run, 3)
    assert tally.failed == 1


@pytest.mark.parametrize("code", ["too_many_jobs", "queue_full"])
def test_an_engine_that_takes_fewer_gets_fewer_and_fails_none(code: str) -> None:
    engine = FakeEngine(workers=8)

    def compute(job: Job) -> Line:
        if engine._inside > 2:
            raise JobFailedError(code, "It is full.")
        time.sleep(0.002)
        return DONE

    run = Run(engine, compute)
    tally = run.run(60)
    assert each_once(run, 60)
    assert tally.failed == 0


def test_an_engine_that_ends_is_connected_to_again_and_its_photos_are_done_there() -> None:
    engine = FakeEngine(workers=2)

    def compute(job: Job) -> Line:
        if engine.connections == 1 and job.name == "5.jpg":
            engine.gone = True
            threading.Timer(0.1, lambda: setattr(engine, "gone", False)).start()
        if engine.gone:
            raise EngineUnavailableError("It has ended.")
        return DONE

    run = Run(engine, compute)
    run.run(20)
    assert engine.connections > 1
    assert each_once(run, 20)
    assert all(line == DONE for _, line in run.kept)
    assert any("waiting" in state for state in run.states)


def test_a_photo_that_never_came_to_the_engine_that_ended_was_not_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver, "TRIES", 1)
    recorded = threading.Event()

    class Reading(Run):
        def make(self, job: Job, *more: Any) -> Line:
            if job.name != "0.jpg":
                recorded.wait(10)  # being read while the engine ends
            return super().make(job, *more)

        def keep(self, job: Job, line: Line) -> None:
            super().keep(job, line)
            recorded.set()

    engine = FakeEngine()
    run = Reading(engine, Failing(EngineUnavailableError("It has ended."), 1, of="0.jpg"))
    tally = run.run(4)
    assert engine.connections == 2
    assert each_once(run, 4)
    assert (tally.done, tally.failed) == (3, 1)


def test_without_an_engine_at_the_start_nothing_is_waited_for() -> None:
    engine = FakeEngine()
    engine.gone = True
    with pytest.raises(EngineUnavailableError):
        Run(engine, lambda job: DONE).run(3)
    assert engine.connections == 1


def test_an_engine_that_never_comes_back_ends_the_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver, "PATIENCE_SECONDS", 0.05)
    engine = FakeEngine()

    def compute(job: Job) -> Line:
        engine.gone = job.name == "2.jpg"
        if engine.gone:
            raise EngineUnavailableError("It has ended.")
        return DONE

    run = Run(engine, compute)
    with pytest.raises(EngineUnavailableError):
        run.run(9)
    assert all(line == DONE for _, line in run.kept)


def test_a_cancelled_batch_keeps_what_is_done_and_leaves_nothing_under_way() -> None:
    begun = threading.Event()

    def compute(job: Job) -> Line:
        if job.name == "4.jpg":
            run.cancelled = True
            begun.set()
        elif int(job.name.split(".")[0]) > 4:
            begun.wait(10)
            raise JobCancelledError
        return DONE

    run = Run(FakeEngine(), compute)
    with pytest.raises(JobCancelledError):
        run.run(500)
    names = [name for name, _ in run.kept]
    assert "4.jpg" in names  # what was finished is kept, cancelled or not
    assert len(names) == len(set(names)) < 500
    assert all(line == DONE for _, line in run.kept)


def test_a_job_that_somebody_else_cancelled_is_tried_again() -> None:
    run = Run(FakeEngine(), Failing(JobCancelledError(), 1))
    run.run(5)
    assert each_once(run, 5)
    assert all(line == DONE for _, line in run.kept)


def test_a_folder_that_cannot_be_written_to_ends_the_batch_and_fails_no_photo() -> None:
    run = Run(FakeEngine(), Failing(UnwritableError("bad_output", "The disk is full."), 1, of="3.jpg"))
    with pytest.raises(GanEditError, match="disk is full"):
        run.run(50)
    assert "3.jpg" not in dict(run.kept)
    assert all(line == DONE for _, line in run.kept)


def test_a_report_that_cannot_be_written_to_ends_the_batch() -> None:
    run = Run(FakeEngine(), lambda job: DONE)

    def keep(job: Job, line: Line) -> None:
        if len(run.kept) == 3:
            raise GanEditError("bad_output", "The disk is full.")
        run.kept.append((job.name, line))

    run.keep = keep  # type: ignore[method-assign]
    with pytest.raises(GanEditError, match="disk is full"):
        run.run(50)
    assert len(run.kept) == 3
