"""uv's two commands that the program uses, without a network: export a lock, unpack wheels."""

import sys
from pathlib import Path

arguments = sys.argv[1:]
with Path("uv.log").open("a") as log:
    log.write(" ".join(arguments) + "\n")
if arguments[0] == "export":
    for name, version in (
        ("ai-edge-litert", "2.3.0"),
        ("click", "8.5.1"),
        ("httptools", "0.9.0"),
        ("numpy", "2.4.6"),
        ("orjson", "3.13.0"),
        ("pillow", "13.0.0"),
        ("pybase64", "1.5.1"),
        ("uvicorn", "0.54.0"),
    ):
        print(f"{name}=={version} \\\n    --hash=sha256:{name}")
    raise SystemExit(0)
wanted = sys.stdin.read()
assert "numpy" not in wanted, "numpy must not even be downloaded"
target = Path(arguments[arguments.index("--target") + 1])
files = {
    "ai_edge_litert/libLiteRt.so": "library",
    "ai_edge_litert/interpreter.py": "unwanted",
    "click/core.py": "library",
    "click/testing.py": "unwanted",
    "click-8.5.1.dist-info/licenses/LICENSE.txt": "licence",
    "httptools/parser/parser.cpython-313-x86_64-linux-gnu.so": "library",
    "httptools/parser/parser.pyx": "unwanted",
    "orjson/__init__.py": "library",
    "pybase64/__init__.py": "library",
    "pybase64/_fallback.py": "unwanted",
    "uvicorn/server.py": "library",
    "uvicorn/protocols/http/h11_impl.py": "unwanted",
}
if "pillow" in wanted:
    files |= {
        "PIL/Image.py": "picture",
        "PIL/_imaging.cpython-313-x86_64-linux-gnu.so": "codec",
        "PIL/_avif.cpython-313-x86_64-linux-gnu.so": "unwanted",
        "pillow-13.0.0.dist-info/licenses/LICENSE": "licence",
        "PIL/Image.pyi": "unwanted",
        "pillow.libs/libjpeg-1.so": "codec",
        "pillow.libs/libavif-1.so": "unwanted",
    }
for name, content in files.items():
    path = target / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
