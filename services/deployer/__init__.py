"""The deployer: keeps every job on its runner as desired. The only service that talks to a Beam runner.

`model` and `decide` are pure; `ports` says what the service needs; `adapters` does it; `loop` observes,
decides, records the intent and acts; `servicer` is the API. See docs/deployer.md.
"""
