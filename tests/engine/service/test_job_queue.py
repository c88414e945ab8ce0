"""Scenarios of the queue: stimuli in, instructions out, without a process or a socket."""

from __future__ import annotations

import weakref

import pytest
from queue_scenes import ANNA, BERT, DEATH, PROGRESS, REQUEST, RESULT, Scene, fails, sends

from gan_edit_engine.service import job_queue
from gan_edit_engine.service.events import (
    AskCancel,
    CancelAsked,
    ClientGone,
    Dispatch,
    Instruction,
    KillWorker,
    Orphaned,
    Send,
    SendStatus,
    ShutdownAsked,
    StartWorker,
    StatusAsked,
    Stimulus,
    Stop,
    Submitted,
    Tick,
    Unused,
    WorkerDied,
    WorkerReady,
    WorkerSaid,
)
from gan_edit_engine.service.job_queue import CANCEL_SECONDS, MAX_JOBS, SHARE, SHUTDOWN
from gan_edit_engine.service.pool import MAX_START_DEATHS
from gan_edit_protocol.arrays import Array
from gan_edit_protocol.events import Accepted, Cancelled, Failed, Progress, WorkerStatus
from gan_edit_protocol.requests import ProjectRequest


@pytest.fixture
def ready() -> Scene:
    """An idle worker."""
    scene = Scene()
    scene.do(WorkerReady(1, "cpu"))
    return scene


@pytest.fixture
def running(ready: Scene) -> Scene:
    """Anna's job "a" runs."""
    ready.do(Submitted(ANNA, "a", REQUEST))
    return ready


@pytest.fixture
def queued(running: Scene) -> Scene:
    """Anna's job "a" runs; Bert's "b" and Anna's "c" wait."""
    running.do(Submitted(BERT, "b", REQUEST), Submitted(ANNA, "c", REQUEST))
    return running


# --- one job ------------------------------------------------------------------------------------------------------


def test_the_worker_is_started_before_any_job_asks_for_it() -> None:
    assert Scene().first == [StartWorker(1, None)]


def test_a_job_goes_to_an_idle_worker_at_once(ready: Scene) -> None:
    assert ready.do(Submitted(ANNA, "a", REQUEST)) == [Send(ANNA, "a", Accepted(0)), Dispatch(1, "a", REQUEST)]


def test_a_job_sent_while_the_worker_starts_is_dispatched_when_it_is_ready() -> None:
    scene = Scene()
    assert scene.do(Submitted(ANNA, "a", REQUEST)) == [Send(ANNA, "a", Accepted(0))]
    assert scene.do(WorkerReady(1, "cpu")) == [Dispatch(1, "a", REQUEST)]


def test_progress_is_passed_on_as_it_comes(running: Scene) -> None:
    assert running.do(WorkerSaid(1, "a", PROGRESS)) == [Send(ANNA, "a", PROGRESS)]


def test_a_result_ends_the_job(running: Scene) -> None:
    assert running.do(WorkerSaid(1, "a", RESULT)) == [Send(ANNA, "a", RESULT)]
    assert running.do(WorkerSaid(1, "a", PROGRESS)) == []


def test_a_failed_job_leaves_the_worker_alive_for_the_next(running: Scene) -> None:
    failure = Failed("out_of_memory", "The memory is full.")
    assert running.do(WorkerSaid(1, "a", failure)) == [Send(ANNA, "a", failure)]
    assert Dispatch(1, "b", REQUEST) in running.do(Submitted(BERT, "b", REQUEST))


def test_what_the_worker_says_of_another_job_is_ignored(running: Scene) -> None:
    assert running.do(WorkerSaid(1, "b", RESULT)) == []


# --- several jobs -------------------------------------------------------------------------------------------------


def test_a_second_job_waits_and_hears_its_place(running: Scene) -> None:
    assert running.do(Submitted(BERT, "b", REQUEST)) == [Send(BERT, "b", Accepted(1))]
    assert running.do(Submitted(ANNA, "c", REQUEST)) == [Send(ANNA, "c", Accepted(2))]


