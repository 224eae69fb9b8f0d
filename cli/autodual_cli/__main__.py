"""`python -m autodual_cli`, the same as the `autodual` command."""

from autodual_cli.main import main

main()
