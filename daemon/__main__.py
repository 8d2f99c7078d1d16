"""`python -m daemon` is `vitald`."""

import sys

from daemon.cli import main

sys.exit(main())
