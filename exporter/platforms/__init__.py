"""One module per platform, the only code that knows that platform."""
