"""``python -m edge``: the ``maskgate`` command."""

import sys

from edge.cli import main

sys.exit(main())
