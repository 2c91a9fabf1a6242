"""How large is the output? One number for each axis, known before anything is computed."""


def output_size(n: int, kernel_size: int, stride: int = 1, padding: int = 0) -> int:
    """Count the places that a kernel takes along one axis of an image.

    The axis has `n` cells, and `padding` more are put at each of its two ends. The kernel
    begins flush with the first cell and moves on by `stride` cells for as long as all of it
    stays on the axis. Cells left over at the far end, too few for another place, are not used.
    Kernel, stride and padding may be of any size beside each other, if one place is there.

    Shapes:
        n: cells along the axis, at least 1
        kernel_size: cells that the kernel covers, at least 1
        stride: cells from one place to the next, at least 1
        padding: cells added at each end, at least 0
        returns: the number of places, an int, at least 1

    Example:
        >>> output_size(8, 3)
        6
        >>> output_size(8, 3, stride=2)
        3

    Raises:
        ValueError: an argument is below its least value or is not an int (3.0 is none), or
            the kernel is longer than the axis with its padding.

    Source: Dumoulin & Visin, A guide to convolution arithmetic for deep learning,
        arXiv:1603.07285, section 2.4.
    """
    raise NotImplementedError("output_size")


def same_padding(kernel_size: int) -> int:
    """Find the padding that makes the output as long as the input, at stride 1.

    Every kernel longer than one cell costs some places; the padding gives them back, the same
    number of cells at each end. A kernel of even size would need one cell more at one end
    than at the other, so it is refused.

    Shapes:
        kernel_size: cells that the kernel covers, odd, at least 1
        returns: cells to add at each end, an int

    Example:
        >>> same_padding(3)
        1

    Raises:
        ValueError: `kernel_size` is even, below 1 or not an int (3.0 is none).

    Source: Dumoulin & Visin, arXiv:1603.07285, section 2.2.
    """
    raise NotImplementedError("output_size")
