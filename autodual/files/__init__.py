"""Loading model files without executing code in them; start here when a model comes from a file."""

from autodual.files.cascade_file import load_cascade, load_cascade_file
from autodual.files.model import LoadedModel, load_model, load_model_file

__all__ = ["LoadedModel", "load_cascade", "load_cascade_file", "load_model", "load_model_file"]
