"""Visitors' ways to the engine: how many there are, and when they end."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import pytest

from gan_edit_engine.serving.lines import Lines
from gan_edit_protocol.errors import EngineUnavailableError


class Engine:
    """Counts those who are connected with it."""

    def __init__(self) -> None:
        self.made = self.open = 0
        self.refuses = False
        self._lock = threading.Lock()

    def connect(self) -> Way:
        if self.refuses:
            raise EngineUnavailableError("No engine answers.")
        with self._lock:
            self.made += 1
            self.open += 1
        return Way(self)


class Way:
    def __init__(self, engine: Engine, parent: Way | None = None) -> None:
        self.engine, self.parent = engine, parent
        self.is_open = True

    def __enter__(self) -> Way:
        return self

    def __exit__(self, *_: object) -> None:
        self.is_open = False
        if self.parent is None:
            self.engine.open -= 1

    @contextmanager
    def shared(self) -> Iterator[Callable[[], Way]]:
        yield lambda: Way(self.engine, self)


def test_a_visitors_jobs_go_one_way_and_another_visitors_another() -> None:
    engine = Engine()
    lines = Lines(engine.connect)
    with ExitStack() as jobs:
        first, second, others = (jobs.enter_context(lines.client_of(who)) for who in ("anna", "anna", "ben"))
        assert first is not second
        assert first.parent is second.parent
        assert others.parent is not first.parent
        assert engine.open == 2
    assert engine.open == 0


def test_it_is_there_as_long_as_any_of_them_goes_on() -> None:
    engine = Engine()
    lines = Lines(engine.connect)
    with lines.client_of("anna") as second:
        with lines.client_of("anna") as first:
            way = first.parent
        assert second.parent is way
        assert way.is_open
    assert not way.is_open
    with lines.client_of("anna") as later:
        assert later.parent is not way
    assert engine.made == 2


def test_a_lost_way_is_taken_by_nobody_else() -> None:
    engine = Engine()
    lines = Lines(engine.connect)
    with lines.client_of("anna") as goes_on:
        with pytest.raises(EngineUnavailableError), lines.client_of("anna") as lost:
            raise EngineUnavailableError("It has ended.")
        with lines.client_of("anna") as anew:
            assert lost.parent is goes_on.parent is not anew.parent
    assert engine.open == 0


def test_an_engine_that_is_back_is_found_again() -> None:
    engine = Engine()
    lines = Lines(engine.connect)
    engine.refuses = True
    with pytest.raises(EngineUnavailableError), lines.client_of("anna"):
        pass
    engine.refuses = False
    with lines.client_of("anna"):
        assert engine.open == 1
    assert engine.open == 0


def test_jobs_that_come_and_go_at_once_leave_nothing_open() -> None:
    engine = Engine()
    lines = Lines(engine.connect)

    def work(number: int) -> bool:
        with lines.client_of(f"visitor {number % 3}") as client:
            return client.parent.is_open

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(600)))
    assert engine.open == 0
