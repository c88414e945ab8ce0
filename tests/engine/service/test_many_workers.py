"""Scenarios of the queue with several workers and clients, and what holds whatever happens to them."""

from __future__ import annotations

import collections
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from queue_scenes import ANNA, BERT, DEATH, PROGRESS, REQUEST, RESULT, Scene, sends

from gan_edit_engine.service.events import (
    AskCancel,
    CancelAsked,
    ClientGone,
    Dispatch,
    Instruction,
    KillWorker,
    Send,
    SendStatus,
    ShutdownAsked,
    StartWorker,
    StatusAsked,
    Stop,
    Submitted,
    Tick,
    WorkerDied,
    WorkerReady,
    WorkerSaid,
)
from gan_edit_engine.service.job_queue import PLACE_SECONDS, SHUTDOWN
from gan_edit_engine.service.pool import MAX_START_DEATHS, RETRY_SECONDS, Pool
from gan_edit_protocol.events import FINAL_EVENTS, Accepted, Cancelled, WorkerStatus

CARL = b"carl"


def of_size(size: int) -> Scene:
    """A scene in which so many workers are idle."""
    scene = Scene(pool=Pool(size, None))
    for number in range(1, size + 1):
        scene.do(WorkerReady(number, "cpu", ("cpu",)))
    return scene


def submit(scene: Scene, client: bytes, *jobs: str) -> list[Instruction]:
    return scene.do(*(Submitted(client, job, REQUEST) for job in jobs))


def dispatched(instructions: list[Instruction]) -> list[tuple[int, str]]:
    return [(i.worker, i.job) for i in instructions if isinstance(i, Dispatch)]


# --- the pool -----------------------------------------------------------------------------------------------------


def test_the_first_worker_says_which_devices_there_are_and_each_gets_one() -> None:
    scene = Scene(pool=Pool(None, None))
    assert scene.first == [StartWorker(1, None)]
    assert scene.do(WorkerReady(1, "cuda:0 (H100)", ("cuda:0", "cuda:1", "cuda:2"))) == [
        StartWorker(2, "cuda:1"),
        StartWorker(3, "cuda:2"),
    ]
    assert scene.do(WorkerReady(2, "cuda:1 (H100)", ("cuda:1",))) == []
    status = (WorkerStatus("idle", "cuda:0 (H100)"), WorkerStatus("idle", "cuda:1 (H100)"), WorkerStatus("starting"))
    assert scene.do(StatusAsked(ANNA, "s")) == [SendStatus(ANNA, "s", status, 0)]


def test_a_machine_with_one_device_gets_one_worker() -> None:
    assert Scene(pool=Pool(None, None)).do(WorkerReady(1, "cpu", ("cpu",))) == []


@pytest.mark.parametrize(
    ("size", "devices", "others"), [(1, ("a", "b"), []), (2, ("a",), ["a"]), (4, ("a", "b"), ["b", "a", "b"])]
)
def test_as_many_workers_as_asked_for_share_the_devices_evenly(
    size: int, devices: tuple[str, ...], others: list[str]
) -> None:
    started = Scene(pool=Pool(size, None)).do(WorkerReady(1, "a", devices))
    assert started == [StartWorker(number, device) for number, device in enumerate(others, 2)]


def test_the_devices_are_shared_once_also_when_the_first_worker_is_started_anew() -> None:
    scene = of_size(2)
    assert scene.do(WorkerDied(1, DEATH)) == [StartWorker(1, None)]
    assert scene.do(WorkerReady(1, "cpu", ("cpu",))) == []


# --- jobs at the same time ----------------------------------------------------------------------------------------


def test_jobs_run_at_the_same_time_and_each_worker_has_one() -> None:
    scene = of_size(2)
    assert dispatched(submit(scene, ANNA, "a", "b", "c")) == [(1, "a"), (2, "b")]
    assert dispatched(scene.do(WorkerSaid(2, "b", RESULT))) == [(2, "c")]


