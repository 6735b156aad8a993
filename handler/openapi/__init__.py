"""The API of one model as an OpenAPI 3.1 document, made from its signature."""

from handler.openapi.document import describe

__all__ = ["describe"]
