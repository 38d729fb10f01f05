//! MCP adapters of Claviger: a host that mints and sends, and one thin shaping module a service.
