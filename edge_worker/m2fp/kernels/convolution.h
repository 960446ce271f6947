/* What the kernels for convolutions are told; maps are channels last. */

#ifndef EDGE_WORKER_CONVOLUTION_H
#define EDGE_WORKER_CONVOLUTION_H

#include <stdint.h>

typedef struct {
    const float *in;         /* (height, width, channels) */
    const uint8_t *weights;  /* unaligned; each kernel has an order of its own */
    const float *bias;       /* (filters) */
    const float *added;      /* as out, added before the rectifier; or null */
    float *out;              /* (rows, columns, filters) */
    int32_t height, width, channels, filters, kernel, stride, rectified, rows, columns;
} Convolution;

#endif
