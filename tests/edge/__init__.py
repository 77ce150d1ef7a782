"""Tests of the worker for a CDN's edge, in workerd."""
