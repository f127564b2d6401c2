"""`python -m deploy.worker_pool --port N [--preload MODULE ...]`"""

import argparse
import importlib
import socket
import sys
import time
from collections.abc import Sequence

from deploy.worker_pool.front import serve
from deploy.worker_pool.parent import Parent, fork_child, log

# What every worker of ours needs, whatever the job.
ALWAYS_PRELOADED = (
    "apache_beam",
    "apache_beam.runners.worker.sdk_worker",
    "confluent_kafka",
    "pyarrow",
    "datafusion",
)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m deploy.worker_pool", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument(
        "--preload", metavar="MODULE", action="append", default=[], help="import before forking"
    )
    parser.add_argument("--stop-timeout-seconds", type=float, default=5.0)
    parsed = parser.parse_args(arguments)
    for module in (*ALWAYS_PRELOADED, *parsed.preload):
        importlib.import_module(module)
    log(f"imported what workers need, {time.process_time():.1f} s of CPU")
    parent_end, front_end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)

    def be_front() -> None:
        parent_end.close()
        serve(parsed.host, parsed.port, front_end)

    front_pid = fork_child(be_front)
    front_end.close()
    return Parent(parent_end, front_pid, parsed.stop_timeout_seconds).run()


if __name__ == "__main__":
    sys.exit(main())
