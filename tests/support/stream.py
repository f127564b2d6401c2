"""Continuous input, and the proof that each event came out once and in order."""

import json
import threading

from confluent_kafka import Producer

from tests.support.jobs import end_offsets, produce_events, read_topic
from tests.support.waiting import eventually

KEYS = 97


class Input:
    """Numbers 0, 1, 2, ... as events without pause until paused; number n goes to partition n mod `partitions`."""

    def __init__(self, bootstrap_servers: str, topic: str, partitions: int, per_second: int = 1000) -> None:
        self._producer = Producer({"bootstrap.servers": bootstrap_servers, "enable.idempotence": True})
        self._topic, self._partitions = topic, partitions
        self._burst = per_second // 10
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self.count = 0

    def __enter__(self) -> "Input":
        self.resume()
        return self

    def __exit__(self, *_: object) -> None:
        self.pause()

    def resume(self) -> None:
        """Produce again; does nothing while it produces, for a second thread would repeat the first one's numbers."""
        if self._thread is not None:
            return
        self._stop.clear()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def pause(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _run(self) -> None:
        while not self._stop.is_set():
            numbers = range(self.count, self.count + self._burst)
            produce_events(self._producer, self._topic, numbers, self._partitions)
            self.count += self._burst
            self._stop.wait(0.1)


def grows(bootstrap_servers: str, topic: str, seconds: float = 90.0) -> None:
    """Wait until commits add to the topic: offsets count markers too, so ask for more than one commit's worth."""
    before = end_offsets(bootstrap_servers, topic)
    eventually(lambda: end_offsets(bootstrap_servers, topic) > before + 100, seconds, f"new rows in {topic}")


def assert_each_once_in_order(bootstrap_servers: str, topic: str, source: Input, partitions: int) -> None:
    """Every number produced so far is there once, in order per key; (partition, offset) never repeats."""
    source.pause()
    eventually(
        lambda: len(read_topic(bootstrap_servers, topic)) >= source.count,
        90,
        "the rest of the rows",
        every_s=1,
    )
    rows = [json.loads(message.value() or b"") for message in read_topic(bootstrap_servers, topic)]
    numbers = [row["number"] for row in rows]
    assert len(numbers) == len(set(numbers)), f"{len(numbers) - len(set(numbers))} rows are there twice"
    assert set(numbers) == set(range(source.count)), f"{source.count - len(set(numbers))} rows are missing"
    places = {(row["p"], row["o"]) for row in rows}
    assert len(places) == len(rows), "an input offset came out twice"
    newest: dict[tuple[int, int], int] = {}
    for number in numbers:
        key = number % KEYS, number % partitions
        assert newest.get(key, -1) < number, f"key {key[0]}: {number} came after {newest[key]}"
        newest[key] = number
