"""The command `stepwire`, for where it is not on the path: `python -m stepwire`."""

import sys

from stepwire.cli import main

sys.exit(main())
