"""The kinds of problems that labelled images can have: code, severity, meaning and what to do about each.

Owns that table, which is only data; its order is that of what is shown. `harness.data.problems` collects them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Code:
    """One kind of problem; `always` is set for an error that leaving out bad entries does not mend."""

    severity: Severity
    message: str
    hint: str
    always: bool = False


CODES: dict[str, Code] = {
    "unreadable_annotation": Code(
        "error", "annotations that cannot be read", "correct the entry or export it again from the labelling tool"
    ),
    "other_format": Code(
        "error",
        "labels in another format than those that are read, or than the one that is named",
        "export or convert them as it says, to COCO for example; or name their format, or auto",
        always=True,
    ),
    "missing_folder": Code(
        "error",
        "folders or lists of images that are named, but do not exist or hold no image",
        "correct the entry, or copy it into place; entries are relative to `path:`, or to the file's own folder",
        always=True,
    ),
    "missing_image": Code(
        "error", "images that are labelled but missing", "copy them into place, or remove their annotations"
    ),
    "ambiguous_image_folder": Code(
        "error",
        "labels that could belong to the images of either of two folders",
        "name the folder: --images DIR, or images: in the suite",
        always=True,
    ),
    "bad_item": Code(
        "error",
        "items of a Dataset of your own that cannot be used, or the Dataset itself",
        "correct the class; an item is an image, float [3, H, W] in 0–1, and a dict of the tensors boxes and labels",
    ),
    "unreadable_image": Code(
        "error", "files that cannot be read as an image", "do what is said of each image; or remove it and its labels"
    ),
    "path_escapes_root": Code(
        "error",
        "image paths that leave the folder of the images",
        "write paths relative to that folder, with forward slashes; copy what lies elsewhere into it",
    ),
    "duplicate_image_id": Code(
        "error", "images that are described more than once", "give every image one id, one name and one entry"
    ),
    "name_conflict": Code(
        "error",
        "label files that are named after one image and name another one inside",
        "rename the file or correct the name inside; or say which of the two is right for all files: "
        "on_name_conflict: stem (the name of the file) or inside",
    ),
    "duplicate_annotation_id": Code(
        "error", "annotation ids that occur more than once", "give every annotation an id of its own"
    ),
    "unknown_image_id": Code(
        "error", "annotations of images that are not in the file", "add the image's entry, or delete the annotation"
    ),
    "unknown_class": Code(
        "error",
        "boxes of a class that is not in the list of classes",
        "add the class to the list (of train, where each split has its own), or correct the box's class",
    ),
    "not_a_number": Code(
        "error", "boxes with a value that is not a finite number", "write four finite numbers, or delete the box"
    ),
    "degenerate_box": Code("error", "boxes without area, or with swapped corners", "draw the box again, or delete it"),
    "box_outside_image": Code(
        "error",
        "boxes that lie entirely outside their image",
        "check the image's size and the unit of the numbers; delete the box if it is a mistake",
    ),
    "boxes_in_fractions": Code(
        "error",
        "files whose boxes are fractions of their image's sides, where their format has pixels",
        "say normalised: true in the suite's dataset; or multiply by the image's width and height",
        always=True,
    ),
    "boxes_in_pixels": Code(
        "error",
        "files whose boxes are pixels, where the suite says normalised: true",
        "remove normalised: true; or divide the boxes that are in pixels by the image's width and height",
        always=True,
    ),
    "corners_as_sizes": Code(
        "error",
        "files with two corners (x1, y1, x2, y2) in the place of x, y, width and height",
        "write width = x2 - x1 and height = y2 - y1; in a CSV, name the columns by what they hold "
        "(columns: {x2: width, y2: height})",
        always=True,
    ),
    "sizes_as_corners": Code(
        "error",
        "files with x, y, width and height in the place of two corners (x1, y1, x2, y2)",
        "write x2 = x + width and y2 = y + height; in a CSV, name the columns by what they hold "
        "(columns: {w: x2, h: y2})",
        always=True,
    ),
    "corner_or_centre": Code(
        "error",
        "files whose x and y are the boxes' centre where their format has the upper left corner, or the reverse",
        "add or subtract half the width and height; in a CSV, name the columns by what they hold "
        "(columns: {cx: x, cy: y}, or {x1: x, y1: y})",
        always=True,
    ),
    "empty_split": Code(
        "error",
        "splits without a usable image, or without a box to learn from or to measure accuracy on",
        "add images and labels to the split, or remove it; check whether its labels were found",
        always=True,
    ),
    "ungrouped_image": Code(
        "error",
        "images whose name group_by does not match",
        "correct the expression, so that images that belong together cannot lie in two splits; or set split: "
        "{ungrouped: allow}, and each such image is a group of its own",
        always=True,
    ),
    "image_lost_in_resize": Code(
        "error",
        "images of which a side is shorter than a pixel after the detector's resize",
        "crop the image, or remove it; or raise image_size (min, and max for long images)",
        always=True,
    ),
    "box_lost_in_resize": Code(
        "error",
        "boxes thinner than 0.01 pixels after the detector's resize",
        "draw the box again, or delete it; or raise image_size",
        always=True,
    ),
    "leakage": Code(
        "error",
        "images that are in two splits, pixel for pixel",
        "keep each image in one split: accuracy on an image that was trained on means nothing",
    ),
    "several_formats": Code(
        "warning",
        "labels in several formats, of which one is read",
        "name the format that is meant (format: in the suite, --format here), or move the other labels away",
    ),
    "unused_labels": Code(
        "warning",
        "label files that are not read, since they belong to no split and others do",
        "nothing, if they are not meant; else name each after its split (train, val, test), or move it into a folder "
        "that is; or name the files in the suite, split by split",
    ),
    "box_crosses_border": Code(
        "warning",
        "boxes that reach more than half a pixel over their image's border",
        "nothing: they are clipped to the image when read",
    ),
    "left_out": Code(
        "warning",
        "entries that are no object, such as points, tags, denied boxes and unlabelled tasks; they are left out",
        "nothing, if that is right; else draw each object as a box or a polygon",
    ),
    "grouped_shapes": Code(
        "warning",
        "CVAT files in which grouped shapes of one label are read as one object each, as CVAT's own COCO export does",
        "nothing, if the shapes are parts of one object; else remove the groups in CVAT, and export again",
    ),
    "corners_from_zero": Code(
        "warning",
        "VOC files whose corners count pixels from 0, though VOC counts from 1",
        "set corners_from: 0 in the suite, which reads them exactly; without it each box begins one pixel further left "
        "and above, or at the border",
    ),
    "duplicate_box": Code(
        "warning", "boxes drawn twice: same class, IoU above 0.95", "delete one of the two; both count as objects"
    ),
    "tiny_box": Code(
        "warning",
        "boxes below 16 pixels² or thinner than 2 pixels",
        "check whether they are slips of the mouse; detectors hardly learn objects this small",
    ),
    "not_normalized": Code(
        "warning",
        "YOLO values above 1",
        "divide by the image's width and height; values of 2 and more are read as pixels, smaller ones clipped",
    ),
    "size_mismatch": Code(
        "warning",
        "images whose size differs from the size in their annotations",
        "check whether the boxes fit (harness data show): the image file's size counts, boxes are not rescaled",
    ),
    "exif_rotated": Code(
        "warning",
        "images that are turned by their EXIF orientation",
        "nothing, if the boxes were drawn on the upright image: every command here turns it upright first",
    ),
    "corrupt_tail": Code(
        "warning",
        "JPEGs that end early",
        "get the original again; the missing part is trained on as a uniform area",
    ),
    "name_inside_missing": Code(
        "warning",
        "label files that name no image, or one that is not there; the image that they are named after is used",
        "check that the boxes fit (harness data show), and correct the name inside; or set on_name_conflict: stem, "
        "which says that the names of the files are right",
    ),
    "ignored_label": Code(
        "warning",
        "LabelMe shapes whose label says that they are no object (__ignore__, _background_); they are left out",
        "nothing, if they are none; else list the label under classes in the suite, which reads them as boxes",
    ),
    "no_label_file": Code(
        "warning",
        "images without a label file: they are read as images without objects",
        "nothing, if there are no objects in them (an empty label file says so); else label them, or check where their "
        "label files lie",
    ),
    "test_read_as_val": Code(
        "warning",
        "Darknet lists called test that are read as val, since no other list is there to evaluate on during training",
        "nothing, if that is meant; else add a list for val, called valid.txt, or name the splits in the suite",
    ),
    "missing_test_folder": Code(
        "warning",
        "a test split that is named but does not exist; the other splits are read",
        "nothing, if there is no test split: accuracy is measured on val then; else correct the entry, or copy the "
        "folder into place",
    ),
    "absent_folder": Code(
        "warning",
        "files whose image names begin with a folder that is not there; the images are read without it",
        "check that they are the right images (harness data show); or name the folder of the images (images:)",
    ),
    "dark_image": Code(
        "warning",
        "16-bit images whose values use no more than 12 bits: they become nearly black",
        "scale the values up and save them again; or let a TIFF declare its depth (MaxSampleValue 4095)",
    ),
    "name_case_mismatch": Code(
        "warning",
        "image names whose upper and lower case differs from the file's",
        "rename one of the two; the file is found here, but not by every tool",
    ),
    "name_unicode_mismatch": Code(
        "warning",
        "image names whose accents are written in another Unicode form (NFC, NFD) than the file's",
        "nothing here: the file is found; for other tools, rename the files to NFC, which the labels most often have",
    ),
    "ungrouped_image_allowed": Code(
        "warning",
        "images whose name group_by does not match; each is a group of its own (ungrouped: allow)",
        "check that no two of them belong together, or match them too",
    ),
    "unnamed_classes": Code(
        "warning",
        "files that do not name all of their classes; these are called by their numbers or ids",
        "add the names, so that the report says them and other splits mean the same classes",
    ),
    "class_without_boxes": Code(
        "warning", "classes without a single box", "remove the class from the list, or label some of its objects"
    ),
    "class_missing_in_split": Code(
        "warning",
        "classes that have boxes in one split and none in another",
        "split again (split: {stratify: true}), or add images: a class is not learned without boxes in train, and not "
        "measured without boxes in val or test",
    ),
    "rare_class": Code(
        "warning",
        "classes with few boxes to train on: below 10, and below a fifth of the average class",
        "label more of them, or expect that the detectors miss them",
    ),
    "near_duplicate_images": Code(
        "warning",
        "images in two splits that look the same",
        "put frames of one video, or copies of one image, into one split (split: {group_by: …})",
    ),
}
