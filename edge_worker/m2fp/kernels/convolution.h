/* Task description of the convolution kernels; maps are channels last. */

#ifndef EDGE_WORKER_CONVOLUTION_H
#define EDGE_WORKER_CONVOLUTION_H

#include <stdint.h>

typedef struct {
    const float *in;         /* (height, width, channels) */
    const uint8_t *weights;  /* unaligned, in the kernel's own layout */
    const float *bias;       /* (filters) */
    const float *added;      /* residual of out's shape, added before the ReLU; or null */
    float *out;              /* (rows, columns, filters) */
    int32_t height, width, channels, filters, kernel, stride, rectified, rows, columns;
} Convolution;

#endif
