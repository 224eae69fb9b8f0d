"""The registered sets: one entry for each serves Python, the command line, recipes, network files and documents.

Nothing here loads torch.
"""
