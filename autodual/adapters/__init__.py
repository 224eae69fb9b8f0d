"""Other programs' attacks and networks here, and our attacks in their programs' conventions. None is a dependency."""

from autodual.adapters.foolbox import FoolboxAttack, from_foolbox
from autodual.adapters.foolbox_network import from_foolbox_model
from autodual.adapters.robustbench import load_robustbench
from autodual.adapters.torchattacks import from_torchattacks
from autodual.adapters.torchattacks_convention import TorchattacksAttack

__all__ = [
    "FoolboxAttack",
    "TorchattacksAttack",
    "from_foolbox",
    "from_foolbox_model",
    "from_torchattacks",
    "load_robustbench",
]
