"""The local stack: real Kafka, Redis, Flink, Beam workers and the five services, on loopback, without root.

`python -m deploy.local up|down|status` is for people; `LocalStack` is the same thing for tests.
"""

from deploy.local.errors import StackError
from deploy.local.ports import Ports
from deploy.local.settings import Settings
from deploy.local.stack import LocalStack, ProcessStatus

__all__ = ["LocalStack", "Ports", "ProcessStatus", "Settings", "StackError"]
