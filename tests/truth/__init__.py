"""The values every exported series must have, computed straight from the demo organisation's records."""
