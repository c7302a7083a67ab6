"""Matplotlib draws without a word on the screen."""

import logging
import warnings


def quiet_plots() -> None:
    """Keep back what matplotlib says of fonts.

    A class name in letters that its font lacks is drawn as boxes in a figure; the tables beside it
    hold the name. A person can do nothing about it here, and hundreds of lines would hide the rest.
    """
    warnings.filterwarnings("ignore", message=r"Glyph .* missing from")
    # It says that it builds a cache of fonts, once a machine.
    logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)
