"""``python -m edge``: the ``maskgate`` command."""

from edge.cli import program

program()
