"""What commands write, and where: target files, lines of a summary, the record of where results come from."""
