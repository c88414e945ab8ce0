"""What programs ask: one endpoint that carries whole messages of the protocol, and one that lists the models."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import fastapi
import gradio as gr

from gan_edit_engine.library.models_folder import DEFAULT_NAMES, described, find_model, model_names
from gan_edit_engine.serving.desk import Desk, Job
from gan_edit_engine.serving.guard import VISITOR
from gan_edit_engine.serving.limits import Limits
from gan_edit_protocol import wire
from gan_edit_protocol.client import Client
from gan_edit_protocol.errors import GanEditError
from gan_edit_protocol.events import EngineStatus, Failed, Look
from gan_edit_protocol.packing import packed, unpacked
from gan_edit_protocol.requests import CancelRequest, JobRequest, LookRequest, ShutdownRequest, StatusRequest

LISTEN_SECONDS = 0.1
TELL_SECONDS = 0.9
"""A program hears something at least so often, so that it notices a broken connection."""

Answer = dict[str, Any]
_GOES_ON: Answer = {"number": 0, "message": ""}


@dataclass(frozen=True)
class Programs:
    """The endpoints, of which each answer is JSON."""

    desk: Desk
    connect: Callable[[], Client]
    limits: Limits

    async def frames(self, message: str, job: str, after: int, request: gr.Request) -> AsyncIterator[Answer]:
        """Send one message of the protocol (docs/protocol.md) and stream the events that answer it.

        ``message``: the request's frames, packed as docs/serve.md says. ``job``: empty; or, with an empty message, the
        job whose events are asked for again, those with a number greater than ``after``. Each answer is an object:
        ``number`` of the event and ``message``, its packed frames; number 0 says only that the job goes on.
        """
        visitor = visitor_of(request)
        try:
            if message:
                came = await asyncio.to_thread(unpacked, message, self.limits.bytes)
                job = wire.job_of(came)  # to which also belongs what is wrong with it
                asked = await asyncio.to_thread(self._asked, came)
                if not isinstance(asked, JobRequest):
                    yield await asyncio.to_thread(self._answered, visitor, job, asked)
                    return
                found = self.desk.take(visitor, job, lambda client, cancel: client.events(asked, cancel))
            else:
                found = self.desk.find(visitor, job)
        except GanEditError as error:
            yield _answer(0, _job_name(job), Failed.of(error))
            return
        async for number, event in told_by(found, after):
            yield _GOES_ON if event is None else await asyncio.to_thread(_answer, number, job, event)

    def models(self) -> list[dict[str, Any]]:
        """The models that requests may name: of each its name, what it shows, its resolution and its licence."""
        return [about_model(name) for name in (DEFAULT_NAMES[1], *model_names()[1:])]

    def _asked(self, frames: list[bytes]) -> Any:
        _, asked = wire.decode_request(frames)
        return self.limits.checked(asked)

    def _answered(self, visitor: str, job: str, asked: Any) -> Answer:
        """What is answered at once."""
        if isinstance(asked, ShutdownRequest):
            refused = Failed("not_allowed", "The engine behind this server is not ended from afar.", "")
            return _answer(1, job, refused)
        if isinstance(asked, CancelRequest):
            self.desk.find(visitor, asked.job).cancel()
            return _GOES_ON  # its own stream ends with Cancelled
        with self.connect() as client:
            found: Look | EngineStatus
            if isinstance(asked, LookRequest):
                found = client.look(asked)
            elif isinstance(asked, StatusRequest):
                found = client.status()
            else:
                raise GanEditError("not_allowed", "This server does not carry such a request.", "")
        return _answer(1, job, found)


async def told_by(job: Job, after: int = 0) -> AsyncIterator[tuple[int, Any]]:
    """What the job tells, to its end, with its numbers; (0, None) at least each second."""
    loop = asyncio.get_running_loop()
    told_at = loop.time()
    while True:
        ended = job.ended is not None
        for number, told in job.after(after):
            after, told_at = number, loop.time()
            yield number, told
        if ended:
            return
        if loop.time() - told_at > TELL_SECONDS:
            told_at = loop.time()
            yield 0, None
        await asyncio.sleep(LISTEN_SECONDS)


def visitor_of(request: gr.Request | fastapi.Request) -> str:
    """Who asks, as the door says."""
    return str(request.headers[VISITOR.decode()])


def about_model(name: str) -> dict[str, Any]:
    """What is told of an installed model."""
    about = described(find_model(name))
    return {
        "name": name,
        "shows": about.get("domain", ""),
        "licence": about.get("licence", ""),
        "provenance": about.get("provenance", ""),
    }


def _answer(number: int, job: str, event: Any) -> Answer:
    if isinstance(event, EngineStatus):
        event = dataclasses.replace(event, pid=0)
    return {"number": number, "message": packed(wire.encode(job, event))}


def _job_name(text: str) -> str:
    return text if len(text) == 32 and not text.strip("0123456789abcdef") else wire.NO_JOB
