"""Annotations as COCO has them: objects with boxes, read as the one class that an image shows."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipelines.errors import DataError, shorten
from pipelines.io.text_files import read_text

KEYS = ("images", "annotations", "categories")
SHOWN_IMAGES = 3


def labels_of(path: Path) -> dict[str, str] | None:
    """Return the class of each image by its file name, "" where none is annotated.

    It is None where a JSON file does not hold COCO's lists of images, annotations and categories.

    Raises:
        DataError: images show several classes, or the lists do not fit each other.
    """
    content = _read(path)
    if content is None:
        return None
    names: dict[Any, str] = {}
    for category in content["categories"]:
        names[category.get("id")] = str(category.get("name", category.get("id")))
    found: dict[Any, set[str]] = {}
    for annotation in content["annotations"]:
        number = annotation.get("category_id")
        if number not in names:
            raise DataError(f"{path}: an annotation has the category {number!r}, which is in none")
        found.setdefault(annotation.get("image_id"), set()).add(names[number])
    labels, several = {}, []
    for image in content["images"]:
        name = str(image.get("file_name", ""))
        classes = sorted(found.get(image.get("id"), set()))
        labels[name] = classes[0] if classes else ""
        if len(classes) > 1:
            several.append(f"{name} ({', '.join(classes)})")
    if several:
        raise DataError(
            f"{path}: {len(several):,} images show objects of several classes: "
            f"{shorten(several, SHOWN_IMAGES)}. Expected one class for each image; cut the objects "
            "out along their boxes, or give a table with the columns path and label"
        )
    return labels


def _read(path: Path) -> Mapping[str, Any] | None:
    try:
        content = json.loads(read_text(path))
    except (ValueError, RecursionError):
        return None
    if not isinstance(content, Mapping):
        return None
    for key in KEYS:
        rows = content.get(key)
        if not isinstance(rows, list) or not all(isinstance(row, Mapping) for row in rows):
            return None
    return content
