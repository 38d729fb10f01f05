//! The agent's side of Claviger: library, MCP server for any host, command line.
