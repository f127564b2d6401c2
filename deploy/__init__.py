"""What it takes to run Sluice: the local stack, its pinned jars and the SDK worker pool."""
