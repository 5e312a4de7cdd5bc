"""Tests of the demo organisation and of its copies of the four APIs."""
