"""The sets that have a name: one entry each serves Python, the command line, recipes, network files and documents.

Nothing here loads torch.
"""
