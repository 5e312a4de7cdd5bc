"""Tests of the client of a platform."""
