"""Side-by-side measurements; the commands write what they found into README.md."""
