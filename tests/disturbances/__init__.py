"""What may happen to a running exporter from outside, one after the other and all at once, and what comes of it.

`python -m tests.disturbances FOLDER` runs in a network and a mount namespace of its own; see `__main__`.
"""
