"""Constants that were measured rather than derived: what kernels cost, and how many tensors are alive at once.

They steer cost models and chunk sizes. A bad value costs time or memory; no bound depends on them.
`python benchmarks/measure_constants.py` measures all of them and prints them beside those in force, which come from one
thread of a server processor (AVX-512, 1 MiB of L2 cache) in float32. Code reads them from `measured` at each use, so
that the benchmark can try others.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Constants:
    """The measured constants, by name."""

    # --- Time --------------------------------------------------------------------------------------------------------

    #: Time of a windowed row pulled by itself, relative to one pulled together with all channels of its position: it
    #: needs gathers instead of shared products.
    ragged_window_cost: float = 2.0
    #: The same for rows over whole nodes.
    ragged_row_cost: float = 1.2
    #: While rows are factored, and so never written out: rows to pull at once, in multiples of what the caches hold.
    factored_rows_gain: int = 4
    #: Checking a site's intervals pays if a row has at least this many multiplications per scalar still ahead.
    early_exit_work: int = 10_000
    #: Multiplications that take as long as all that one more pull of rows costs beside its own.
    another_pull_work: int = 16_000_000
    #: Multiplications that take as long as one more layer on the way of rows costs beside its own.
    another_layer_work: int = 16_000_000
    #: Multiplications of a product from which on it pays to look for columns of zeros, and to leave them out.
    zero_columns_work: int = 32_000_000
    #: Multiplications that a GPU does while it waits for the host to choose rows. Not measured: a millisecond at a
    #: tenth of what a server's GPU can do.
    work_of_a_wait: int = 2_000_000_000
    #: Time of a multiplication in forward mode, relative to backward mode: earlier columns are carried along.
    push_cost: float = 2.0
    #: Channels below which a matrix product and `fold` are faster than the library's transposed convolution.
    fold_channels: int = 8
    #: A patch-to-patch matrix product is faster than a transposed convolution of up to this many times fewer
    #: multiplications.
    patch_matrix_waste: int = 12
    #: Bands that a patch-to-patch matrix is cut into at most: thin bands skip zeros, but are small products.
    patch_matrix_bands: int = 8
    #: Bytes of rows in flight that fit the processor's caches; larger chunks are slower.
    cache_bytes: int = 16 << 20
    #: Numbers that a median is selected from at a time on a CPU, for the same reason.
    selection_numbers: int = 1 << 19
    #: Products of columns that are made and used at a time on a CPU, for the same reason.
    weighted_numbers: int = 1 << 18

    # --- Memory ------------------------------------------------------------------------------------------------------

    #: Tensors of a row's size that are alive at once while a row is pulled through a layer.
    row_tensors: int = 4
    #: Tensors of a row's size that autograd keeps at each node on its way.
    row_tensors_kept: int = 3
    #: Tensors as large as all columns of a node that are alive at once in forward mode.
    pushed_tensors: float = 1.5
    #: Tensors as large as a sketch's columns that are alive at once, at the node where they are largest.
    sketch_tensors: int = 3
    #: Tensors as large as a sketch's columns that autograd keeps at each node.
    sketch_tensors_kept: int = 2
    #: Tensors of a node's size that a sample needs while it is bounded (intervals, relaxation, temporaries).
    sample_tensors: int = 12
    #: The same while gradients are recorded.
    sample_tensors_kept: int = 24
    #: As `sample_tensors`, for interval arithmetic alone.
    interval_tensors: int = 6
    #: Tensors of a node's size that autograd keeps at each operand of a node, for interval arithmetic alone.
    interval_tensors_kept: int = 3
    #: Bytes that a process takes besides tensors: workspaces of kernels, code loaded at first use, heap fragmentation.
    process_bytes: int = 20 << 20


#: The values in force.
measured = Constants()
