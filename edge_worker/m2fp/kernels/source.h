/* Names what a library was built from: setup.py defines KERNEL_SOURCE, and the loader compares. */

#ifndef EDGE_WORKER_SOURCE_H
#define EDGE_WORKER_SOURCE_H

extern const char kernel_source[17];
const char kernel_source[17] = KERNEL_SOURCE;

#endif
