"""Avro schemas and messages: what Sluice reads, writes, and refuses. Knows nothing of Kafka or Beam."""
