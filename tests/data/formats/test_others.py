"""Exports that are not read are named, with what to do; none is read as another format."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from harness.data.check import check
from harness.data.formats.others import OTHERS
from harness.data.formats.recognise import format_of
from harness.data.load import load
from harness.data.loaded import LoadedDataset
from harness.suite.schema import FilesDataset, LabelledImages, SplitRule
from tests.conftest import Command
from tests.data.shots import shots, write_images
from tests.data.write import FORMATS, dataset, label_file


def _lines(*rows: dict[str, Any]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


# Each as its tool writes it, with the beginning of what is said.
SAMPLES: dict[str, tuple[str, Any]] = {
    "pointer.json": (
        "a Git LFS pointer",
        "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935\nsize 12345\n",
    ),
    "predictions.json": (
        "a COCO results file",
        [{"image_id": 7, "category_id": 1, "bbox": [1.5, 2, 30, 40], "score": 0.93}],
    ),
    "segm.json": (
        "a COCO results file",
        [{"image_id": 7, "category_id": 1, "segmentation": {"size": [9, 9], "counts": "0P1"}, "score": 0.2}],
    ),
    "ultralytics.json": (
        "a COCO results file",
        [{"image_id": 7, "file_name": "a.jpg", "category_id": 1, "bbox": [1, 2, 3, 4], "score": 0.9}],
    ),
    "annotations.json": (
        "a list of COCO annotations",
        [{"id": 1, "image_id": 7, "category_id": 1, "bbox": [1, 2, 3, 4], "iscrowd": 0, "area": 12}],
    ),
    "panoptic_val2017.json": (
        "a COCO panoptic file",
        {
            "images": [{"id": 1, "file_name": "a.jpg", "width": 9, "height": 9}],
            "annotations": [
                {
                    "image_id": 1,
                    "file_name": "a.png",
                    "segments_info": [{"id": 5, "category_id": 1, "bbox": [1, 2, 3, 4], "area": 9, "iscrowd": 0}],
                }
            ],
            "categories": [{"id": 1, "name": "a", "isthing": 1}],
        },
    ),
    "captions_val2017.json": (
        "a COCO captions file",
        {
            "images": [{"id": 1, "file_name": "a.jpg", "width": 9, "height": 9}],
            "annotations": [{"image_id": 1, "id": 3, "caption": "A disc."}],
        },
    ),
    "person_keypoints.json": (
        "a COCO keypoints file without boxes",
        {
            "images": [{"id": 1, "file_name": "a.jpg", "width": 9, "height": 9}],
            "annotations": [{"image_id": 1, "id": 3, "category_id": 1, "keypoints": [1, 2, 2], "num_keypoints": 1}],
            "categories": [{"id": 1, "name": "person", "keypoints": ["nose"], "skeleton": []}],
        },
    ),
    "a.jpg.json": (
        "a Supervisely project",
        {
            "description": "",
            "tags": [],
            "size": {"height": 96, "width": 96},
            "objects": [
                {
                    "id": 1,
                    "classTitle": "disc",
                    "geometryType": "rectangle",
                    "points": {"exterior": [[1, 2], [30, 40]], "interior": []},
                }
            ],
        },
    ),
    "meta.json": (
        "the list of classes of a Supervisely project",
        {"classes": [{"title": "disc", "shape": "rectangle", "color": "#FF0000"}], "tags": []},
    ),
    "output.manifest": (
        "an Amazon SageMaker Ground Truth manifest",
        _lines(
            {
                "source-ref": "s3://bucket/a.jpg",
                "boxes": {
                    "image_size": [{"width": 96, "height": 96, "depth": 3}],
                    "annotations": [{"class_id": 0, "left": 1, "top": 2, "width": 30, "height": 40}],
                },
                "boxes-metadata": {"class-map": {"0": "disc"}, "type": "groundtruth/object-detection"},
            }
        ),
    ),
    "export.ndjson": (
        "a Labelbox export",
        _lines(
            {
                "data_row": {"id": "c1", "external_id": "a.jpg", "row_data": "https://storage/a.jpg"},
                "media_attributes": {"height": 96, "width": 96, "asset_type": "image"},
                "projects": {
                    "p1": {
                        "labels": [
                            {
                                "annotations": {
                                    "objects": [
                                        {
                                            "name": "disc",
                                            "annotation_kind": "ImageBoundingBox",
                                            "bounding_box": {"top": 2, "left": 1, "height": 40, "width": 30},
                                        }
                                    ]
                                }
                            }
                        ]
                    }
                },
            }
        ),
    ),
    "labelbox.json": (
        "a Labelbox export",
        [
            {
                "ID": "c1",
                "Labeled Data": "https://storage/a.jpg",
                "Label": {"objects": [{"title": "disc", "bbox": {"top": 2, "left": 1, "height": 40, "width": 30}}]},
                "External ID": "a.jpg",
            }
        ],
    ),
    "labelbox.csv": (
        "a Labelbox export",
        'ID,DataRow ID,Labeled Data,Label,Created By,Project Name\nc1,c2,https://storage/a.jpg,"{}",me,boxes\n',
    ),
    "vott-json-export/boxes-export.json": (
        "a VoTT project",
        {
            "name": "boxes",
            "securityToken": "boxes Token",
            "videoSettings": {"frameExtractionRate": 15},
            "tags": [{"name": "disc", "color": "#5db300"}],
            "version": "2.2.0",
            "assets": {
                "0d2": {
                    "asset": {"format": "jpg", "id": "0d2", "name": "a.jpg", "size": {"width": 96, "height": 96}},
                    "regions": [
                        {
                            "id": "r1",
                            "type": "RECTANGLE",
                            "tags": ["disc"],
                            "boundingBox": {"height": 40, "width": 30, "left": 1, "top": 2},
                            "points": [{"x": 1, "y": 2}, {"x": 31, "y": 42}],
                        }
                    ],
                    "version": "2.2.0",
                }
            },
        },
    ),
    "boxes.vott": (
        "a VoTT project",
        {"name": "boxes", "videoSettings": {}, "tags": [], "assets": {"0d2": {"name": "a.jpg"}}, "version": "2.2.0"},
    ),
    "vott1.json": (
        "a project of VoTT 1",
        {
            "frames": {"a.jpg": [{"x1": 1, "y1": 2, "x2": 31, "y2": 42, "id": 0, "tags": ["disc"], "name": 1}]},
            "framerate": "1",
            "inputTags": "disc",
            "suggestiontype": "track",
        },
    ),
    "bdd100k_labels_images_val.json": (
        "labels of BDD100K",
        [
            {
                "name": "a.jpg",
                "attributes": {"weather": "clear"},
                "timestamp": 10000,
                "labels": [{"id": 0, "category": "car", "box2d": {"x1": 1, "y1": 2, "x2": 31, "y2": 42}}],
            }
        ],
    ),
    "datumaro/train.json": (
        "a Datumaro dataset",
        {
            "dm_format_version": "1.0",
            "infos": {},
            "categories": {"label": {"labels": [{"name": "disc", "parent": ""}]}},
            "items": [
                {
                    "id": "a",
                    "annotations": [{"id": 0, "type": "bbox", "label_id": 0, "bbox": [1, 2, 30, 40]}],
                    "image": {"path": "a.jpg", "size": [96, 96]},
                }
            ],
        },
    ),
    "darwin2.json": (
        "V7 Darwin JSON",
        {
            "version": "2.0",
            "item": {"name": "a.jpg", "path": "/", "slots": [{"slot_name": "0", "width": 96, "height": 96}]},
            "annotations": [
                {"id": "b", "name": "disc", "bounding_box": {"h": 40, "w": 30, "x": 1, "y": 2}, "slot_names": ["0"]}
            ],
        },
    ),
    "darwin1.json": (
        "V7 Darwin JSON",
        {
            "dataset": "boxes",
            "image": {"filename": "a.jpg", "width": 96, "height": 96, "workview_url": "https://darwin/1"},
            "annotations": [{"name": "disc", "bounding_box": {"h": 40, "w": 30, "x": 1, "y": 2}}],
        },
    ),
    "vertex.jsonl": (
        "import data of Google Vertex AI",
        _lines(
            {
                "imageGcsUri": "gs://bucket/a.jpg",
                "boundingBoxAnnotations": [{"displayName": "disc", "xMin": 0.1, "yMin": 0.1, "xMax": 0.3, "yMax": 0.3}],
                "dataItemResourceLabels": {"aiplatform.googleapis.com/ml_use": "training"},
            }
        ),
    ),
    "automl.csv": (
        "a CSV of Google Vertex AI or AutoML",
        "TRAIN,gs://bucket/a.jpg,disc,0.1,0.1,,,0.3,0.3,,\nUNASSIGNED,gs://bucket/b.jpg,disc,0.1,0.1,,,0.3,0.3,,\n",
    ),
    "azure.jsonl": (
        "data of Azure Machine Learning",
        _lines(
            {
                "image_url": "azureml://subscriptions/x/paths/a.jpg",
                "image_details": {"format": "jpg", "width": "96px", "height": "96px"},
                "label": [{"label": "disc", "topX": 0.1, "topY": 0.1, "bottomX": 0.3, "bottomY": 0.3, "isCrowd": 0}],
            }
        ),
    ),
    "custom_vision.json": (
        "data of Azure Custom Vision",
        [{"id": "i", "regions": [{"tagName": "disc", "left": 0.1, "top": 0.1, "width": 0.2, "height": 0.2}]}],
    ),
    "scale.json": (
        "a Scale AI export",
        [
            {
                "task_id": "5f",
                "params": {"attachment": "s3://bucket/a.jpg"},
                "response": {
                    "annotations": [{"label": "disc", "type": "box", "left": 1, "top": 2, "width": 30, "height": 40}]
                },
            }
        ],
    ),
    "nucleus.json": (
        "annotations of Scale Nucleus",
        [{"reference_id": "a", "type": "box", "label": "disc", "geometry": {"x": 1, "y": 2, "width": 3, "height": 4}}],
    ),
    "samples.json": (
        "a FiftyOne dataset",
        {
            "samples": [
                {
                    "filepath": "data/a.jpg",
                    "ground_truth": {
                        "_cls": "Detections",
                        "detections": [{"_cls": "Detection", "label": "disc", "bounding_box": [0.1, 0.1, 0.2, 0.2]}],
                    },
                }
            ]
        },
    ),
    "fiftyone_labels.json": (
        "a FiftyOneImageDetectionDataset",
        {"classes": ["disc"], "labels": {"a": [{"label": 0, "bounding_box": [0.1, 0.1, 0.2, 0.2]}]}},
    ),
    "openmmlab.json": (
        "an OpenMMLab dataset",
        {
            "metainfo": {"classes": ["disc"]},
            "data_list": [{"img_path": "a.jpg", "instances": [{"bbox": [1, 2, 31, 42], "bbox_label": 0}]}],
        },
    ),
    "middle.json": (
        "a dataset in MMDetection's middle format",
        [{"filename": "a.jpg", "width": 96, "height": 96, "ann": {"bboxes": [[1, 2, 31, 42]], "labels": [0]}}],
    ),
    "aachen_000000_000019_gtFine_polygons.json": (
        "labels of Cityscapes",
        {"imgHeight": 96, "imgWidth": 96, "objects": [{"label": "car", "polygon": [[1, 2], [30, 2], [30, 40]]}]},
    ),
    "sa_223750.json": (
        "masks of SA-1B",
        {
            "image": {"image_id": 223750, "width": 96, "height": 96, "file_name": "sa_223750.jpg"},
            "annotations": [{"bbox": [1, 2, 30, 40], "predicted_iou": 0.9, "segmentation": {"size": [96, 96]}}],
        },
    ),
    "annotation_val.odgt": (
        "CrowdHuman's odgt",
        _lines({"ID": "273271,1", "gtboxes": [{"tag": "person", "fbox": [1, 2, 30, 40], "hbox": [1, 2, 3, 4]}]}),
    ),
    "object_ann.json": (
        "a table of nuImages or nuScenes",
        [{"token": "t", "category_token": "c", "bbox": [1, 2, 31, 42], "sample_data_token": "s", "mask": None}],
    ),
    "encord.json": (
        "an Encord export",
        [{"label_hash": "h", "data_title": "a.jpg", "data_units": {"u": {"labels": {"objects": []}}}}],
    ),
    "kili.json": ("a Kili export", [{"externalId": "a.jpg", "labels": [{"jsonResponse": {"JOB": {}}}]}]),
    "superannotate.json": (
        "a SuperAnnotate export",
        {
            "metadata": {"name": "a.jpg", "width": 96, "height": 96},
            "instances": [{"type": "bbox", "className": "disc", "points": {"x1": 1, "x2": 31, "y1": 2, "y2": 42}}],
        },
    ),
    "hasty.json": (
        "a Hasty export",
        {
            "project_name": "boxes",
            "export_format_version": "1.1",
            "label_classes": [{"class_name": "disc"}],
            "images": [{"image_name": "a.jpg", "labels": [{"class_name": "disc", "bbox": [1, 2, 31, 42]}]}],
        },
    ),
    "dataloop.json": (
        "a Dataloop export",
        {
            "filename": "/a.jpg",
            "datasetId": "d",
            "annotations": [{"type": "box", "label": "disc", "coordinates": [{"x": 1, "y": 2}, {"x": 31, "y": 42}]}],
        },
    ),
    "prodigy.jsonl": (
        "annotations of Prodigy",
        _lines(
            {
                "image": "a.jpg",
                "_input_hash": 1,
                "spans": [{"label": "disc", "type": "rect", "x": 1, "y": 2, "width": 30, "height": 40}],
                "answer": "accept",
            }
        ),
    ),
    "dataset.ndjson": (
        "Ultralytics' NDJSON",
        _lines(
            {"type": "dataset", "task": "detect", "name": "boxes", "class_names": {"0": "disc"}},
            {"type": "image", "file": "a.jpg", "split": "train", "annotations": {"boxes": [[0, 0.5, 0.5, 0.2, 0.2]]}},
        ),
    ),
    "_annotations.train.jsonl": (
        "Roboflow's JSONL for PaliGemma",
        _lines({"image": "a.jpg", "prefix": "detect disc", "suffix": "<loc0123><loc0456><loc0789><loc0800> disc"}),
    ),
    "_classes.csv": (
        "Roboflow's export for classification or masks",
        "filename, a, b, c, d, e\na.jpg, 1, 0, 0, 0, 0\n",
    ),
    "step0.frame_data.json": (
        "data of Unity Perception",
        {
            "frame": 0,
            "captures": [
                {
                    "filename": "a.png",
                    "annotations": [
                        {
                            "@type": "type.unity.com/unity.solo.BoundingBox2DAnnotation",
                            "values": [{"labelName": "disc", "origin": [1, 2], "dimension": [30, 40]}],
                        }
                    ],
                }
            ],
        },
    ),
    "openlabel.json": (
        "ASAM OpenLABEL",
        {"openlabel": {"metadata": {"schema_version": "1.0.0"}, "objects": {"0": {"name": "disc1", "type": "disc"}}}},
    ),
    "bounding_boxes.labels": (
        "labels of Edge Impulse",
        {
            "version": 1,
            "type": "bounding-box-labels",
            "boundingBoxes": {"a.jpg": [{"label": "disc", "x": 1, "y": 2, "width": 30, "height": 40}]},
        },
    ),
    "_annotations.json": (
        "an export of IBM Cloud Annotations",
        {
            "version": "1.0",
            "type": "localization",
            "labels": ["disc"],
            "annotations": {"a.jpg": [{"x": 0.1, "y": 0.1, "x2": 0.3, "y2": 0.3, "label": "disc"}]},
        },
    ),
    "video.xml": (
        "CVAT for video",
        '<?xml version="1.0"?>\n<annotations>\n<meta><task><mode>interpolation</mode></task></meta>\n'
        '<track id="0" label="disc"><box frame="0" xtl="1" ytl="2" xbr="31" ybr="42" outside="0"/></track>\n'
        "</annotations>\n",
    ),
    "labelme_mit.xml": (
        "XML of the first LabelMe",
        "<annotation><filename>a.jpg</filename><object><name>disc</name><polygon><username>me</username>"
        "<pt><x>1</x><y>2</y></pt><pt><x>31</x><y>42</y></pt></polygon></object></annotation>",
    ),
    "imglab.xml": (
        "XML of dlib's imglab",
        "<dataset><images><image file='a.jpg'>\n<box top='2' left='1' width='30' height='40'><label>disc</label></box>"
        "</image></images></dataset>",
    ),
    "MVI_20011.xml": (
        "XML of UA-DETRAC",
        '<sequence name="MVI_20011"><frame density="1" num="1"><target_list><target id="1">'
        '<box left="1" top="2" width="30" height="40"/></target></target_list></frame></sequence>',
    ),
    "wider_face_val_bbx_gt.txt": (
        "WIDER FACE's text",
        "0--Parade/0_Parade_marchingband_1_849.jpg\n1\n44 31 12 14 0 0 0 0 0 0 \n",
    ),
    "P0000.txt": (
        "DOTA's text",
        "imagesource:GoogleEarth\ngsd:0.146343590398\n10.0 20.0 30.0 20.0 30.0 40.0 10.0 40.0 small-vehicle 0\n",
    ),
    "P0001.txt": ("DOTA's text", "10 20 30 20 30 40 10 40 plane\r\n"),
    "gt_img_1.txt": ("ICDAR's text", "37,11,77,11,77,26,37,26,Genaxis Theatre\n"),
    "9999938_00000_d_0000001.txt": ("VisDrone's text", "44,23,16,16,1,4,0,0\n52,13,20,10,0,11,0,2\n"),
    "gt.txt": ("MOT's text", "1,1,12,44,47,39,1,1,1\n2,1,13,44,47,39,1,1,0.8\n"),
    "det.txt": ("MOT's text", "1,-1,12.2,47.5,31.2,34.8,67.5,-1,-1,-1\n"),
    "0003.txt": ("text of the OIDv4 Toolkit", "Traffic light 10.0 20.5 30.0 40.25\n"),
    "set00_V000_I00029.txt": ("text of Piotr's toolbox", "% bbGt version=3\nperson 45 22 22 43 0 0 0 0 0 0 0\n"),
    "project-1-at-2024-01-01.csv": (
        "Label Studio's CSV",
        "image,id,label,annotator,annotation_id,created_at,updated_at,lead_time\n"
        '/data/upload/1/a.jpg,1,"[{""x"": 1, ""rectanglelabels"": [""disc""]}]",1,1,2024,2024,2.5\n',
    ),
    "17.json": (
        "one annotation a file, as Label Studio stores them",
        {"id": 17, "result": [], "task": {"id": 1, "data": {"image": "a.jpg"}}, "was_cancelled": False},
    ),
    "metadata.csv": ("the metadata.csv of a Hugging Face", 'file_name,objects\na.jpg,"{""bbox"": [[1, 2, 3, 4]]}"\n'),
    "labels_my-project.csv": ("a CSV of makesense.ai", "disc,1,2,30,40,a.jpg,96,96\n"),
    "train.record-00000-of-00010": ("TFRecord", "\x10"),
    "cells.tfrecord": ("TFRecord", "\x10"),
    "train-00000-of-00001.parquet": ("Parquet", "PAR1"),
    "data-00000-of-00001.arrow": ("an Arrow table", "ARROW1"),
    "train.pkl": ("a Python pickle", "\x80\x04"),
    "digitStruct.mat": ("a MATLAB file", "MATLAB 7.3"),
    "train.h5": ("an HDF5 file", "\x89HDF"),
    "set.zip": ("an archive; the harness does not read it; unpack it first", "PK\x03\x04"),
    "set.tar.gz": ("an archive; the harness does not read it; unpack it first", "\x1f"),
}


def _write(root: Path, name: str) -> Path:
    file = root / name
    file.parent.mkdir(parents=True, exist_ok=True)
    content = SAMPLES[name][1]
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    return file


def _load(path: Path, name: str = "auto") -> LoadedDataset:
    return load(FilesDataset(format=name, path=path), depth="headers")  # type: ignore[arg-type]


def _said(loaded: LoadedDataset) -> str:
    (problem,) = loaded.findings.problems()
    assert problem.code == "other_format", problem
    assert not loaded.splits
    assert loaded.fatal("skip")
    return str(problem)


@pytest.mark.parametrize("name", SAMPLES)
def test_an_export_that_is_not_read_is_named(name: str, tmp_path: Path) -> None:
    """The file alone, its folder beside images, with `auto` and as another format: what it is, and what to do."""
    file = _write(tmp_path / "set", name)
    images = tmp_path / "set" / "images"
    images.mkdir()
    Image.new("RGB", (96, 96)).save(images / "a.jpg")
    for path in (file, tmp_path / "set"):
        for wanted in ("auto", "coco", "yolo"):
            text = _said(_load(path, wanted))
            assert f"{file}: this is {SAMPLES[name][0]}" in text
            assert "; the harness does not read it; " in text
    labels = LabelledImages(annotations=file, images=images)
    explicit = FilesDataset(format="auto", all=labels, split=SplitRule(val=0.5))
    assert f"this is {SAMPLES[name][0]}" in _said(load(explicit, depth="headers"))


def test_every_signature_has_a_sample(tmp_path: Path) -> None:
    """A row of the table that no sample above reaches is not tested; the shard of a WebDataset is, below."""
    reached = {format_of(_write(tmp_path, name)) for name in SAMPLES}
    assert {other.name for other in OTHERS if other not in reached} == {"a shard of a WebDataset"}


@pytest.mark.parametrize(
    ("second", "expected"), [("000.cls", "a shard of a WebDataset"), ("001.jpg", "an archive"), ("", "an archive")]
)
def test_a_tar_of_samples_is_a_webdataset(second: str, expected: str, tmp_path: Path) -> None:
    """Files of one stem follow each other there; any other tar is to be unpacked."""
    with tarfile.open(tmp_path / "train-000000.tar", "w") as archive:
        for name in ("000.jpg", second):
            if name:
                archive.addfile(tarfile.TarInfo(name), io.BytesIO())
    for path in (tmp_path, tmp_path / "train-000000.tar"):
        assert f"this is {expected}" in _said(_load(path))


@pytest.mark.parametrize(
    ("folders", "expected"),
    [
        (("",), "images without labels"),
        (("images",), "images without labels"),
        (("train", "val"), "images without labels"),
        (("images/train", "images/val"), "images without labels"),
        (("train/disc", "train/square", "val/disc", "val/square"), "a data set for classifying images"),
        (("disc", "square"), "a data set for classifying images"),
    ],
)
def test_images_alone(folders: tuple[str, ...], expected: str, tmp_path: Path) -> None:
    """Nothing is labelled, or only the folders' names are: no boxes."""
    for folder in folders:
        write_images(tmp_path / folder, "train", 2)
    (tmp_path / "README.md").write_text("hello\n")
    assert expected in _said(_load(tmp_path))
    assert expected in _said(_load(tmp_path, "coco"))


