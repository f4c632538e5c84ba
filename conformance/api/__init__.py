"""The HTTP API, asked everything that its OpenAPI document allows, and more."""
