"""Entry point of `python -m daemon`."""

import sys

from daemon.cli.main import main

sys.exit(main())
