"""Tests of the endpoints' outer side: who may read them, over what, and where they are."""