def test_jobs_are_served_in_the_order_of_their_arrival(queued: Scene) -> None:
    order = []
    for job in "abc":
        done = queued.do(WorkerSaid(1, job, RESULT))
        order += [instruction.job for instruction in done if isinstance(instruction, Dispatch)]
    assert order == ["b", "c"]


def test_waiting_jobs_hear_their_new_place_when_one_ends(queued: Scene) -> None:
    assert sends(queued.do(WorkerSaid(1, "a", RESULT)))[1:] == [(BERT, "b", Accepted(0)), (ANNA, "c", Accepted(1))]


def test_a_job_name_in_use_is_refused_and_the_first_job_goes_on(running: Scene) -> None:
    ((client, job, event),) = sends(running.do(Submitted(BERT, "a", REQUEST)))
    assert (client, job) == (BERT, "a")
    assert isinstance(event, Failed)
    assert event.code == "bad_message"
    assert running.do(WorkerSaid(1, "a", RESULT)) == [Send(ANNA, "a", RESULT)]


def test_a_full_queue_refuses_one_job_more(running: Scene) -> None:
    for number in range(MAX_JOBS):
        assert fails(running.do(Submitted(b"%d" % number, str(number), REQUEST))) == []
    assert fails(running.do(Submitted(BERT, "more", REQUEST))) == ["queue_full"]


