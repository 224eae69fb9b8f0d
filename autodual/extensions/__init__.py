"""Code from outside that adds to autodual: how it is found and run, and the commands that it brings.

An extension is a Python module that registers things when it is imported: perturbation sets, losses, operations,
passes, attacks, commands. Only what a person names, or has installed, is run; never what a file names.
"""

from autodual.extensions.extension import Extension, installed_extensions, load_extension

__all__ = ["Extension", "installed_extensions", "load_extension"]
