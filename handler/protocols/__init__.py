"""Bytes <-> tensors: one file per protocol, each two pure functions."""
