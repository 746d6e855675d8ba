"""``python -m mida`` is the command ``mida``."""

import sys

from .cli import main

sys.exit(main())
