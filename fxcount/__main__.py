"""``python -m fxcount``."""

import sys

from fxcount.cli import main

sys.exit(main())
