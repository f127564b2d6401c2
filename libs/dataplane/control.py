"""The shard's side of `sluice.control`: what the deployer last said to this job."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from google.protobuf.message import DecodeError

from libs.dataplane.batches import InputMessage
from sluice.dataplane.v1 import control_pb2


@dataclass(slots=True)
class ControlInbox:
    """Keeps the newest record of one job; everything else on the topic is somebody else's."""

    job: str
    incarnation: int
    record: control_pb2.ControlRecord = field(default_factory=control_pb2.ControlRecord)

    def receive(self, message: InputMessage) -> None:
        """Take one record of the control topic. Records of other jobs and tombstones are passed over."""
        key, value = message.key(), message.value()
        if key is None or value is None or key.decode(errors="replace") != self.job:
            return
        record = control_pb2.ControlRecord()
        try:
            record.ParseFromString(value)
        except DecodeError:
            return
        if record.incarnation >= self.record.incarnation:
            self.record = record

    @property
    def superseded_by(self) -> int | None:
        """The newer incarnation that the deployer has started, if there is one."""
        return self.record.incarnation if self.record.incarnation > self.incarnation else None

    @property
    def stop(self) -> bool:
        """True when this incarnation was told to stop."""
        return self.record.stop and self.record.incarnation == self.incarnation

    @property
    def known_partitions(self) -> Mapping[str, int]:
        """Topic id → number of partitions whose positions were reported as committed."""
        return {topic.topic_id: topic.partitions for topic in self.record.known_topics}