def test_one_client_fills_its_share_of_the_queue_and_others_find_room(running: Scene) -> None:
    for number in range(MAX_JOBS // SHARE):
        assert fails(running.do(Submitted(ANNA, str(number), REQUEST))) == []
    assert fails(running.do(Submitted(ANNA, "more", REQUEST))) == ["queue_full"]
    assert fails(running.do(Submitted(BERT, "b", REQUEST))) == []


PHOTO = Array("uint8", (10, 10, 3), bytes(300))


def test_waiting_photos_are_bounded_in_bytes_and_one_alone_always_fits(
    ready: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_queue, "MAX_WAITING_BYTES", 700)
    large = ProjectRequest(Array("uint8", (20, 20, 3), bytes(1200)))
    answers = []
    for number, request in enumerate((large, large, REQUEST, ProjectRequest(PHOTO))):
        ((_, _, event), *_) = sends(ready.do(Submitted(ANNA, str(number), request)))
        answers.append(event)
    # The first one runs, the second waits; what brings nothing may still come.
    assert answers[:3] == [Accepted(0), Accepted(1), Accepted(2)]
    assert isinstance(answers[3], Failed)
    assert answers[3].code == "queue_full"
    ready.do(WorkerSaid(1, "0", RESULT))
    assert sends(ready.do(Submitted(ANNA, "again", ProjectRequest(PHOTO))))[0][2] == Accepted(2)


def test_the_photo_of_a_running_job_is_the_workers_alone(ready: Scene) -> None:
    request = ProjectRequest(PHOTO)
    kept = weakref.ref(request)
    ready.do(Submitted(ANNA, "a", request))
    del request
    assert kept() is None


# --- cancelling ---------------------------------------------------------------------------------------------------


def test_the_worker_is_asked_to_end_a_running_job_and_its_word_is_passed_on(running: Scene) -> None:
    assert running.do(CancelAsked(ANNA, "a")) == [AskCancel(1, "a")]
    assert running.do(WorkerSaid(1, "a", Cancelled())) == [Send(ANNA, "a", Cancelled())]


def test_a_worker_that_does_not_hear_is_killed_and_started_anew(running: Scene) -> None:
    """The client reads Cancelled within the promised second though a step of the optimisation takes longer."""
    running.do(CancelAsked(ANNA, "a"))
    seen = running.wait(1.0)
    assert [instruction for _, instruction in seen] == [
        KillWorker(1),
        StartWorker(1, None),
        Send(ANNA, "a", Cancelled()),
    ]
    assert all(CANCEL_SECONDS <= seconds < CANCEL_SECONDS + 0.1 for seconds, _ in seen)


def test_after_such_a_kill_the_next_job_is_dispatched_to_the_new_worker(queued: Scene) -> None:
    queued.do(CancelAsked(ANNA, "a"))
    queued.wait(1.0)
    assert queued.do(WorkerReady(1, "cpu")) == [Dispatch(1, "b", REQUEST)]


def test_cancelling_twice_asks_the_worker_once(running: Scene) -> None:
    assert running.do(CancelAsked(ANNA, "a"), CancelAsked(ANNA, "a")) == [AskCancel(1, "a")]


def test_a_result_that_crosses_the_cancellation_is_not_delivered(running: Scene) -> None:
    """Whoever pressed Cancel must not find a new layer in the image."""
    running.do(CancelAsked(ANNA, "a"))
    assert running.do(WorkerSaid(1, "a", RESULT)) == [Send(ANNA, "a", Cancelled())]


def test_progress_after_the_cancellation_is_not_delivered(running: Scene) -> None:
    running.do(CancelAsked(ANNA, "a"))
    assert running.do(WorkerSaid(1, "a", PROGRESS)) == []


def test_a_waiting_job_is_cancelled_at_once_and_those_behind_move_up(queued: Scene) -> None:
    assert queued.do(CancelAsked(BERT, "b")) == [Send(BERT, "b", Cancelled()), Send(ANNA, "c", Accepted(1))]


def test_nobody_cancels_the_job_of_somebody_else(queued: Scene) -> None:
    assert queued.do(CancelAsked(BERT, "a"), CancelAsked(ANNA, "b")) == []


def test_cancelling_a_job_that_is_over_does_nothing(running: Scene) -> None:
    running.do(WorkerSaid(1, "a", RESULT))
    assert running.do(CancelAsked(ANNA, "a")) == []


# --- clients that go away -----------------------------------------------------------------------------------------


def test_a_client_that_is_gone_loses_its_running_job(running: Scene) -> None:
    assert running.do(ClientGone(ANNA)) == [AskCancel(1, "a")]


def test_nothing_more_is_sent_to_a_client_that_is_gone(running: Scene) -> None:
    running.do(ClientGone(ANNA))
    instructions = running.do(WorkerSaid(1, "a", PROGRESS)) + [instruction for _, instruction in running.wait(2.0)]
    assert sends(instructions) == []


def test_the_jobs_of_others_go_on_when_a_client_is_gone(queued: Scene) -> None:
    assert queued.do(ClientGone(ANNA)) == [AskCancel(1, "a")]
    assert queued.do(WorkerSaid(1, "a", Cancelled())) == [Send(BERT, "b", Accepted(0)), Dispatch(1, "b", REQUEST)]
    assert queued.do(WorkerSaid(1, "b", RESULT)) == [Send(BERT, "b", RESULT)]


# --- a worker that dies -------------------------------------------------------------------------------------------


def test_a_death_in_a_job_fails_it_and_starts_the_worker_again(running: Scene) -> None:
    assert running.do(WorkerDied(1, DEATH)) == [Send(ANNA, "a", DEATH), StartWorker(1, None)]


def test_the_next_job_works_after_a_death(queued: Scene) -> None:
    queued.do(WorkerDied(1, DEATH))
    assert queued.do(WorkerReady(1, "cpu")) == [Dispatch(1, "b", REQUEST)]
    assert queued.do(WorkerSaid(1, "b", RESULT))[0] == Send(BERT, "b", RESULT)


def test_a_death_while_cancelling_is_a_cancellation(running: Scene) -> None:
    running.do(CancelAsked(ANNA, "a"))
    assert sends(running.do(WorkerDied(1, DEATH))) == [(ANNA, "a", Cancelled())]


def test_a_worker_that_dies_idle_is_started_again(ready: Scene) -> None:
    assert ready.do(WorkerDied(1, DEATH)) == [StartWorker(1, None)]


def test_a_worker_that_cannot_start_fails_the_jobs_instead_of_starting_for_ever() -> None:
    """torch is broken: each start ends with the same last words, and the user has to read them."""
    scene = Scene()
    scene.do(Submitted(ANNA, "a", REQUEST), Submitted(BERT, "b", REQUEST))
    for _ in range(MAX_START_DEATHS - 1):
        assert scene.do(WorkerDied(1, DEATH)) == [StartWorker(1, None)]
    last = scene.do(WorkerDied(1, DEATH))
    assert (ANNA, "a", DEATH) in sends(last)
    assert (BERT, "b", DEATH) in sends(last)
    assert StartWorker(1, None) not in last
    assert scene.wait(5.0) == []


def test_a_worker_that_says_why_it_cannot_start_is_not_tried_again() -> None:
    scene = Scene()
    scene.do(Submitted(ANNA, "a", REQUEST))
    failure = Failed("bad_device", "The device 'cuda' cannot be used.")
    assert scene.do(WorkerDied(1, failure, hopeless=True)) == [Send(ANNA, "a", failure)]


def test_a_new_job_tries_once_more_to_start_a_worker_that_could_not() -> None:
    scene = Scene()
    scene.do(*[WorkerDied(1, DEATH)] * MAX_START_DEATHS)
    assert StartWorker(1, None) in scene.do(Submitted(ANNA, "a", REQUEST))
    assert scene.do(WorkerDied(1, DEATH)) == [Send(ANNA, "a", DEATH)]
    assert StartWorker(1, None) in scene.do(Submitted(ANNA, "b", REQUEST))
    assert scene.do(WorkerReady(1, "cpu")) == [Dispatch(1, "b", REQUEST)]


def test_jobs_that_kill_the_worker_never_stop_the_engine_from_serving_the_next(ready: Scene) -> None:
    for number in range(2 * MAX_START_DEATHS):
        ready.do(Submitted(ANNA, str(number), REQUEST))
        assert StartWorker(1, None) in ready.do(WorkerDied(1, DEATH))
        ready.do(WorkerReady(1, "cpu"))


def test_a_worker_that_dies_as_soon_as_it_is_ready_is_not_started_for_ever(ready: Scene) -> None:
    starts = 0
    while StartWorker(1, None) in ready.do(WorkerDied(1, DEATH)):
        starts += 1
        assert starts < MAX_START_DEATHS
        ready.do(WorkerReady(1, "cpu"))


# --- no silence ---------------------------------------------------------------------------------------------------


def gaps(seen: list[tuple[float, Instruction]], job: str, until: float) -> float:
    """The longest silence of a job in seconds."""
    times = [0.0, *(time for time, i in seen if isinstance(i, Send) and i.job == job), until]
    return max(later - earlier for earlier, later in zip(times, times[1:], strict=False))


def test_a_waiting_client_hears_its_place_every_second(queued: Scene) -> None:
    seen = queued.wait(5.0)
    assert gaps(seen, "b", 5.0) <= 1.0
    assert {i.event for _, i in seen if isinstance(i, Send) and i.job == "b"} == {Accepted(1)}


def test_a_silent_worker_is_spoken_for_by_its_last_progress_without_the_preview(running: Scene) -> None:
    preview = Array("uint8", (1, 1, 3), bytes(3))
    running.do(WorkerSaid(1, "a", Progress("Projecting", 3, 10, 0.5, preview)))
    seen = running.wait(5.0)
    assert gaps(seen, "a", 5.0) <= 1.0
    assert {i.event for _, i in seen if isinstance(i, Send)} == {Progress("Projecting", 3, 10, 0.5)}


def test_a_job_before_its_first_step_is_spoken_for_too(running: Scene) -> None:
    assert gaps(running.wait(5.0), "a", 5.0) <= 1.0


def test_a_worker_that_speaks_is_not_repeated(running: Scene) -> None:
    for _ in range(20):
        running.now += 0.3
        assert running.do(WorkerSaid(1, "a", PROGRESS), Tick()) == [Send(ANNA, "a", PROGRESS)]


# --- status and the end -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stimuli", "worker", "device", "jobs"),
    [
        ([], "starting", "", 0),
        ([WorkerReady(1, "cuda (H100)")], "idle", "cuda (H100)", 0),
        ([WorkerReady(1, "cpu"), Submitted(ANNA, "a", REQUEST), Submitted(ANNA, "b", REQUEST)], "busy", "cpu", 2),
        ([WorkerDied(1, DEATH)] * MAX_START_DEATHS, "failed", "", 0),
    ],
)
def test_the_status_tells_worker_device_and_jobs(stimuli: list[Stimulus], worker: str, device: str, jobs: int) -> None:
    scene = Scene()
    scene.do(*stimuli)
    assert scene.do(StatusAsked(BERT, "s")) == [SendStatus(BERT, "s", (WorkerStatus(worker, device),), jobs)]


