"""Constants that were measured rather than derived: what kernels cost, and how many tensors are alive at once.

They steer cost models and chunk sizes. A bad value costs time or memory; no bound depends on it.
`python benchmarks/measure_constants.py` measures all of them on the machine at hand and prints the values found beside
those in force, which are from one thread of a server's processor (AVX-512, 1 MiB of second-level cache) in
float32. Code reads them from `measured` when it needs them, so that the benchmark can try others.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Constants:
    """What was measured, by name."""

    # --- Time --------------------------------------------------------------------------------------------------------

    #: Time of a row of a window pulled by itself, in units of that of a row pulled together with all channels of its
    #: position: gathers instead of shared products.
    ragged_window_cost: float = 2.0
    #: The same for rows over whole nodes.
    ragged_row_cost: float = 1.2
    #: How many times more rows than the caches hold to pull at once while they are factored, and so never laid out.
    factored_rows_gain: int = 16
    #: Multiplications still ahead of a row, for each of its scalars, from which on a look at a site's intervals pays.
    early_exit_work: int = 24
    #: Time of a multiplication in forward mode, in units of one in backward mode: earlier columns come along.
    push_cost: float = 2.0
    #: Channels below which a matrix product and `fold` are faster than the library's transposed convolution.
    fold_channels: int = 8
    #: A patch-to-patch matrix product is faster than a transposed convolution of up to this many times fewer
    #: multiplications.
    patch_matrix_waste: int = 12
    #: Bands that a patch-to-patch matrix is cut into at most: thin bands skip zeros, but are small products.
    patch_matrix_bands: int = 8
    #: Bytes of rows in flight up to which they live in the processor's caches; larger chunks are slower.
    cache_bytes: int = 4 << 20
    #: Numbers that a median is selected from at a time on a processor, for the same reason.
    selection_numbers: int = 1 << 19

    # --- Memory ------------------------------------------------------------------------------------------------------

    #: Tensors of a row's size that are alive at once while a row is pulled through a layer.
    row_tensors: int = 4
    #: Tensors of a row's size that gradients keep at each node of its way.
    row_tensors_kept: int = 3
    #: Tensors as large as all columns of a node that are alive at once in forward mode.
    pushed_tensors: float = 1.5
    #: Tensors as large as a sketch's columns that are alive at once, at the node where they are largest.
    sketch_tensors: int = 3
    #: Tensors as large as a sketch's columns that gradients keep at each node.
    sketch_tensors_kept: int = 2
    #: Tensors of a node's size that a sample needs while it is bounded (intervals, relaxation, temporaries).
    sample_tensors: int = 12
    #: The same while gradients are recorded.
    sample_tensors_kept: int = 24
    #: As `sample_tensors`, where interval arithmetic alone is done.
    interval_tensors: int = 6
    #: As `sample_tensors_kept`, where interval arithmetic alone is done.
    interval_tensors_kept: int = 10
    #: Bytes that a process takes beside its tensors: kernels' workspaces, code loaded at first use, holes in the heap.
    process_bytes: int = 20 << 20


#: The values in force.
measured = Constants()