@pytest.mark.parametrize("name", FORMATS)
def test_another_format_than_the_named_one_is_named(name: str, tmp_path: Path) -> None:
    """`format: coco` for a folder or a file of VOC: this is voc."""
    root = dataset(tmp_path, name, train=4, val=2)
    wanted = "voc" if name == "coco" else "coco"
    file = root / "data.yaml" if name == "yolo" else label_file(root, name, "train", shots("train", 4)[1].name)
    for path in (root, file):
        assert f"{path}: this is {name}, and not {wanted}; write format: {name}, or auto" in _said(_load(path, wanted))


@pytest.mark.parametrize("name", FORMATS)
def test_what_lies_beside_labels_does_not_count(name: str, tmp_path: Path) -> None:
    """Predictions, captions, archives and pickles beside labels that are read change nothing."""
    root = dataset(tmp_path / "set", name, train=4, val=2)
    expected = _load(root)
    assert not expected.findings.problems("error")
    beside = ("predictions.json", "captions_val2017.json", "set.zip", "train.pkl", "gt.txt", "video.xml", "meta.json")
    for other in beside:
        _write(root, other)
    if name in {"coco", "createml", "csv"}:  # one file a split
        _write(root / "annotations", "predictions.json")
    if name == "labelme":  # each of its JSON files is one image's, as long as it lies in a split's folder
        assert _load(root).format == name
    assert _load(root).fingerprint() == expected.fingerprint()


