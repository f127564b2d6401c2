"""Facts of other services: at least once, in the order of each subject, and none dropped.

`Consumer` runs one service's handler over the event streams of others. `ports.Bus` is what it needs of the
streams; `RedisBus` keeps that contract on Redis, `MemoryBus` in memory.
"""

from libs.bus.consumer import Consumer
from libs.bus.errors import PermanentError, TemporaryError
from libs.bus.memory_bus import MemoryBus
from libs.bus.model import ConsumerSettings
from libs.bus.ports import Bus
from libs.bus.redis_bus import RedisBus
from libs.bus.source_consumer import Handler
from libs.store.model import DeadLetter

__all__ = [
    "Bus",
    "Consumer",
    "ConsumerSettings",
    "DeadLetter",
    "Handler",
    "MemoryBus",
    "PermanentError",
    "RedisBus",
    "TemporaryError",
]
