"""``python -m nbnas``."""

import sys

from nbnas.cli import main

if __name__ == "__main__":
    sys.exit(main())