@pytest.mark.parametrize("lists", [(), ("classes.txt",), ("labels.txt",)])
@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("P0001.txt", "labelTxt"),
        ("9999938_00000_d_0000001.txt", "annotations"),
        ("gt.txt", "gt"),
        ("0003.txt", "Label"),
        ("gt_img_1.txt", "labels"),
    ],
)
def test_text_of_others_is_no_label_of_yolo(name: str, place: str, lists: tuple[str, ...], tmp_path: Path) -> None:
    """In the layout of its data set, with a list of classes beside it or not: named, and not read as backgrounds."""
    write_images(tmp_path / "images", "train", 2)
    file = _write(tmp_path, name)
    (tmp_path / place).mkdir()
    file = file.rename(tmp_path / place / name)
    for other in lists:
        (tmp_path / other).write_text("plane\nship\n")
    for wanted in ("auto", "yolo"):
        assert f"{file}: this is {SAMPLES[name][0]}" in _said(_load(tmp_path, wanted))
    labels = LabelledImages(annotations=tmp_path / place, images=tmp_path / "images")
    explicit = FilesDataset(format="yolo", all=labels, split=SplitRule(val=0.5), classes=("plane", "ship"))
    assert f"this is {SAMPLES[name][0]}" in _said(load(explicit, depth="headers"))


