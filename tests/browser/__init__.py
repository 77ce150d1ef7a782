"""Tests in real engines."""
