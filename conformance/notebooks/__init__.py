"""Notebooks run directly by nbclient and through kmux, whose export must say the same."""
