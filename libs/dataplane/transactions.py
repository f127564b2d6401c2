"""A shard's transactional producer. Whatever goes wrong ends in one exception, after which the shard claims anew."""

import contextlib
import time
from collections.abc import Callable, Sequence

from confluent_kafka import KafkaError, KafkaException, Producer, TopicPartition

from libs.dataplane.batches import Header


class TransactionLost(Exception):
    """The open transaction is gone: aborted, timed out, or another producer of the same id came.

    That alone does not say who owns the shard (docs/adr/0002-exactly-once.md): open a new producer, read the positions.
    """


class TransactionalProducer:
    """Opens with `init_transactions`, which fences every older producer of the same `transactional.id`.

    `heartbeat` is called while a call waits for the brokers; it may raise to give up.
    """

    def __init__(
        self,
        *,
        bootstrap_servers: str,
        transactional_id: str,
        transaction_timeout_ms: int,
        message_max_bytes: int,
        batch_max_bytes: int,
        heartbeat: Callable[[], None],
    ) -> None:
        self._heartbeat = heartbeat
        self._patience_s = 2 * transaction_timeout_ms / 1000
        self._begun = False
        self._refused: KafkaError | None = None
        self._producer = Producer(
            {
                "bootstrap.servers": bootstrap_servers,
                "transactional.id": transactional_id,
                "transaction.timeout.ms": transaction_timeout_ms,
                # Sizes are checked before produce(); the client must not refuse what the broker would take.
                "message.max.bytes": min(message_max_bytes + 65536, 1_000_000_000),
                # The brokers hold `max.message.bytes` against the whole record batch.
                "batch.size": max(1, min(batch_max_bytes, 1_000_000)),
                # As Kafka's own clients: keep a key in its partition as long as the number of partitions stays.
                "partitioner": "murmur2_random",
                "linger.ms": 5,
                "queue.buffering.max.messages": 1_000_000,
                "queue.buffering.max.kbytes": 262_144,
                "delivery.report.only.error": True,
                "on_delivery": self._on_delivery_error,
                "allow.auto.create.topics": False,
            }
        )
        self._call(lambda: self._producer.init_transactions(5.0))

    def produce(
        self,
        topic: str,
        value: bytes | None,
        key: bytes | None,
        timestamp_ms: int,
        headers: list[Header],
    ) -> None:
        """Add a message to the transaction, waiting while the queue is full. Raises TransactionLost."""
        if not self._begun:
            self._call(self._producer.begin_transaction)
            self._begun = True
        while True:
            try:
                self._producer.produce(topic, value, key, timestamp=timestamp_ms, headers=headers)  # type: ignore[arg-type]  # list is invariant
                return
            except BufferError:
                self._producer.poll(0.05)
                self._heartbeat()
            except KafkaException as error:
                raise TransactionLost(error.args[0].str()) from error

    def poll(self) -> None:
        """Serve delivery reports."""
        self._producer.poll(0)

    def commit(self, offsets: Sequence[TopicPartition], group_metadata: object) -> None:
        """Commit the messages and these positions together.

        Raises TransactionLost. The outcome is then unknown: the next producer's `init_transactions` settles it, and the
        positions in the group tell it.
        """
        if not self._begun:
            self._call(self._producer.begin_transaction)
        self._begun = True
        self._call(lambda: self._producer.send_offsets_to_transaction(list(offsets), group_metadata, 5.0))
        self._call(lambda: self._producer.commit_transaction(5.0))
        self._begun = False

    def close(self) -> None:
        """Abort what is open, if the brokers answer, and release the client."""
        # What cannot be aborted now the brokers abort after the timeout, or when the next producer opens.
        with contextlib.suppress(KafkaException):
            if self._begun:
                self._producer.abort_transaction(2.0)
        with contextlib.suppress(KafkaException):
            self._producer.purge()
        # Not Producer.close(), which flushes, and raises after a fatal error: dropping the reference ends the client.
        del self._producer

    def _on_delivery_error(self, error: KafkaError, _message: object) -> None:
        self._refused = error

    def _call(self, action: Callable[[], object]) -> None:
        """Repeat a transactional call while the client says that it may be repeated, and patience lasts."""
        started = time.monotonic()
        while True:
            try:
                action()
                return
            except KafkaException as exception:
                error: KafkaError = exception.args[0]
                waited = time.monotonic() - started
                if error.retriable() and waited < self._patience_s:
                    self._heartbeat()
                    continue
                detail = f" (a message was refused: {self._refused.str()})" if self._refused else ""
                raise TransactionLost(f"{error.name()}: {error.str()}{detail}") from exception