def test_what_each_worker_says_reaches_the_client_of_its_own_job() -> None:
    scene = of_size(2)
    submit(scene, ANNA, "a")
    submit(scene, BERT, "b")
    assert scene.do(WorkerSaid(2, "b", PROGRESS), WorkerSaid(1, "b", PROGRESS)) == [Send(BERT, "b", PROGRESS)]
    assert sends(scene.do(WorkerSaid(1, "a", RESULT))) == [(ANNA, "a", RESULT)]


def test_a_client_goes_back_to_the_idle_worker_that_knows_its_photo() -> None:
    scene = of_size(2)
    submit(scene, ANNA, "a")
    submit(scene, BERT, "b")
    scene.do(WorkerSaid(1, "a", RESULT), WorkerSaid(2, "b", RESULT))
    assert dispatched(submit(scene, BERT, "c")) == [(2, "c")]
    assert dispatched(submit(scene, BERT, "d")) == [(1, "d")]


def test_a_waiting_job_hears_how_many_have_to_end_before_it_starts() -> None:
    scene = of_size(2)
    submit(scene, ANNA, "a", "b")
    assert sends(submit(scene, BERT, "c")) == [(BERT, "c", Accepted(1))]
    assert sends(submit(scene, CARL, "d")) == [(CARL, "d", Accepted(2))]
    assert sends(scene.do(WorkerSaid(2, "b", RESULT)))[1:] == [(BERT, "c", Accepted(0)), (CARL, "d", Accepted(1))]


def test_the_free_workers_are_counted_once_for_all_jobs_that_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """With 64 workers half of the engine's time went by counting them for each, at each word of any worker.

    Nor do they count at all when a worker only says how far it is.
    """
    counted: list[Pool] = []
    monkeypatch.setattr(Pool, "free", property(lambda pool: counted.append(pool) or 0))
    scene = of_size(2)
    submit(scene, ANNA, *(f"a{number}" for number in range(10)))
    for stimulus, times in ((Tick(), 1), (WorkerSaid(1, "a0", PROGRESS), 0)):
        counted.clear()
        scene.do(stimulus)
        assert len(counted) == times


def test_of_many_changes_at_once_a_waiting_job_hears_the_first_and_what_has_come_of_them() -> None:
    """Else as many words as there are jobs that wait would follow each job that ends."""
    scene = of_size(2)
    submit(scene, ANNA, *(f"a{number}" for number in range(10)))
    told: list[Instruction] = []
    for number in range(6):
        told += scene.do(WorkerSaid(1 + number % 2, f"a{number}", RESULT))
    told += [instruction for _, instruction in scene.wait(2 * PLACE_SECONDS)]
    assert [event for _, job, event in sends(told) if job == "a9"] == [Accepted(7), Accepted(2)]


def test_one_of_two_running_jobs_is_cancelled_and_the_other_goes_on() -> None:
    scene = of_size(2)
    submit(scene, ANNA, "a")
    submit(scene, BERT, "b")
    assert scene.do(CancelAsked(ANNA, "a")) == [AskCancel(1, "a")]
    assert [instruction for _, instruction in scene.wait(0.75)] == [
        KillWorker(1),
        StartWorker(1, None),
        Send(ANNA, "a", Cancelled()),
    ]
    assert sends(scene.do(WorkerSaid(2, "b", RESULT))) == [(BERT, "b", RESULT)]


def test_a_shutdown_takes_all_workers_along() -> None:
    scene = of_size(2)
    submit(scene, ANNA, "a", "b", "c")
    instructions = scene.do(ShutdownAsked())
    assert sends(instructions) == [(ANNA, job, SHUTDOWN) for job in "abc"]
    assert instructions[3:] == [KillWorker(1), KillWorker(2), Stop()]


# --- workers that die ---------------------------------------------------------------------------------------------


