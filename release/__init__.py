"""What the workflows call: every step of a release that is not `make`, runnable on any machine.

Nothing outside the standard library is imported here until a request has to be signed, so that a
job which only writes a comment need not install the project.
"""
