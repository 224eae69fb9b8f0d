"""Extensions, code from outside that adds to autodual: how it is found and run, and the commands that it adds.

An extension is a Python module that registers things when it is imported: perturbation sets, losses, operations,
passes, attacks, commands. Only modules that the user names or has installed are run, never modules named by a file.
"""

from autodual.extensions.extension import Extension, installed_extensions, load_extension

__all__ = ["Extension", "installed_extensions", "load_extension"]
