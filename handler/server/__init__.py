"""The long-running server: one process that accepts, and workers that answer.

Lambda imports nothing of it. uvicorn brings the HTTP: its parser, keep-alive, flow control, drain.
"""
