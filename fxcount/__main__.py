"""``python -m fxcount``."""

import sys

from fxcount.cli.main import main

sys.exit(main())
