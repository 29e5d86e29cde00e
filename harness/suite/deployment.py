"""What each way to deploy fine-tuned weights needs beyond torch: packages, and the extra that installs them. Data only.

Planning warns of what is missing without importing it, and the process of a variant says the same as its row's reason.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """Packages by the names that are imported, and the extra of this program that installs them."""

    packages: tuple[str, ...]
    extra: str

    def missing(self) -> str | None:
        """Return the first package that is not installed, with the command that installs it; None if none is."""
        package = next((name for name in self.packages if find_spec(name) is None), None)
        if package is None:
            return None
        return f"{package} is not installed: pip install 'detection-harness[{self.extra}]'"


ONNXRUNTIME = Needs(packages=("onnx", "onnxruntime"), extra="onnx")
OPENVINO = Needs(packages=("onnx", "openvino"), extra="openvino")
OPENVINO_INT8 = Needs(packages=("onnx", "openvino", "nncf"), extra="openvino")
VARIANTS = {"onnxruntime": ONNXRUNTIME, "openvino": OPENVINO, "openvino-int8": OPENVINO_INT8}
EXPORTS = {"onnx": ONNXRUNTIME, "openvino": OPENVINO}  # by format; onnxruntime runs what was written
WITH_FILE = frozenset({"onnxruntime", "openvino", "openvino-int8", "torchscript"})  # what ran stays beside the record
