"""`python -m apps.forecast`: the same as `appline forecast`."""

import sys

from apps.start import main

if __name__ == "__main__":
    main(["forecast", *sys.argv[1:]])
