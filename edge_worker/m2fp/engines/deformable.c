/* Sampling of multi-scale deformable attention (Deformable DETR, arXiv 2010.04159, equation 3), fused.

   For every query and head: a softmax over its points, and the weighted sum of bilinear samples of the values, zeros
   outside. Values are channels last, so that a sample is a run of contiguous floats; sums are float32. */

#include <math.h>
#include <stdint.h>

#include "../vector.h"

enum { MAX_POINTS = 64, USUAL_CHANNELS = 32 };

typedef struct {
    const float *value;     /* (cells, heads * channels) */
    const float *projected; /* (cells, heads * points * 3): offsets (head, level, point, x y), then scores (head, level, point) */
    const int32_t *sizes;   /* (levels, 2): height and width */
    float *out;             /* (cells, heads * channels) */
    int32_t levels, heads, channels, points; /* channels per head, points per level */
} Task;

INLINED void softmax(const float *scores, float *weights, int count) {
    float most = scores[0], sum = 0.0f;
    for (int i = 1; i < count; i++) most = scores[i] > most ? scores[i] : most;
    for (int i = 0; i < count; i++) weights[i] = exp_of_negative(scores[i] - most);
    for (int i = 0; i < count; i++) sum += weights[i];
    for (int i = 0; i < count; i++) weights[i] /= sum;
}

INLINED void add(float *restrict sum, const float *restrict cell, float weight, int channels) {
    for (int c = 0; c < channels; c++) sum[c] += weight * cell[c];
}

/* Add weight times the bilinear sample at (x, y), in cells, of one head's plane. */
INLINED void sample(float *restrict sum, const float *plane, int height, int width, long row, float x, float y,
                    float weight, int channels) {
    if (!(x > -1.0f && y > -1.0f && x < (float)width && y < (float)height)) return; /* not a number, too */
    int left = (int)floorf(x), top = (int)floorf(y);
    float right_part = x - (float)left, lower_part = y - (float)top;
    const float *corner = plane + ((long)top * width + left) * row;
    int in_left = left >= 0, in_right = left + 1 < width;
    if (top >= 0) {
        float part = weight * (1.0f - lower_part);
        if (in_left) add(sum, corner, part * (1.0f - right_part), channels);
        if (in_right) add(sum, corner + row, part * right_part, channels);
    }
    if (top + 1 < height) {
        float part = weight * lower_part;
        corner += (long)width * row;
        if (in_left) add(sum, corner, part * (1.0f - right_part), channels);
        if (in_right) add(sum, corner + row, part * right_part, channels);
    }
}

INLINED void query(const Task *task, long index, float centre_x, float centre_y, int channels) {
    const int count = task->levels * task->points;
    const long row = (long)task->heads * channels;
    const float *offsets = task->projected + index * task->heads * count * 3;
    const float *scores = offsets + (long)task->heads * count * 2;
    float weights[MAX_POINTS];
    for (int head = 0; head < task->heads; head++) {
        float *sum = task->out + index * row + (long)head * channels;
        const float *plane = task->value + (long)head * channels;
        softmax(scores + head * count, weights, count);
        for (int c = 0; c < channels; c++) sum[c] = 0.0f;
        for (int level = 0; level < task->levels; level++) {
            int height = task->sizes[2 * level], width = task->sizes[2 * level + 1];
            for (int point = 0; point < task->points; point++) {
                int i = level * task->points + point;
                const float *offset = offsets + 2 * (head * count + i);
                sample(sum, plane, height, width, row, centre_x * (float)width + offset[0] - 0.5f,
                       centre_y * (float)height + offset[1] - 0.5f, weights[i], channels);
            }
            plane += (long)height * width * row;
        }
    }
}

/* The queries begin <= index < end, which are the cells of all levels in turn, row by row. */
DISPATCHED void deformable_sampling(const Task *task, int64_t begin, int64_t end) {
    long first = 0;
    for (int level = 0; level < task->levels; level++) {
        int height = task->sizes[2 * level], width = task->sizes[2 * level + 1];
        for (long index = begin > first ? begin : first; index < end && index < first + (long)height * width; index++) {
            float x = ((float)((index - first) % width) + 0.5f) / (float)width;
            float y = ((float)((index - first) / width) + 0.5f) / (float)height;
            if (task->channels == USUAL_CHANNELS)
                query(task, index, x, y, USUAL_CHANNELS);
            else
                query(task, index, x, y, task->channels);
        }
        first += (long)height * width;
    }
}
