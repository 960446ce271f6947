"""M2FP in PyTorch: tensors in, tensors out, no files.

Written from the papers (M2FP: arXiv 2301.00394; Mask2Former: arXiv 2112.01527; Deformable DETR: arXiv 2010.04159).
Shapes: B batch, Q queries, C channels, N tokens of all levels, H and W of the padded input, h and w of one level.
"""
