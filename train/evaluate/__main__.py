"""Run ``python -m train.evaluate``."""

import sys

from train.evaluate.report import main

sys.exit(main())
