"""Formats that people have and that no reader reads: how each is recognised, and what to do instead.

Owns that table, which is only data. `harness.data.formats.recognise` compares files with it.
"""

from __future__ import annotations

from dataclasses import dataclass

_JSON = r"\.(json|jsonl|ndjson|manifest)$"
_NUMBER = r"-?\d+(\.\d+)?"
_DATUMARO = "convert it to COCO with Datumaro: datum convert -if {} -i FOLDER -f coco_instances -o OUT"
_CONVERTER = "convert it to COCO, for example with panlabel (panlabel convert --from {} --to coco)"
_ROBOFLOW = "import it into Roboflow, and export it from there as COCO"


@dataclass(frozen=True, slots=True, kw_only=True)
class Other:
    """A format, or another kind of file, that is not read.

    Attributes:
        name: what it is, with its article.
        instead: what to do.
        files: a regular expression that the file's name in lower case matches.
        keys: JSON keys that are all in the beginning or the end of the file.
        lacks: JSON keys that are nowhere in the file.
        text: a regular expression that is found in the beginning of the file.
    """

    name: str
    instead: str
    files: str = _JSON
    keys: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()
    text: str = ""

    def __str__(self) -> str:
        return f"this is {self.name}; the harness does not read it; {self.instead}"


WEBDATASET = Other(
    name="a shard of a WebDataset",
    instead="unpack it, and write the boxes of its samples as COCO",
    files=r"\.tar$",
)