def test_two_hundred_files_of_a_kind_are_not_all_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of any size is looked into at a few places."""
    opened: list[Path] = []
    monkeypatch.setattr("harness.data.formats.recognise.format_of", opened.append)
    for number in range(200):
        (tmp_path / f"{number}.txt").write_text("")
        (tmp_path / f"{number}.dat").write_text("")
    _load(tmp_path)
    assert 0 < len(opened) <= 20


@pytest.mark.parametrize("wanted", ["auto", "coco"])
def test_damaged_exports_end_in_a_sentence(wanted: str, tmp_path: Path) -> None:
    """Cut off, overwritten and doubled bytes of each sample: whatever is said, it is no traceback."""
    rng = np.random.default_rng(11)
    for name in SAMPLES:
        file = _write(tmp_path, name)
        content = file.read_bytes()
        for _ in range(4):
            at, length = rng.integers(0, len(content) + 1), int(rng.integers(0, 12))
            file.write_bytes(content[:at] + rng.bytes(length) + content[at + length * int(rng.integers(0, 9)) :])
            load(FilesDataset(format=wanted, path=file), depth="headers").findings.problems()  # type: ignore[arg-type]
        file.unlink()


def test_the_command_says_it(harness_command: Command, tmp_path: Path) -> None:
    """`data check` exits with 1 and names the file and the tool."""
    done = harness_command("data", "check", _write(tmp_path, "output.manifest"))
    assert done.returncode == 1
    assert "this is an Amazon SageMaker Ground Truth manifest; the harness does not read it; " in done.stdout
    assert "export it from there as COCO" in done.stdout


def test_the_check_counts_it_once(tmp_path: Path) -> None:
    """A thousand lines of an export that is not read are one problem."""
    file = _write(tmp_path, "export.ndjson")
    file.write_text(file.read_text() * 1000)
    (problem,) = check(FilesDataset(format="auto", path=file), fast=True, workers=1).problems
    assert problem.count == 1
