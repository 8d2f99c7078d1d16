"""Entry point of `python -m daemon`."""

import sys

try:
    from daemon.cli.main import main
except ModuleNotFoundError as error:  # a tree without its dependencies
    if (error.name or "").partition(".")[0] in {"collectors", "exporters", "daemon"}:
        raise
    sys.exit(
        f"vitald: no module {error.name}; expected an installation: make install, or pip install --editable . in an environment of its own"
    )

if __name__ == "__main__":
    sys.exit(main())
