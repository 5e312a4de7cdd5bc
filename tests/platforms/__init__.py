"""The platform modules against fake platforms: recorded and documented replies in, sample lines out."""
