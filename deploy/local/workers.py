"""The Beam SDK worker pool that Flink asks for Python workers."""

import os

from deploy.local.launch import Launch
from deploy.local.ports import HOST, accepts_connections
from deploy.local.settings import REPOSITORY, Settings


def python_environment(settings: Settings) -> dict[str, str]:
    """The caller's environment, with the repository importable and the venv's programs first in PATH."""
    paths = (str(REPOSITORY), str(REPOSITORY / "libs" / "contracts"), os.environ.get("PYTHONPATH", ""))
    return {
        **os.environ,
        "PATH": os.pathsep.join((str(settings.python.parent), os.environ.get("PATH", ""))),
        "PYTHONPATH": os.pathsep.join(path for path in paths if path),
        "PYTHONUNBUFFERED": "1",
    }


def launch(settings: Settings, token: str) -> Launch:
    port = settings.ports["workers"]
    preload = tuple(word for module in settings.worker_modules for word in ("--preload", module))
    return Launch(
        command=(
            str(settings.python),
            "-m",
            "deploy.worker_pool",
            "--host",
            HOST,
            "--port",
            str(port),
            *preload,
        ),
        ports=(port,),
        address=f"{HOST}:{port}",
        healthy=lambda: accepts_connections(port),
        # One thread a worker is plenty, and a pool of threads does not survive the fork.
        environment={**python_environment(settings), "OPENBLAS_NUM_THREADS": "1"},
    )
