"""Installing on devices over SSH."""
