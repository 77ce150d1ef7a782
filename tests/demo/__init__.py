"""Tests of the demo page, and of the folder that it can be hosted as."""
