"""The tests: `pure` and `host` in CPython, `browser` in real engines, on the same `ground`."""
