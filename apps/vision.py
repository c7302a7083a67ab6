"""`python -m apps.vision`: the same as `appline vision`."""

import sys

from apps.start import main

if __name__ == "__main__":
    main(["vision", *sys.argv[1:]])
