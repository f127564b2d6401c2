"""What every gRPC service of Sluice shares: settings, server, errors, validation, AIP semantics, client.

Import from the modules: `settings`, `run`, `server`, `errors`, `validation`, `client`, `pagination`, `etag`,
`update_mask`, `resource_names`, `tracing`, `logs`, `background`, `watch`. This package knows no service and
no proto of Sluice.
"""
