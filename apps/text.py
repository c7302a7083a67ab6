"""`python -m apps.text`: the same as `appline text`."""

import sys

from apps.start import main

if __name__ == "__main__":
    main(["text", *sys.argv[1:]])