def test_a_death_ends_the_worker_s_own_job_and_no_other() -> None:
    scene = of_size(2)
    submit(scene, ANNA, "a")
    submit(scene, BERT, "b", "c")
    assert scene.do(WorkerDied(1, DEATH)) == [
        Send(ANNA, "a", DEATH),
        StartWorker(1, None),
        Send(BERT, "c", Accepted(0)),
    ]
    assert scene.do(WorkerSaid(2, "b", RESULT)) == [Send(BERT, "b", RESULT), Dispatch(2, "c", REQUEST)]


def test_jobs_wait_on_while_any_worker_lives_or_starts_and_fail_with_the_last() -> None:
    scene = of_size(2)
    submit(scene, ANNA, "a", "b", "c")
    scene.do(WorkerSaid(2, "b", RESULT))
    submit(scene, BERT, "d")
    assert sends(scene.do(WorkerDied(2, DEATH))) == [(ANNA, "c", DEATH), (BERT, "d", Accepted(0))]
    scene.now += PLACE_SECONDS
    for _ in range(MAX_START_DEATHS):
        told = scene.do(WorkerDied(2, DEATH))
    assert told == [Send(BERT, "d", Accepted(1))]
    scene.now += PLACE_SECONDS
    assert sends(scene.do(WorkerDied(1, DEATH))) == [(ANNA, "a", DEATH), (BERT, "d", Accepted(0))]
    for _ in range(MAX_START_DEATHS):
        told = scene.do(WorkerDied(1, DEATH))
    assert told == [Send(BERT, "d", DEATH)]


def test_a_worker_that_will_never_start_leaves_the_jobs_to_the_others() -> None:
    scene = of_size(2)
    submit(scene, ANNA, "a", "b", "c")
    scene.do(WorkerDied(2, DEATH))
    scene.now += PLACE_SECONDS
    assert scene.do(WorkerDied(2, DEATH, hopeless=True)) == [Send(ANNA, "c", Accepted(1))]
    assert scene.do(WorkerSaid(1, "a", RESULT))[-1] == Dispatch(1, "c", REQUEST)


def test_a_worker_that_does_not_start_is_tried_again_by_a_job_that_comes_later() -> None:
    scene = of_size(2)
    scene.do(*[WorkerDied(2, DEATH)] * MAX_START_DEATHS)
    assert StartWorker(2, "cpu") not in submit(scene, ANNA, "a")
    scene.now += RETRY_SECONDS
    assert StartWorker(2, "cpu") in submit(scene, ANNA, "b")
    assert dispatched(scene.do(WorkerReady(2, "cpu", ("cpu",)))) == [(2, "b")]


def test_where_none_is_left_the_next_job_tries_them_all() -> None:
    scene = of_size(2)
    scene.do(*[WorkerDied(worker, DEATH) for worker in (1, 2) for _ in range(MAX_START_DEATHS)])
    assert submit(scene, ANNA, "a")[:2] == [StartWorker(1, None), StartWorker(2, "cpu")]
    assert sends(scene.do(WorkerDied(1, DEATH))) == []
    assert sends(scene.do(WorkerDied(2, DEATH))) == [(ANNA, "a", DEATH)]


# --- turns --------------------------------------------------------------------------------------------------------


def test_a_batch_holds_a_single_job_of_another_client_up_by_what_runs_and_no_more() -> None:
    scene = of_size(2)
    submit(scene, ANNA, *(f"a{number}" for number in range(50)))
    assert (BERT, "b", Accepted(1)) in sends(submit(scene, BERT, "b"))
    assert dispatched(scene.do(WorkerSaid(1, "a0", RESULT))) == [(1, "b")]
    assert dispatched(scene.do(WorkerSaid(2, "a1", RESULT))) == [(2, "a2")]


def test_two_batches_are_done_by_turns_and_each_in_its_own_order() -> None:
    scene = of_size(1)
    submit(scene, ANNA, "a0", "a1", "a2", "a3")
    submit(scene, BERT, "b0", "b1")
    order = []
    for _ in range(5):
        done = order[-1] if order else "a0"
        order += [job for _, job in dispatched(scene.do(WorkerSaid(1, done, RESULT)))]
    assert order == ["b0", "a1", "b1", "a2", "a3"]


