/* Version symbol: setup.py defines KERNEL_SOURCE as the digest of the sources, which the loader compares. */

#ifndef EDGE_WORKER_SOURCE_H
#define EDGE_WORKER_SOURCE_H

extern const char kernel_source[17];
const char kernel_source[17] = KERNEL_SOURCE;

#endif
