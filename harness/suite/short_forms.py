"""The short forms of a suite file, written out before it is checked; and its JSON Schema, which allows them."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from harness.suite.catalog import registry
from harness.suite.schema import PRESETS, PROTOCOL_LEVELS

_OLDER_KEYS = {"most_objects": "max_objects"}  # keys of a synthetic dataset until version 0.2
_RECIPES = ("shared", "published")


def written_out(data: dict[str, Any]) -> dict[str, Any]:
    """A suite file's content without short forms.

    These are an architecture's or a protocol level's name alone, with a level's defaults; `hyperparameters: shared`;
    a preset of `augmentation` by its name; `early_stopping: none`; one number as `image_size`; and `backbone: NAME`
    beside an architecture's name. What is none of them is left for the check to refuse.
    """
    data = dict(data)
    if isinstance(data.get("architectures"), list):
        data["architectures"] = [architecture(item) for item in data["architectures"]]
    if "hyperparameters" in data:
        data["hyperparameters"] = hyperparameters(data["hyperparameters"])
    if isinstance(data.get("protocol"), str):
        data["protocol"] = {"level": data["protocol"]}
    if isinstance(data.get("protocol"), dict):
        level = data["protocol"].get("level", "standard")
        data["protocol"] = {**PROTOCOL_LEVELS.get(str(level), {}), **data["protocol"]}
    if isinstance(data.get("datasets"), dict):
        data["datasets"] = {name: _with_new_keys(dataset) for name, dataset in data["datasets"].items()}
    return data


def hyperparameters(values: Any) -> Any:
    """Hyperparameters, or some of them, without short forms."""
    if values in _RECIPES:
        return {"recipe": values}
    if not isinstance(values, dict):
        return values
    if values.get("early_stopping") == "none":
        values = {**values, "early_stopping": None}
    name = values.get("augmentation")
    if isinstance(name, str) and name in PRESETS:
        return {**values, "augmentation": asdict(PRESETS[name])}
    return values


def json_schema(whole: dict[str, Any]) -> dict[str, Any]:
    """The JSON Schema of a suite file with the short forms.

    Args:
        whole: the schema of the file without them.
    """
    properties, definitions = whole["properties"], whole["$defs"]
    choice = properties["architectures"]["items"]
    own = {"type": "string", "pattern": r"^.+:[A-Za-z_]\w*$"}
    properties["architectures"]["items"] = {"anyOf": [{"enum": sorted(registry.names())}, own, choice]}
    protocol = properties["protocol"]
    properties["protocol"] = {"anyOf": [{"enum": sorted(PROTOCOL_LEVELS)}, protocol]}
    recipes = {"enum": list(_RECIPES)}
    properties["hyperparameters"] = {"anyOf": [recipes, properties["hyperparameters"]]}
    of_choice = definitions["ArchitectureChoice"]["properties"]
    of_choice["hyperparameters"] = {"anyOf": [recipes, of_choice["hyperparameters"]]}
    of_choice["image_size"]["anyOf"].append({"type": "integer", "exclusiveMinimum": 0})
    of_choice["backbone"] = {"type": "string"}
    augmentation = definitions["Hyperparameters"]["properties"]["augmentation"]
    definitions["Hyperparameters"]["properties"]["augmentation"] = {"anyOf": [{"enum": sorted(PRESETS)}, augmentation]}
    stopping = definitions["Hyperparameters"]["properties"]["early_stopping"]
    stopping["anyOf"].insert(0, {"const": "none"})
    return {**whole, "$schema": "https://json-schema.org/draft/2020-12/schema", "title": "harness suite"}


def architecture(item: object) -> object:
    """An architecture of the list, as a mapping; what is neither a name nor a mapping as it is."""
    if isinstance(item, str):
        return {"name": item}
    if not isinstance(item, dict):
        return item
    item = dict(item)
    if "hyperparameters" in item:
        item["hyperparameters"] = hyperparameters(item["hyperparameters"])
    side = item.get("image_size")
    if isinstance(side, int) and not isinstance(side, bool):
        item["image_size"] = {"min": side, "max": side}
    if "backbone" in item and isinstance(item.get("model", {}), dict) and "backbone" not in item.get("model", {}):
        item["model"] = {**item.get("model", {}), "backbone": item.pop("backbone")}
    return item


def _with_new_keys(dataset: object) -> object:
    """Rename a dataset's older keys; if the old and the new key are both there, the check refuses them later."""
    if not isinstance(dataset, dict) or dataset.get("format") != "synthetic" or "max_objects" in dataset:
        return dataset
    return {_OLDER_KEYS.get(key, key): value for key, value in dataset.items()}
