"""`python -m apps.recommend`: the same as `appline recommend`."""

import sys

from apps.start import main

if __name__ == "__main__":
    main(["recommend", *sys.argv[1:]])
