"""A line between a client and a server that a test can cut, slow down and lengthen."""

from __future__ import annotations

import asyncio
import threading
from typing import Any


class Line:
    """Listens at ``port`` and passes on to ``target``. ``rate``: bytes a second each way; ``delay``: seconds."""

    def __init__(self, target: tuple[str, int], rate: float | None = None, delay: float = 0.0) -> None:
        self._target, self._rate, self._delay = target, rate, delay
        self._writers: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.carried = 0
        self.is_open = True
        self.port = 0

    def __enter__(self) -> Line:
        self._thread.start()
        self._started.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def cut(self) -> None:
        """Break every connection that there is, once."""
        asyncio.run_coroutine_threadsafe(self._cut(), self._loop).result()

    def _run(self) -> None:
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        self._stop = asyncio.Event()
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self._started.set()
        await self._stop.wait()
        server.close()
        await self._cut()
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _cut(self) -> None:
        for writer in list(self._writers):
            writer.transport.abort()
        self._writers.clear()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self.is_open:
            writer.transport.abort()
            return
        far_reader, far_writer = await asyncio.open_connection(*self._target)
        self._writers |= {writer, far_writer}
        try:
            await asyncio.gather(self._pass(reader, far_writer), self._pass(far_reader, writer))
        finally:
            for each in (writer, far_writer):
                each.transport.abort()
                self._writers.discard(each)

    async def _pass(self, reader: Any, writer: Any) -> None:
        try:
            while data := await reader.read(16_384):
                self.carried += len(data)
                if self._rate is not None:
                    await asyncio.sleep(len(data) / self._rate + self._delay)
                writer.write(data)
                await writer.drain()
            writer.write_eof()
        except OSError:
            pass
