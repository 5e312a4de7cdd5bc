"""Tests of writing the past."""