def test_single_jobs_of_ever_new_clients_do_not_hold_a_batch_up_for_ever() -> None:
    scene = of_size(1)
    submit(scene, ANNA, *(f"a{number}" for number in range(20)))
    running, order = "a0", []
    for number in range(30):
        submit(scene, b"%d" % number, f"n{number}")
        ((_, running),) = dispatched(scene.do(WorkerSaid(1, running, RESULT)))
        order.append(running)
    assert sum(job.startswith("a") for job in order) >= 5


def test_who_sends_one_job_after_the_other_goes_before_a_batch_once_for_each_of_its_jobs() -> None:
    scene = of_size(2)
    submit(scene, ANNA, *(f"a{number}" for number in range(10)))
    submit(scene, BERT, "b0")
    assert dispatched(scene.do(WorkerSaid(2, "a1", RESULT))) == [(2, "b0")]
    submit(scene, BERT, "b1")
    assert dispatched(scene.do(WorkerSaid(2, "b0", RESULT))) == [(2, "a2")]
    assert dispatched(scene.do(WorkerSaid(2, "a2", RESULT))) == [(2, "b1")]
    assert dispatched(scene.do(WorkerSaid(2, "b1", RESULT))) == [(2, "a3")]
    submit(scene, BERT, "b2")
    assert dispatched(scene.do(WorkerSaid(2, "a3", RESULT))) == [(2, "b2")]


# --- whatever happens ---------------------------------------------------------------------------------------------

CLIENTS = [b"0", b"1", b"2", b"3"]
numbers = st.integers(0, 1000)
happenings = st.lists(
    st.tuples(
        st.sampled_from(["submit"] * 4 + ["end"] * 3 + ["ready", "ready", "die", "cancel", "leave", "wait"]), numbers
    ),
    max_size=80,
)


