"""The only place of the deployer that imports Flink's REST client, Kafka and Beam."""
