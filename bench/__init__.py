"""Side-by-side measurements; the commands write what they found into README.md.

This room stands outside the program and looks in: it may import `infra` (to lay out an image as a
deployment does) and `local` (for Docker and the base image). Nothing imports it.
"""
