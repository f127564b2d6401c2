"""A TCP proxy that can lose an answer: the server has done the work, the client never hears of it."""

from __future__ import annotations

import asyncio
import contextlib


class CutProxy:
    def __init__(self, upstream_port: int) -> None:
        self._upstream_port = upstream_port
        self._server: asyncio.Server | None = None
        self._pumps: set[asyncio.Task[None]] = set()
        self.answers_to_lose = 0
        self.answers_lost = 0

    async def start(self) -> int:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for pump in self._pumps:
            pump.cancel()
        await asyncio.gather(*self._pumps, return_exceptions=True)

    async def _serve(self, client_in: asyncio.StreamReader, client_out: asyncio.StreamWriter) -> None:
        server_in, server_out = await asyncio.open_connection("127.0.0.1", self._upstream_port)
        for pump in (self._requests(client_in, server_out), self._answers(server_in, client_out)):
            task = asyncio.create_task(pump)
            self._pumps.add(task)
            task.add_done_callback(self._pumps.discard)

    async def _requests(self, client_in: asyncio.StreamReader, server_out: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError), contextlib.closing(server_out):
            while data := await client_in.read(65_536):
                server_out.write(data)
                await server_out.drain()

    async def _answers(self, server_in: asyncio.StreamReader, client_out: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError), contextlib.closing(client_out):
            while data := await server_in.read(65_536):
                if self.answers_to_lose > 0:
                    self.answers_to_lose -= 1
                    self.answers_lost += 1
                    return
                client_out.write(data)
                await client_out.drain()
