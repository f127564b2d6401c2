"""A Beam SDK worker pool whose workers start warm.

Beam's own pool (`apache_beam.runners.worker.worker_pool_main`) starts a new Python per worker, which imports
Beam for about two seconds. Here one process imports everything once and forks each worker from itself:

    parent   imports, owns no thread of gRPC, forks; stops and reaps workers      (`parent.py`)
     |- front  the gRPC service that runners call (BeamFnExternalWorkerPool)       (`front.py`)
     |- worker the Beam SDK harness, one process for each StartWorker              (`worker.py`)

The front is a process of its own because a process that runs gRPC threads cannot fork safely. Front and
parent talk over a socket pair, one JSON message a packet (`messages.py`). When the parent dies, so do all.
"""
