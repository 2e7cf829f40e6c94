"""From a workstation onto devices over SSH: build a release with everything it needs, send it, try it, switch to it."""
