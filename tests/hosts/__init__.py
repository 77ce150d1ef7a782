"""Tests of the examples in demo/hosts: each is run as it is, but for its addresses."""