OTHERS = (  # the first one that fits counts
    Other(
        name="a Git LFS pointer and not the file itself",
        instead="run git lfs pull",
        files=r"\.(json|jsonl|csv|tsv|xml|txt|ya?ml)$",
        text=r"\Aversion https://git-lfs",
    ),
    Other(
        name="a COCO results file (detections, no labels)",
        instead="name the annotations that belong to the images, such as instances_val2017.json",
        text=r"\A\s*\[",
        keys=("image_id", "score"),
    ),
    Other(
        name="a list of COCO annotations without images and categories",
        instead="name the whole file, which has the lists images, annotations and categories",
        text=r"\A\s*\[",
        keys=("image_id", "category_id"),
    ),
    Other(
        name="a COCO panoptic file",
        instead="name the instances_*.json of the same images, or convert it with panopticapi's "
        "panoptic2detection_coco_format.py",
        keys=("segments_info",),
    ),
    Other(
        name="a COCO captions file, without boxes",
        instead="name the instances_*.json of the same images",
        keys=("image_id", "caption"),
        lacks=("bbox", "segmentation"),
    ),
    Other(
        name="a COCO keypoints file without boxes",
        instead="export it with the boxes of the objects (bbox)",
        keys=("image_id", "keypoints"),
        lacks=("bbox", "segmentation"),
    ),
    Other(
        name="a Supervisely project",
        instead="in Supervisely, run the app Export to COCO",
        keys=("classTitle",),
    ),
    Other(
        name="the list of classes of a Supervisely project",
        instead="in Supervisely, run the app Export to COCO",
        keys=("classes", "tags", "shape", "title"),
    ),
    Other(
        name="an Amazon SageMaker Ground Truth manifest",
        instead=_ROBOFLOW,
        files=r"\.(json|jsonl|ndjson|manifest|txt)$",
        keys=("source-ref",),
    ),
    Other(
        name="a Labelbox export",
        instead=_CONVERTER.format("labelbox"),
        keys=("data_row", "projects"),
    ),
    Other(
        name="a Labelbox export",
        instead=_CONVERTER.format("labelbox"),
        files=r"\.(json|jsonl|ndjson|csv)$",
        text=r'"?Labeled Data"?\s*[:,]',
    ),
    Other(
        name="a VoTT project",
        instead="in VoTT, choose Pascal VOC as the export provider; or " + _DATUMARO.format("vott_json"),
        keys=("asset", "regions"),
    ),
    Other(
        name="a VoTT project",
        instead="in VoTT, choose Pascal VOC as the export provider; or " + _DATUMARO.format("vott_json"),
        files=r"\.(json|vott)$",
        keys=("assets", "tags", "videoSettings"),
    ),
    Other(
        name="a project of VoTT 1",
        instead="export it from VoTT as Pascal VOC",
        keys=("frames", "inputTags"),
    ),
    Other(
        name="labels of BDD100K (Scalabel)",
        instead="convert it to COCO: python -m bdd100k.label.to_coco -m det -i FILE -o OUT",
        keys=("box2d",),
    ),
    Other(
        name="a Datumaro dataset",
        instead=_DATUMARO.format("datumaro"),
        keys=("items", "categories"),
        lacks=("images",),
    ),
    Other(
        name="V7 Darwin JSON",
        instead="in V7, export it as COCO; or darwin dataset convert TEAM/DATASET coco",
        keys=("bounding_box", "slots"),
    ),
    Other(
        name="V7 Darwin JSON",
        instead="in V7, export it as COCO; or darwin dataset convert TEAM/DATASET coco",
        keys=("bounding_box", "workview_url"),
    ),
    Other(
        name="import data of Google Vertex AI",
        instead=_ROBOFLOW,
        keys=("imageGcsUri",),
    ),
    Other(
        name="a CSV of Google Vertex AI or AutoML",
        instead=_ROBOFLOW,
        files=r"\.csv$",
        text=r'\A\s*"?([A-Za-z]+"?\s*,\s*)?"?gs://',
    ),
    Other(
        name="data of Azure Machine Learning",
        instead="in Azure Machine Learning's labelling project, export it as COCO",
        keys=("image_url", "topX"),
    ),
    Other(
        name="data of Azure Custom Vision",
        instead="write it as COCO: left, top, width and height are fractions of the image's sides",
        keys=("regions", "tagName"),
    ),
    Other(
        name="a Scale AI export",
        instead=_CONVERTER.format("scale-ai"),
        keys=("task_id", "response", "annotations"),
    ),
    Other(
        name="annotations of Scale Nucleus",
        instead="write them as COCO: x, y, width and height of geometry are a bbox",
        keys=("reference_id", "geometry"),
    ),
    Other(
        name="a FiftyOne dataset",
        instead="in FiftyOne: dataset.export(export_dir, dataset_type=fiftyone.types.COCODetectionDataset)",
        keys=("_cls", "samples"),
    ),
    Other(
        name="a FiftyOneImageDetectionDataset",
        instead="in FiftyOne: dataset.export(export_dir, dataset_type=fiftyone.types.COCODetectionDataset)",
        keys=("classes", "labels", "bounding_box"),
    ),
    Other(
        name="an OpenMMLab dataset (MMDetection)",
        instead="name the COCO or VOC files that it was made from",
        keys=("metainfo", "data_list"),
    ),
    Other(
        name="a dataset in MMDetection's middle format",
        instead="name the COCO or VOC files that it was made from",
        keys=("ann", "bboxes"),
    ),
    Other(
        name="labels of Cityscapes",
        instead="convert them to COCO with MMDetection's tools/dataset_converters/cityscapes.py; or "
        + _DATUMARO.format("cityscapes"),
        keys=("imgHeight", "polygon"),
    ),
    Other(
        name="masks of SA-1B (Segment Anything), which have no classes",
        instead="a detector needs classes: label the objects, and export them as COCO",
        keys=("annotations", "predicted_iou"),
    ),
    Other(
        name="CrowdHuman's odgt",
        instead="write it as COCO: the boxes fbox and vbox have COCO's order, x, y, width, height",
        files=r"\.(odgt|json|jsonl)$",
        keys=("gtboxes",),
    ),
    Other(
        name="a table of nuImages or nuScenes",
        instead="convert nuImages to COCO with MMDetection3D's tools/dataset_converters/nuimage_converter.py",
        keys=("sample_data_token", "category_token"),
    ),
    Other(name="an Encord export", instead="in Encord, export it as COCO", keys=("label_hash", "data_units")),
    Other(name="a Kili export", instead="in Kili, export it as COCO", keys=("jsonResponse",)),
    Other(
        name="a SuperAnnotate export",
        instead="convert it to COCO with SuperAnnotate's Python SDK (export_annotation)",
        keys=("instances", "className"),
    ),
    Other(
        name="a Hasty export", instead="in Hasty, export it as COCO", keys=("label_classes", "export_format_version")
    ),
    Other(
        name="a Dataloop export",
        instead="convert it to COCO with dtlpy-converters",
        keys=("datasetId", "annotations", "filename"),
    ),
    Other(
        name="annotations of Prodigy",
        instead="write them as COCO: each span of type rect has x, y, width and height in pixels",
        keys=("spans", "_input_hash"),
    ),
    Other(
        name="Ultralytics' NDJSON",
        instead="convert it to YOLO with ultralytics.data.converter.convert_ndjson_to_yolo",
        keys=("type", "task", "class_names"),
    ),
    Other(
        name="Roboflow's JSONL for PaliGemma or Florence",
        instead="in Roboflow, export it as COCO",
        keys=("image", "prefix", "suffix"),
    ),
    Other(
        name="Roboflow's export for classification or masks, without boxes",
        instead="in Roboflow, make an object detection project of it, and export that as COCO",
        files=r"^_classes\.csv$",
    ),
    Other(
        name="data of Unity Perception (SOLO)",
        instead="convert it to COCO with pysolotools (solo2coco)",
        keys=("captures",),
        text=r"BoundingBox2D",
    ),
    Other(
        name="ASAM OpenLABEL",
        instead="write its boxes as COCO: a bbox there is the centre, the width and the height",
        keys=("openlabel",),
    ),
    Other(
        name="labels of Edge Impulse",
        instead="write it as COCO: x, y, width and height of each box are a bbox",
        files=r"\.(json|labels)$",
        keys=("boundingBoxes", "type"),
        text=r'bounding-box-labels|"files"\s*:',
    ),
    Other(
        name="an export of IBM Cloud Annotations",
        instead=_CONVERTER.format("ibm-cloud-annotations"),
        keys=("annotations", "x2", "y2"),
        text=r'"localization"',
    ),
    Other(
        name="CVAT for video",
        instead="in CVAT, export it as CVAT for images or as COCO",
        files=r"\.xml$",
        text=r"</?track[\s>]",
    ),
    Other(
        name="XML of the first LabelMe (MIT), with polygons",
        instead=_DATUMARO.format("label_me"),
        files=r"\.xml$",
        text=r"<polygon>\s*(<username>[^<]*</username>\s*)?<pt>",
    ),
    Other(
        name="XML of dlib's imglab",
        instead="write it as COCO: left, top, width and height of each box are a bbox",
        files=r"\.xml$",
        text=r"<image\s+file=",
    ),
    Other(
        name="XML of UA-DETRAC",
        instead="write it as COCO: left, top, width and height of each box are a bbox",
        files=r"\.xml$",
        text=r"<target_list>",
    ),
    Other(
        name="WIDER FACE's text",
        instead=_DATUMARO.format("wider_face"),
        files=r"\.txt$",
        text=r"\A[^\n]+\.(jpe?g|png)\s*\n\d+\s*\n(-?\d+ ){4,}",
    ),
    Other(
        name="DOTA's text (four corners and a class in each line)",
        instead="convert it to COCO with DOTA_devkit's DOTA2COCO.py",
        files=r"\.txt$",
        text=rf"\A(imagesource:[^\n]*\n)?(gsd:[^\n]*\n)?\s*({_NUMBER}\s+){{8}}[A-Za-z][\w-]*(\s+[0-2])?\s*(\n|$)",
    ),
    Other(
        name="ICDAR's text (four corners and the words in each line)",
        instead=_DATUMARO.format("icdar_text_localization"),
        files=r"\.txt$",
        text=rf"\A({_NUMBER},\s?){{8}}[^\n\d-][^\n]*(\n|$)",
    ),
    Other(
        name="VisDrone's text",
        instead="convert it to YOLO with Ultralytics (VisDrone.yaml does), or to COCO",
        files=r"\.txt$",
        text=r"\A(\d+,){4}[01],\d{1,2},[01],[0-2],?\s*(\n|$)",
    ),
    Other(
        name="MOT's text (tracks of a video)",
        instead="convert it to COCO with MMDetection's tools/dataset_converters/mot2coco.py; or "
        + _DATUMARO.format("mot_seq"),
        files=r"\.txt$",
        text=rf"\A\d+,\s?-?\d+,\s?({_NUMBER},\s?){{4,7}}{_NUMBER}\s*(\n|$)",
    ),
    Other(
        name="text of the OIDv4 Toolkit (a class name and four pixels in each line)",
        instead="name the Open Images CSV that it was made from (train-annotations-bbox.csv)",
        files=r"\.txt$",
        text=rf"\A[A-Za-z][\w' ]*(\s{_NUMBER}){{4}}\s*(\n|$)",
    ),
    Other(
        name="text of Piotr's toolbox (bbGt)",
        instead="write it as COCO: the four numbers after the class are x, y, width and height",
        files=r"\.txt$",
        text=r"\A% bbGt version",
    ),
    Other(
        name="Label Studio's CSV or TSV",
        instead="in Label Studio, export JSON, which is read",
        files=r"\.(csv|tsv)$",
        text=r"\A(?=[^\n]*\bannotation_id\b)(?=[^\n]*\bannotator\b)[^\n]*\blead_time\b",
    ),
    Other(
        name="one annotation a file, as Label Studio stores them",
        instead="in Label Studio, export the project as JSON, which is read",
        files=r"(\.json|^\d+)$",
        text=r"\A\s*\{",
        keys=("result", "task", "was_cancelled"),
    ),
    Other(
        name="the metadata.csv of a Hugging Face imagefolder",
        instead="write its objects as metadata.jsonl, one image a line, which is read",
        files=r"^metadata\.csv$",
        text=r'\A"?file_name"?,[^\n]*\b(objects|bbox|bboxes)\b',
    ),
    Other(
        name="a CSV of makesense.ai without a header",
        instead="in makesense.ai, export VOC XML or YOLO",
        files=r"\.csv$",
        text=r"\A[^,\n]+,(\d+,){4}[^,\n]+\.[A-Za-z]{3,4},\d+,\d+\s*(\n|$)",
    ),
    Other(
        name="TFRecord",
        instead=_DATUMARO.format("tf_detection_api"),
        files=r"\.(tfrecords?|tfrec|record)(-\d+-of-\d+)?(\.gz)?$",
    ),
    Other(
        name="Parquet (a data set of the Hugging Face Hub, for example)",
        instead="load it with the library datasets, save its images, and write their boxes as metadata.jsonl or COCO",
        files=r"\.parquet$",
    ),
    Other(
        name="an Arrow table (a saved data set of Hugging Face, for example)",
        instead="load it with the library datasets, save its images, and write their boxes as metadata.jsonl or COCO",
        files=r"\.(arrow|feather)$",
    ),
    Other(
        name="a Python pickle (as MMDetection's middle format is stored)",
        instead="it is not opened, since a pickle may run code: name the COCO or VOC files that it was made from",
        files=r"\.(pkl|pickle)$",
    ),
    Other(name="a MATLAB file", instead="write its boxes as CSV or COCO", files=r"\.mat$"),
    Other(name="an HDF5 file", instead="save its images, and write their boxes as COCO", files=r"\.(h5|hdf5)$"),
    WEBDATASET,
    Other(
        name="an archive",
        instead="unpack it first, and name the folder",
        files=r"\.(zip|tar|tar\.\w+|tgz|tbz2|txz|7z|rar|gz|bz2|xz|zst)$",
    ),
)
FOR_IMAGES_ALONE = Other(
    name="a folder of images without labels",
    instead="label them first, or name the folder or file of their labels",
)
FOR_CLASS_FOLDERS = Other(
    name="a data set for classifying images (one folder a class), without boxes",
    instead="a detector needs boxes: label the objects first",
)
