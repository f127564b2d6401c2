"""What tenants talk to: a statement over a dataset becomes a job, and stays in step with schemas and Kafka."""
