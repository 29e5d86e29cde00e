"""libreyolo's networks come without the rest of that library: no OpenCV, no client, no environment variable."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

CODE = """
import json, os, sys, torch, torchvision
environment, before = dict(os.environ), set(sys.modules)
from harness.trial.models.yolo.library import library
found = library()
new = {name for name in set(sys.modules) - before if not name.startswith("harness")}
packages = sorted({name.partition(".")[0] for name in new})
changed = dict(os.environ) != environment
modules = sorted(name for name in new if name.startswith("libreyolo"))
whole = [name for name in modules if name in ("libreyolo.models", "libreyolo.training", "libreyolo.data")]
import libreyolo, libreyolo.models.yolox.model as wrapper
same = wrapper.LibreYOLOXModel is found.yolox and libreyolo.LibreYOLOX is wrapper.LibreYOLOX
print(json.dumps([packages, changed, modules, whole, same]))
"""


def test_only_the_networks_and_losses_are_imported_and_the_whole_library_still_can_be() -> None:
    environment = {"PYTHONPATH": str(Path(__file__).parents[4]), "OMP_NUM_THREADS": "1"}
    run = subprocess.run([sys.executable, "-c", CODE], env=environment, capture_output=True, text=True, check=True)
    packages, changed, modules, whole, same = json.loads(run.stdout)
    assert not {"cv2", "requests", "typer", "urllib3", "huggingface_hub"} & set(packages)
    assert not changed
    assert len(modules) < 12
    assert not whole
    assert same
