"""Hostile clients and upstreams, load and crashes."""