def test_a_shutdown_is_told_to_every_job_and_takes_the_worker_along(queued: Scene) -> None:
    instructions = queued.do(ShutdownAsked())
    assert sends(instructions) == [(ANNA, "a", SHUTDOWN), (BERT, "b", SHUTDOWN), (ANNA, "c", SHUTDOWN)]
    assert instructions[-2:] == [KillWorker(1), Stop()]


def test_a_job_that_is_being_cancelled_ends_cancelled_also_at_a_shutdown(running: Scene) -> None:
    running.do(CancelAsked(ANNA, "a"))
    assert sends(running.do(ShutdownAsked())) == [(ANNA, "a", Cancelled())]


def test_an_engine_without_users_finishes_its_jobs_before_it_stops(queued: Scene) -> None:
    """Whoever is not known as a user may have a job all the same."""
    for job in "abc":
        assert queued.do(Unused(), Tick()) == []
        queued.do(WorkerSaid(1, job, RESULT))
    assert queued.do(Unused()) == [KillWorker(1), Stop()]


def test_an_idle_engine_stops_after_its_timeout_and_not_before() -> None:
    scene = Scene(idle_timeout=60.0)
    scene.do(WorkerReady(1, "cpu"))
    assert scene.wait(59.0) == []
    assert [instruction for _, instruction in scene.wait(2.0)][:2] == [KillWorker(1), Stop()]


