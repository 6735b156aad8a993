"""A converter that costs nothing: the same command line and files as `python -m convert`.

It copies the model, says of what lies on S3 only which credentials it got, refuses one called
`broken`, finds nothing inside the budget for one called `hopeless`, and writes a line to checks.log
for each check, and to conversions.log each time it really converts.
"""

import hashlib
import json
import os
import sys
from pathlib import Path

arguments = sys.argv[1:]
if "--fingerprint" in arguments:
    print(os.environ.get("FAKE_FINGERPRINT", "f" * 64))
    raise SystemExit(0)
card = Path(arguments[0])
if "--digest" in arguments:
    seen = os.environ.get("AWS_SECRET_ACCESS_KEY", "no credentials")
    told = hashlib.sha256(seen.encode()).hexdigest()
    print(json.dumps({"model": told, "calibration": None, "evaluation": None, "training": None}))
    raise SystemExit(0)
if "--check" in arguments:
    with Path("checks.log").open("a") as log:
        log.write("quick\n" if "--quick" in arguments else "whole\n")
    if not (card.parent / "model.keras").exists():
        print("progress\nmodel.keras is missing: expected a model", file=sys.stderr)
        raise SystemExit(2)
    raise SystemExit(0)
content = (card.parent / "model.keras").read_bytes()
print("converting", file=sys.stderr)
if content == b"hopeless":
    print("### `digits`: no candidate inside the budget\n\n| float32 | 0.2 |", file=sys.stderr)
    print("convert: loosen it", file=sys.stderr)
    raise SystemExit(3)
with Path("conversions.log").open("a") as log:
    log.write(f"{sorted(name for name in os.environ if name.startswith('AWS_'))}\n")
out = Path(arguments[arguments.index("--out") + 1])
out.mkdir(parents=True)
salt = os.environ.get("FAKE_SALT", "").encode()
(out / "model.tflite").write_bytes(content + salt)
model = {
    "schema": 1,
    "name": "as converted",
    "sha256": hashlib.sha256(content + salt).hexdigest(),
    "recipe": "float32",
    "signature": {
        "name": "serving_default",
        "inputs": [{"name": "x", "dtype": "float32", "shape": [-1, 2]}],
        "outputs": [{"name": "y", "dtype": "float32", "shape": [-1, 3]}],
    },
    "labels": None,
    "picture": None,
}
(out / "model.json").write_text(json.dumps(model))
report = {
    "model": "as converted",
    "original": {"bytes": 100, "metric": 0.98},
    "candidates": [{"recipe": "float32", "bytes": len(content), "metric": 0.97, "agreement": 1.0}],
    "chosen": "float32",
}
(out / "report.json").write_text(json.dumps(report))
(out / "report.md").write_text("### `as converted`: float32\n\n| float32 | 0.97 |\n")
