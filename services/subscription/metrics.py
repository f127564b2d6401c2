"""The closed list of the subscription service's own metrics."""

from prometheus_client import Counter, Gauge, Histogram

SUBSCRIPTIONS = Gauge("sluice_subscriptions", "Subscriptions by state, as of the last look at all", ["state"])
UNSETTLED_SECONDS = Gauge(
    "sluice_subscription_unsettled_seconds", "How long the longest reconciling subscription is in its state"
)
BACKING_OFF = Gauge("sluice_subscription_backing_off", "Subscriptions that wait to be tried again")
# Labels: `step` is one of decide.Step, `outcome` one of done, conflict, unavailable, refused, error.
STEPS = Counter("sluice_subscription_steps_total", "Steps taken by the loop", ["step", "outcome"])
COMPILE_SECONDS = Histogram(
    "sluice_subscription_compile_seconds",
    "Time to compile one subscription, without asking other services",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5),
)
