"""Reading data sets from IDX and NumPy files, and the sample that ships with autodual."""

from autodual.data.dataset import Dataset, load_dataset
from autodual.data.idx import read_idx

__all__ = ["Dataset", "load_dataset", "read_idx"]
