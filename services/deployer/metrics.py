"""The closed list of the deployer's own metrics."""

from prometheus_client import Counter, Gauge

JOBS = Gauge("sluice_deployer_jobs", "Jobs by state", ["state"])
DECISIONS = Counter("sluice_deployer_actions_total", "Actions begun, by kind", ["action"])
SUBMISSIONS = Counter("sluice_deployer_submissions_total", "Submissions to the runner", ["outcome"])
FAILURES = Counter("sluice_deployer_reconcile_errors_total", "Unexpected errors while reconciling a job")
