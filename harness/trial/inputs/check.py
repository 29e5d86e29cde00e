"""python -m harness.trial.inputs.check REQUEST ANSWER: read the items of a user's Dataset, and write what is wrong."""

from __future__ import annotations

import sys
from pathlib import Path

from harness.data.empty import why_empty
from harness.data.open import split_names
from harness.data.own_items import ANSWER, REQUEST, ItemsRequest, SplitItems
from harness.errors import DataError
from harness.trial.inputs.read_items import read_items
from harness.trial.inputs.user_dataset import UserItems


def check_items(request: ItemsRequest) -> dict[str, SplitItems]:
    """Read the items of every split that can be opened, as far as time allows."""
    dataset, opened = request.dataset, {}
    found: dict[str, SplitItems] = {}
    for name in split_names(dataset):
        try:
            items = UserItems(name, getattr(dataset, name), dataset.classes, None, Path(request.import_folder))
        except DataError as error:
            found[name] = SplitItems(items=0, read=0, boxes=0, problems=(str(error),), empty=None)
            continue
        if len(items):
            opened[name] = items
        else:
            empty = why_empty(name, images=0, boxes=None)
            found[name] = SplitItems(items=0, read=0, boxes=0, problems=(), empty=empty)
    for name, split in read_items(opened, request.image_sizes, workers=0).items():
        found[name] = SplitItems(
            items=len(opened[name]),
            read=split.read,
            boxes=int(split.boxes.sum()),
            problems=tuple(map(str, split.problems)),
            empty=split.empty,
        )
    return {name: found[name] for name in split_names(dataset)}


if __name__ == "__main__":
    request_file, answer_file = map(Path, sys.argv[1:])
    answer = check_items(REQUEST.validate_json(request_file.read_bytes()))
    answer_file.write_bytes(ANSWER.dump_json(answer))
