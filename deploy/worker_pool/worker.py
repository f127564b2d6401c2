"""One Beam SDK harness."""

import logging
import os

from apache_beam.runners.worker.sdk_worker import SdkHarness

from deploy.worker_pool.messages import StartWorker


def run(request: StartWorker) -> None:
    """Serves the runner until it closes the control channel."""
    logging.basicConfig(
        force=True,
        level=logging.INFO,
        format=f"%(asctime)s %(levelname)s {request.worker_id} pid={os.getpid()} %(name)s: %(message)s",
    )
    os.environ["WORKER_ID"] = request.worker_id
    SdkHarness(request.control_address, worker_id=request.worker_id).run()
