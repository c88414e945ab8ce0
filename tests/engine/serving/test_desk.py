"""Jobs at the desk, without an engine: what is kept for whom, and for how long."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from engine_process import wait_for

from gan_edit_engine.serving import desk as desks
from gan_edit_engine.serving.desk import Desk
from gan_edit_engine.serving.limits import Limits
from gan_edit_protocol.errors import GanEditError, JobFailedError
from gan_edit_protocol.events import Accepted, Cancelled, Failed, Notice, Progress

MakeDesk = Callable[..., Desk]


class NoClient:
    def __enter__(self) -> NoClient:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    @contextmanager
    def shared(self) -> Iterator[Callable[[], NoClient]]:
        yield NoClient


@pytest.fixture
def make_desk(tmp_path: Path) -> Iterator[MakeDesk]:
    made: list[Desk] = []

    def make(limits: Limits = Limits(), connect: Callable[[], Any] = NoClient) -> Desk:  # noqa: B008 - it is frozen
        made.append(Desk(connect, tmp_path, limits))
        return made[-1]

    yield make
    for desk in made:
        desk.close()
        assert not desk._threads


def runs_until_cancelled(client: Any, cancel: Callable[[], bool]) -> Iterator[Any]:
    yield Progress("at work", 1, 2, 0.0)
    pause = threading.Event()
    while not cancel():
        pause.wait(0.01)
        yield None
    yield Cancelled()


def test_a_job_is_begun_once_however_often_it_is_asked_for(make_desk: MakeDesk) -> None:
    desk, begun = make_desk(), []

    def work(client: Any, cancel: Callable[[], bool]) -> Iterator[Any]:
        begun.append(client)
        yield Accepted(0)
        yield None
        yield Cancelled()

    jobs = [desk.take("anna", "key", work) for _ in range(5)]
    assert all(job is jobs[0] for job in jobs)
    wait_for(lambda: jobs[0].ended is not None)
    assert desk.take("anna", "key", work) is jobs[0]
    assert len(begun) == 1
    assert jobs[0].after(0) == [(1, Accepted(0)), (2, Cancelled())]
    assert jobs[0].after(1) == [(2, Cancelled())]


def test_a_sentence_is_still_there_when_a_long_job_is_far_beyond_it(make_desk: MakeDesk) -> None:
    said = Notice("What the model sees does not look like what it knows.", "Choose another model.")

    def work(client: Any, cancel: Callable[[], bool]) -> Iterator[Any]:
        yield Accepted(0)
        yield said
        yield from (Progress("at work", step, 1000, 0.0) for step in range(1000))
        yield Cancelled()

    job = make_desk().take("anna", "key", work)
    wait_for(lambda: job.ended is not None)
    told = job.after(0)
    assert told[0] == (2, said)
    assert [number for number, _ in told[1:]] == list(range(987, 1004))
    assert told[-1][1] == Cancelled()


def test_a_job_is_its_visitors_own(make_desk: MakeDesk) -> None:
    desk = make_desk()
    desk.take("anna", "key", runs_until_cancelled)
    for ask in (lambda: desk.find("ben", "key"), lambda: desk.take("ben", "key", runs_until_cancelled)):
        with pytest.raises(GanEditError) as caught:
            ask()
        assert caught.value.code == "unknown_job"


def test_a_visitor_has_so_many_at_once_and_the_others_theirs(make_desk: MakeDesk) -> None:
    desk = make_desk(Limits(jobs=2))
    first = desk.take("anna", "1", runs_until_cancelled)
    desk.take("anna", "2", runs_until_cancelled)
    with pytest.raises(GanEditError, match="2 of your jobs") as caught:
        desk.take("anna", "3", runs_until_cancelled)
    assert caught.value.code == "too_many_jobs"
    desk.take("ben", "3b", runs_until_cancelled)
    first.cancel()
    wait_for(lambda: first.ended is not None)
    assert first.after(1) == [(2, Cancelled())]
    desk.take("anna", "3", runs_until_cancelled)


def test_a_job_that_takes_too_long_is_ended_and_says_so(make_desk: MakeDesk) -> None:
    job = make_desk(Limits(seconds=0.05)).take("anna", "key", runs_until_cancelled)
    wait_for(lambda: job.ended is not None)
    assert job.after(1)[0][1].code == "too_long"


def test_a_job_that_nobody_listens_to_is_ended(make_desk: MakeDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desks, "ABANDONED_SECONDS", 0.3)
    desk = make_desk()
    heard = desk.take("anna", "heard", runs_until_cancelled)
    left = desk.take("anna", "left", runs_until_cancelled)
    wait_for(lambda: bool(heard.after(0)) and left.ended is not None)
    assert heard.ended is None


@pytest.mark.parametrize(
    ("error", "code"),
    [(JobFailedError("no_face", "There is none."), "no_face"), (RuntimeError("/secret/path"), "internal_error"),
     (MemoryError(), "out_of_memory")],
)  # fmt: skip
def test_whatever_fails_becomes_one_sentence(make_desk: MakeDesk, error: Exception, code: str) -> None:
    def work(client: Any, cancel: Callable[[], bool]) -> Iterator[Any]:
        yield Accepted(0)
        raise error

    job = make_desk().take("anna", "key", work)
    wait_for(lambda: job.ended is not None)
    failed = job.after(1)[0][1]
    assert isinstance(failed, Failed)
    assert failed.code == code
    assert "secret" not in failed.message + failed.hint


def test_no_engine_is_a_failure_of_the_job(make_desk: MakeDesk) -> None:
    def connect() -> Any:
        raise GanEditError("engine_unavailable", "It has ended.")

    job = make_desk(connect=connect).take("anna", "key", runs_until_cancelled)
    wait_for(lambda: job.ended is not None)
    assert job.after(0)[0][1].code == "engine_unavailable"


def test_what_has_ended_is_kept_for_a_while_with_its_files(
    make_desk: MakeDesk, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(desks, "_SWEEP_SECONDS", 0.02)
    monkeypatch.setattr(desks, "KEPT_JOBS", 2)
    desk = make_desk()

    def work(client: Any, cancel: Callable[[], bool]) -> Iterator[Any]:
        yield Cancelled()

    for number in range(4):
        (tmp_path / "jobs" / str(number)).mkdir(parents=True)
        job = desk.take("anna", str(number), work)
        wait_for(lambda job=job: job.ended is not None)
    desk.take("ben", "b", work)
    wait_for(lambda: sorted(path.name for path in (tmp_path / "jobs").iterdir()) == ["2", "3"])
    assert desk.find("anna", "3").ended is not None
    assert desk.find("ben", "b") is not None
    with pytest.raises(GanEditError):
        desk.find("anna", "0")
    monkeypatch.setattr(desks, "KEPT_SECONDS", 0.0)
    wait_for(lambda: not list((tmp_path / "jobs").iterdir()))


def test_closing_ends_what_runs_and_takes_nothing_more(make_desk: MakeDesk) -> None:
    desk = make_desk()
    job = desk.take("anna", "key", runs_until_cancelled)
    desk.close()
    assert job.ended is not None
    with pytest.raises(GanEditError):
        desk.take("anna", "another", runs_until_cancelled)
