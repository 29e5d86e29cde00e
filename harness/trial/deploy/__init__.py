"""The ways to run the same fine-tuned weights: eager at a precision, channels_last, compiled, onnxruntime.

What a detector or a machine cannot do is an `UnsupportedVariant` with the reason, which becomes a row of the report.
"""