def test_without_a_timeout_an_engine_never_stops_by_itself(ready: Scene) -> None:
    assert ready.wait(100_000.0, step=100.0) == []


@pytest.mark.parametrize("sign", [StatusAsked(ANNA, "s"), Submitted(ANNA, "a", REQUEST), CancelAsked(ANNA, "a")])
def test_every_sign_of_a_client_puts_the_timeout_off(sign: Stimulus) -> None:
    scene = Scene(idle_timeout=60.0)
    scene.wait(50.0)
    scene.do(sign)
    assert Stop() not in [instruction for _, instruction in scene.wait(50.0)]


def test_a_long_job_is_not_idleness_and_the_timeout_counts_from_its_end() -> None:
    scene = Scene(idle_timeout=60.0)
    scene.do(WorkerReady(1, "cpu"), Submitted(ANNA, "a", REQUEST))
    assert Stop() not in [instruction for _, instruction in scene.wait(300.0)]
    scene.do(WorkerSaid(1, "a", RESULT))
    assert scene.wait(59.0) == []
    assert Stop() in [instruction for _, instruction in scene.wait(2.0)]


def test_an_engine_that_nobody_can_find_any_more_stops_when_its_jobs_are_done(running: Scene) -> None:
    running.do(Orphaned())
    assert Stop() not in [instruction for _, instruction in running.wait(5.0)]
    running.do(WorkerSaid(1, "a", RESULT))
    assert Stop() in running.do(Tick())
