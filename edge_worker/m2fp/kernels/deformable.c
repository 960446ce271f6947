/* Sampling of multi-scale deformable attention (Deformable DETR, arXiv 2010.04159, equation 3), fused.

   For each query and head: softmax over the points, then the weighted sum of bilinear samples of the values, with zeros
   outside. Values are channels last, so that a sample is contiguous; fp32 accumulation.

   Weights and positions of all heads of a query are computed together, vectorised, before any sum. */

#include <math.h>
#include <stdint.h>

#include "vector.h"
#include "source.h"

enum { CORNERS = 4, USUAL_CHANNELS = 32, ROOM = 256 /* at least the points of one head */ };

typedef struct {
    const float *value;     /* (cells, heads * channels) */
    const float *projected; /* (cells, heads * points * 3): offsets (head, level, point, x y), then scores (head, level, point) */
    const int32_t *sizes;   /* (levels, 2): height and width */
    float *out;             /* (cells, heads * channels) */
    int32_t levels, heads, channels, points; /* channels per head, points per level */
} Task;

/* Per-point level data of some heads, independent of the query, one head after another. The buffers fit many heads of
   few points, or few heads of many. */
typedef struct {
    float height[ROOM], width[ROOM];
    int32_t first[ROOM]; /* cell of the level */
    int32_t per_head, heads;
} Points;

/* The terms of one query by corner and point: offset in floats from the head's first value, and weight. */
typedef struct {
    int32_t from[CORNERS][ROOM];
    float weight[CORNERS][ROOM];
} Terms;

/* Softmax per head: numerators to *weights*, the inverse of their sum to *inverse*. */
INLINED void softmax(const float *scores, const Points *points, float *restrict weights, float *restrict inverse) {
    const int count = points->per_head;
    for (int head = 0; head < points->heads; head++) {
        const float *score = scores + head * count;
        float most = score[0];
        for (int i = 1; i < count; i++) most = score[i] > most ? score[i] : most;
        for (int i = 0; i < count; i++) weights[head * count + i] = score[i] - most;
    }
    for (int i = 0; i < points->heads * count; i++) weights[i] = exp_of_negative(weights[i]);
    for (int head = 0; head < points->heads; head++) {
        float sum = 0.0f;
        for (int i = 0; i < count; i++) sum += weights[head * count + i];
        inverse[head] = 1.0f / sum;
    }
}

INLINED float clamp(float x, float most) {
    const float low = x > -1.0f ? x : -1.0f; /* maps NaN to -1 */
    return low < most ? low : most;
}

INLINED float within(float x, float size) {
    const float low = x > 0.0f ? x : 0.0f;
    return low < size - 1.0f ? low : size - 1.0f;
}

/* Compute corners and weights of the bilinear samples at *offsets* (x y, in cells) from a centre. A corner outside gets
   weight 0 and the position of a cell inside. */
INLINED void place(const Points *points, const float *offsets, const float *weights, float centre_x, float centre_y,
                   int32_t row, Terms *restrict terms) {
    for (int i = 0; i < points->heads * points->per_head; i++) {
        const float width = points->width[i], height = points->height[i];
        const float x = clamp(centre_x * width + offsets[2 * i] - 0.5f, width);
        const float y = clamp(centre_y * height + offsets[2 * i + 1] - 0.5f, height);
        const float left = floorf(x), top = floorf(y), right = left + 1.0f, bottom = top + 1.0f;
        const float left_part = left >= 0.0f && left < width ? right - x : 0.0f;
        const float right_part = right < width ? x - left : 0.0f;
        const float upper_part = (top >= 0.0f && top < height ? bottom - y : 0.0f) * weights[i];
        const float lower_part = (bottom < height ? y - top : 0.0f) * weights[i];
        const int32_t upper = points->first[i] + (int32_t)within(top, height) * (int32_t)width;
        const int32_t lower = points->first[i] + (int32_t)within(bottom, height) * (int32_t)width;
        const int32_t first = (int32_t)within(left, width), last = (int32_t)within(right, width);
        terms->from[0][i] = (upper + first) * row;
        terms->from[1][i] = (upper + last) * row;
        terms->from[2][i] = (lower + first) * row;
        terms->from[3][i] = (lower + last) * row;
        terms->weight[0][i] = upper_part * left_part;
        terms->weight[1][i] = upper_part * right_part;
        terms->weight[2][i] = lower_part * left_part;
        terms->weight[3][i] = lower_part * right_part;
    }
}

/* 4 and 8 unaligned floats. GCC keeps vectors wider than the instruction set's in memory, not in registers. */
typedef float Vector4 __attribute__((vector_size(16), aligned(4), may_alias));
typedef float Vector8 __attribute__((vector_size(32), aligned(4), may_alias));

