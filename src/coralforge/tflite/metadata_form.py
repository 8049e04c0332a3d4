"""The form of TensorFlow Lite's metadata, a flatbuffer in a buffer of the model: metadata_schema.fbs, version 1.5.

Field numbers are those of that schema. They are walked like the model itself before anything is read.
"""

from __future__ import annotations

from coralforge.tflite.flatbuffer import Either, Form, Many, Numbers, One, Text, Texts

BUFFER = "TFLITE_METADATA"
"""The name under which the model keeps it."""

_FILES = Many("AssociatedFile")
_UNITS = Many("ProcessUnit")

METADATA = Form(
    "TensorFlow Lite's metadata",
    b"M001",
    "ModelMetadata",
    {
        "ModelMetadata": {
            0: Text(),
            1: Text(),
            2: Text(),
            3: Many("SubGraphMetadata"),
            4: Text(),
            5: Text(),
            6: _FILES,
            7: Text(),
        },
        "SubGraphMetadata": {
            0: Text(),
            1: Text(),
            2: Many("TensorMetadata"),
            3: Many("TensorMetadata"),
            4: _FILES,
            5: _UNITS,
            6: _UNITS,
        },
        "TensorMetadata": {
            0: Text(),
            1: Text(),
            2: Texts(),
            3: One("Content"),
            4: _UNITS,
            5: One("Stats"),
            6: _FILES,
        },
        "AssociatedFile": {0: Text(), 1: Text(), 3: Text(), 4: Text()},
        "Content": {1: Either(0, {})},
        "ProcessUnit": {1: Either(0, {1: "NormalizationOptions"})},
        "NormalizationOptions": {0: Numbers(4), 1: Numbers(4)},
        "Stats": {0: Numbers(4), 1: Numbers(4)},
        "": {},
    },
)