class Floor:
    """Workers and clients that obey the queue, and object where it does what it must not."""

    def __init__(self, size: int) -> None:
        self.scene = Scene(pool=Pool(size, None))
        self.states: dict[int, str] = {}  # of the workers: starting, idle, or the name of the job
        self.waiting: dict[bytes, list[str]] = collections.defaultdict(list)
        self.gone: set[bytes] = set()
        self.owners: dict[str, bytes] = {}
        self.started: list[str] = []
        self.ended: dict[str, Any] = {}
        self.passed: dict[bytes, list[bytes]] = {}  # who was served while this client has been waiting
        self.ahead: dict[str, int] = {}
        self.obey(self.scene.first)

    def do(self, *stimuli: Any) -> None:
        for stimulus in stimuli:
            self.obey(self.scene.do(stimulus))
        free = [worker for worker, state in self.states.items() if state == "idle"]
        assert not free or not any(self.waiting.values()), "a job waits though a worker is idle"

    def obey(self, instructions: list[Instruction]) -> None:
        for instruction in instructions:
            match instruction:
                case StartWorker(worker):
                    assert worker not in self.states
                    self.states[worker] = "starting"
                case KillWorker(worker):
                    del self.states[worker]
                case Dispatch(worker, job):
                    self._start(worker, job)
                case Send(client, job, event):
                    assert client not in self.gone
                    assert job not in self.ended, "more is said after the end"
                    self._hear(client, job, event)

    def _start(self, worker: int, job: str) -> None:
        client = self.owners[job]
        assert self.states[worker] == "idle"
        assert job not in self.started
        assert job not in self.ended
        assert self.waiting[client][0] == job, "a client's own jobs keep their order"
        self.states[worker] = job
        self.started.append(job)
        self._left(client, job)
        for other, passed in self.passed.items():
            if other != client:
                passed.append(client)
                assert passed.count(client) == 1, "a client has had two turns while another waited for its own"
        if client in self.passed:
            self.passed[client] = []

    def _hear(self, client: bytes, job: str, event: Any) -> None:
        assert self.owners[job] == client
        if isinstance(event, Accepted):
            self.ahead[job] = event.ahead
        if isinstance(event, FINAL_EVENTS):
            self.ended[job] = event
            if job in self.waiting[client]:
                self._left(client, job)

    def _left(self, client: bytes, job: str) -> None:
        self.waiting[client].remove(job)
        if not self.waiting[client]:
            del self.passed[client]

    # --- what may happen -------------------------------------------------------------------------------------------

    def submit(self, number: int) -> None:
        client, job = CLIENTS[number % len(CLIENTS)], f"job{len(self.owners)}"
        if client not in self.gone:
            self.owners[job] = client
            self.waiting[client].append(job)
            self.passed.setdefault(client, [])
            self.do(Submitted(client, job, REQUEST))

    def ready(self, number: int) -> None:
        starting = [worker for worker, state in self.states.items() if state == "starting"]
        if starting:
            worker = starting[number % len(starting)]
            self.states[worker] = "idle"
            self.do(WorkerReady(worker, "cpu", ("cpu",)))

    def end(self, number: int) -> None:
        busy = [worker for worker, state in self.states.items() if state in self.owners]
        if busy:
            worker = busy[number % len(busy)]
            job, self.states[worker] = self.states[worker], "idle"
            self.do(WorkerSaid(worker, job, RESULT))

    def die(self, number: int) -> None:
        if self.states:
            worker = sorted(self.states)[number % len(self.states)]
            had = self.states.pop(worker)
            before = set(self.ended)
            self.do(WorkerDied(worker, DEATH))
            hurt = {job for job in set(self.ended) - before if self.ended[job] == DEATH}
            assert hurt <= {had} or not self.states, "a death has ended the job of another worker"

    def cancel(self, number: int) -> None:
        if self.owners:
            job = sorted(self.owners)[number % len(self.owners)]
            self.do(CancelAsked(self.owners[job], job))

    def leave(self, number: int) -> None:
        client = CLIENTS[number % len(CLIENTS)]
        self.gone.add(client)
        for job in list(self.waiting[client]):
            self.ended[job] = None
            self._left(client, job)
        self.do(ClientGone(client))

    def wait(self, number: int) -> None:
        for _, instruction in self.scene.wait(number / 1000):
            self.obey([instruction])

    def let(self, happening: str, number: int) -> None:
        getattr(self, happening)(number)

    def finish(self) -> None:
        """Let all workers do all that is left."""
        while any(self.waiting.values()) or any(state != "idle" for state in self.states.values()):
            self.ready(0)
            self.end(0)


@given(st.integers(1, 4), happenings)
@settings(max_examples=300)
def test_no_job_is_lost_or_done_twice_and_all_get_their_turns(size: int, happened: list[tuple[str, int]]) -> None:
    floor = Floor(size)
    for happening, number in happened:
        floor.let(happening, number)
    floor.finish()
    for job, client in floor.owners.items():
        assert job in floor.ended or client in floor.gone
    assert len(set(floor.started)) == len(floor.started)
    assert floor.scene.do(StatusAsked(ANNA, "s"))[0].jobs == 0  # type: ignore[union-attr]


@given(st.integers(1, 4), st.lists(numbers, max_size=30), st.lists(numbers, min_size=40, max_size=40))
def test_a_job_starts_when_as_many_have_ended_as_it_was_told(size: int, sent: list[int], order: list[int]) -> None:
    floor = Floor(size)
    for _ in range(size):
        floor.ready(0)
    for number in sent:
        floor.submit(number)
    floor.wait(1000)
    told = {job: floor.ahead[job] for jobs in floor.waiting.values() for job in jobs}
    begun = len(floor.started)
    assert all(floor.ahead[job] == 0 for job in floor.started)
    for ends, number in enumerate(order, 1):
        floor.end(number)
        for job in floor.started[begun:]:
            assert told[job] == ends
        begun = len(floor.started)