/* Sum one head's terms from *begin* on, times *scale*, for 32 channels. */
#define SUM_USUAL(name, Vector)                                                                                        \
    INLINED void name(const float *plane, const Terms *terms, int begin, int count, float scale, float *out) {         \
        enum { PARTS = USUAL_CHANNELS * sizeof(float) / sizeof(Vector) };                                              \
        Vector sums[2][PARTS] = {{{0}}};                                                                               \
        for (int i = begin; i < begin + count; i++)                                                                    \
            for (int corner = 0; corner < CORNERS; corner++) {                                                         \
                const Vector *cell = (const Vector *)(plane + terms->from[corner][i]);                                 \
                for (int part = 0; part < PARTS; part++)                                                               \
                    sums[corner % 2][part] += terms->weight[corner][i] * cell[part];                                   \
            }                                                                                                          \
        for (int part = 0; part < PARTS; part++) ((Vector *)out)[part] = scale * (sums[0][part] + sums[1][part]);      \
    }

SUM_USUAL(sum_usual_by_4, Vector4)
SUM_USUAL(sum_usual_by_8, Vector8)

INLINED void sum_any(const float *plane, const Terms *terms, int begin, int count, float scale, float *restrict out,
                     int channels) {
    for (int c = 0; c < channels; c++) out[c] = 0.0f;
    for (int i = begin; i < begin + count; i++)
        for (int corner = 0; corner < CORNERS; corner++) {
            const float *cell = plane + terms->from[corner][i];
            const float weight = scale * terms->weight[corner][i];
            for (int c = 0; c < channels; c++) out[c] += weight * cell[c];
        }
}

INLINED void query(const Task *task, const Points *points, long index, int first_head, float centre_x, float centre_y) {
    const int count = points->per_head;
    const int32_t row = task->heads * task->channels;
    const float *offsets = task->projected + index * task->heads * count * 3;
    const float *scores = offsets + (long)task->heads * count * 2 + first_head * count;
    float weights[ROOM], inverse[ROOM];
    Terms terms;
    softmax(scores, points, weights, inverse);
    place(points, offsets + 2 * first_head * count, weights, centre_x, centre_y, row, &terms);
    for (int head = 0; head < points->heads; head++) {
        const long channel = (long)(first_head + head) * task->channels;
        float *out = task->out + index * row + channel;
        if (task->channels != USUAL_CHANNELS)
            sum_any(task->value + channel, &terms, head * count, count, inverse[head], out, task->channels);
        else if (vector_level == BASELINE)
            sum_usual_by_4(task->value + channel, &terms, head * count, count, inverse[head], out);
        else
            sum_usual_by_8(task->value + channel, &terms, head * count, count, inverse[head], out);
    }
}

INLINED void lay_out(const Task *task, int heads, Points *points) {
    points->per_head = task->levels * task->points;
    points->heads = heads;
    for (int head = 0; head < heads; head++)
        for (int level = 0, i = head * points->per_head, first = 0; level < task->levels; level++) {
            const int32_t height = task->sizes[2 * level], width = task->sizes[2 * level + 1];
            for (int point = 0; point < task->points; point++, i++) {
                points->height[i] = (float)height;
                points->width[i] = (float)width;
                points->first[i] = first;
            }
            first += height * width;
        }
}

INLINED int32_t smaller(int32_t one, int32_t other) { return one < other ? one : other; }

/* Compute the queries begin <= index < end: the cells of all levels in order, row by row. */
INLINED void deformable_sampling_steps(const Task *task, int64_t begin, int64_t end) {
    if (task->levels <= 0 || task->points <= 0 || task->levels > ROOM || task->points > ROOM / task->levels) return;
    const int32_t together = ROOM / (task->levels * task->points);
    Points points;
    for (int32_t head = 0; head < task->heads; head += together) {
        lay_out(task, smaller(together, task->heads - head), &points);
        long first = 0;
        for (int level = 0; level < task->levels; level++) {
            const int32_t height = task->sizes[2 * level], width = task->sizes[2 * level + 1];
            const long cells = (long)height * width;
            for (long index = begin > first ? begin : first; index < end && index < first + cells; index++) {
                float x = ((float)((index - first) % width) + 0.5f) / (float)width;
                float y = ((float)((index - first) / width) + 0.5f) / (float)height;
                query(task, &points, index, head, x, y);
            }
            first += cells;
        }
    }
}

DISPATCHED(void, deformable_sampling,
           (const Task *task, int64_t begin, int64_t end),
           (task, begin, end))
