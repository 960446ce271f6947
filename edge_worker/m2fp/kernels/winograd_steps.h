/* The steps of winograd.c for vectors of WIDTH floats; the products keep 2 * ROWS accumulators in registers. */

typedef float OF_WIDTH(Vector) __attribute__((vector_size(4 * WIDTH)));
typedef float OF_WIDTH(Unaligned) __attribute__((vector_size(4 * WIDTH), aligned(1), may_alias));
typedef int32_t OF_WIDTH(Bits) __attribute__((vector_size(4 * WIDTH)));

#define VECTOR OF_WIDTH(Vector)
#define AT(address) (*(const OF_WIDTH(Unaligned) *)(address))
#define PUT(address) (*(OF_WIDTH(Unaligned) *)(address))
#define STEP TARGET static inline __attribute__((always_inline))
#define SPAN (2 * WIDTH) /* filters with interleaved weights */

/* -- one dimension of the transforms ------------------------------------------------------------------------------ */

STEP void OF_WIDTH(transform_input)(const VECTOR d[INPUT], VECTOR t[INPUT]) {
    const VECTOR even_a = d[4] - BB * d[2], odd_a = A * (d[3] - BB * d[1]);
    const VECTOR even_b = d[4] - AA * d[2], odd_b = B * (d[3] - AA * d[1]);
    t[0] = d[4] - (AA + BB) * d[2] + (AA * BB) * d[0];
    t[1] = even_a + odd_a;
    t[2] = even_a - odd_a;
    t[3] = even_b + odd_b;
    t[4] = even_b - odd_b;
    t[5] = d[5] - (AA + BB) * d[3] + (AA * BB) * d[1];
}

STEP void OF_WIDTH(transform_filter)(const VECTOR g[3], VECTOR t[INPUT]) {
    const float of_a = 1.0f / (2.0f * AA * (AA - BB)), of_b = 1.0f / (2.0f * BB * (BB - AA));
    const VECTOR even_a = of_a * (g[0] + AA * g[2]), odd_a = (of_a * A) * g[1];
    const VECTOR even_b = of_b * (g[0] + BB * g[2]), odd_b = (of_b * B) * g[1];
    t[0] = (1.0f / (AA * BB)) * g[0];
    t[1] = even_a + odd_a;
    t[2] = even_a - odd_a;
    t[3] = even_b + odd_b;
    t[4] = even_b - odd_b;
    t[5] = g[2];
}

STEP void OF_WIDTH(transform_output)(const VECTOR m[INPUT], VECTOR y[OUTPUT]) {
    const VECTOR even_a = m[1] + m[2], odd_a = m[1] - m[2], even_b = m[3] + m[4], odd_b = m[3] - m[4];
    y[0] = m[0] + even_a + even_b;
    y[1] = A * odd_a + B * odd_b;
    y[2] = AA * even_a + BB * even_b;
    y[3] = (A * AA) * odd_a + (B * BB) * odd_b + m[5];
}

/* -- weights ------------------------------------------------------------------------------------------------------ */

/* Transform one channel's weights for WIDTH filters: *from* (3, 3, channels, 32), *to* (places, channels, SPAN). */
STEP void OF_WIDTH(transform_window)(const Convolution *task, const uint8_t *from, float *to) {
    const int64_t from_place = (int64_t)task->channels * FILTERS * 4, to_place = (int64_t)task->channels * FILTERS;
    VECTOR half[INPUT][3]; /* y, x */
    for (int x = 0; x < 3; x++) {
        VECTOR g[3], t[INPUT];
        for (int y = 0; y < 3; y++) g[y] = AT(from + (y * 3 + x) * from_place);
        OF_WIDTH(transform_filter)(g, t);
        for (int y = 0; y < INPUT; y++) half[y][x] = t[y];
    }
    for (int y = 0; y < INPUT; y++) {
        VECTOR t[INPUT];
        OF_WIDTH(transform_filter)(half[y], t);
        for (int x = 0; x < INPUT; x++) PUT(to + (y * INPUT + x) * to_place) = t[x];
    }
}

/* Transform weights (filters / 32, 3, 3, channels, 32) to (filters / 32, places, 32 / SPAN, channels, SPAN). */
TARGET static void OF_WIDTH(transform_weights)(const Convolution *task, int64_t begin, int64_t end,
                                               float *transformed) {
    for (int64_t filter = 0; filter < task->filters; filter += WIDTH) {
        const int64_t block = filter / FILTERS * FILTERS, within = filter % FILTERS;
        const uint8_t *from = task->weights + (block * 9 * task->channels + within) * 4;
        float *to = transformed + (block * PLACES + within / SPAN * SPAN) * task->channels + within % SPAN;
        for (int64_t channel = begin; channel < end; channel++)
            OF_WIDTH(transform_window)(task, from + channel * FILTERS * 4, to + channel * SPAN);
    }
}

/* -- maps --------------------------------------------------------------------------------------------------------- */

/* Find the input cells of the tile whose first cell is at *top* and *left*. */
STEP void OF_WIDTH(find_cells)(const Convolution *task, const Block *block, int32_t top, int32_t left,
                               const float *cells[INPUT][INPUT]) {
    for (int32_t y = top; y < top + INPUT; y++)
        for (int32_t x = left; x < left + INPUT; x++) {
            const int is_inside = y >= 0 && y < task->height && x >= 0 && x < task->width;
            const int64_t cell = (int64_t)y * task->width + x;
            cells[y - top][x - left] = is_inside ? task->in + cell * task->channels : block->nothing;
        }
}

STEP void OF_WIDTH(read_tile)(const Convolution *task, const Block *block, int64_t tile, float *to) {
    const float *cells[INPUT][INPUT];
    const int32_t top = (int32_t)(tile / block->across) * OUTPUT - 1;
    const int32_t left = (int32_t)(tile % block->across) * OUTPUT - 1;
    OF_WIDTH(find_cells)(task, block, top, left, cells);
    for (int32_t c = 0; c < task->channels; c += WIDTH) {
        VECTOR half[INPUT][INPUT]; /* y, x */
        for (int x = 0; x < INPUT; x++) {
            VECTOR d[INPUT], t[INPUT];
            for (int y = 0; y < INPUT; y++) d[y] = AT(cells[y][x] + c);
            OF_WIDTH(transform_input)(d, t);
            for (int y = 0; y < INPUT; y++) half[y][x] = t[y];
        }
        for (int y = 0; y < INPUT; y++) {
            VECTOR t[INPUT];
            OF_WIDTH(transform_input)(half[y], t);
            for (int x = 0; x < INPUT; x++) PUT(to + (y * INPUT + x) * block->from + c) = t[x];
        }
    }
}

/* Write WIDTH filters of one output cell, starting at *filter*. */
STEP void OF_WIDTH(put_out)(const Convolution *task, VECTOR value, int64_t cell, int32_t filter) {
    const int64_t at = cell * task->filters + filter;
    value += AT(task->bias + filter);
    if (task->added) value += AT(task->added + at);
    if (task->rectified) value = (VECTOR)((OF_WIDTH(Bits))value & (value > 0.0f));
    PUT(task->out + at) = value;
}

/* Transform the products *from* back and write WIDTH filters of a tile, starting at *filter*. */
STEP void OF_WIDTH(write_tile)(const Convolution *task, const Block *block, int64_t tile, const float *from,
                               int32_t filter) {
    const int32_t top = (int32_t)(tile / block->across) * OUTPUT, left = (int32_t)(tile % block->across) * OUTPUT;
    VECTOR half[OUTPUT][INPUT]; /* y, x */
    for (int x = 0; x < INPUT; x++) {
        VECTOR m[INPUT], t[OUTPUT];
        for (int y = 0; y < INPUT; y++) m[y] = AT(from + (y * INPUT + x) * block->to);
        OF_WIDTH(transform_output)(m, t);
        for (int y = 0; y < OUTPUT; y++) half[y][x] = t[y];
    }
    for (int32_t y = 0; y < OUTPUT && top + y < task->height; y++) {
        VECTOR out[OUTPUT];
        OF_WIDTH(transform_output)(half[y], out);
        for (int32_t x = 0; x < OUTPUT && left + x < task->width; x++)
            OF_WIDTH(put_out)(task, out[x], (int64_t)(top + y) * task->width + left + x, filter);
    }
}

/* -- products ----------------------------------------------------------------------------------------------------- */

/* Multiply the transformed input of *rows* tiles by SPAN filters, at one place. */
STEP void OF_WIDTH(multiply)(const Block *block, const float *input, const float *weights, int32_t channels,
                             const int rows, float *products) {
    VECTOR sums[ROWS][2];
    for (int row = 0; row < rows; row++) sums[row][0] = sums[row][1] = (VECTOR){0};
    for (int32_t c = 0; c < channels; c++, weights += SPAN) {
        const VECTOR first = AT(weights), second = AT(weights + WIDTH);
#pragma GCC unroll 16
        for (int row = 0; row < rows; row++) {
            sums[row][0] += input[row * block->pitch + c] * first;
            sums[row][1] += input[row * block->pitch + c] * second;
        }
    }
    for (int row = 0; row < rows; row++) {
        PUT(products + row * FILTERS) = sums[row][0];
        PUT(products + row * FILTERS + WIDTH) = sums[row][1];
    }
}

/* Multiply all tiles of a block, the last few three at a time; surplus results are never read. */
TARGET static void OF_WIDTH(multiply_block)(const Block *block, const float *input, const float *weights,
                                            int32_t channels, int32_t tiles, float *products) {
    int32_t tile = 0;
    for (; tile + ROWS <= tiles; tile += ROWS)
        OF_WIDTH(multiply)(block, input + tile * block->pitch, weights, channels, ROWS, products + tile * FILTERS);
    for (; tile + ROWS / 2 <= tiles; tile += ROWS / 2)
        OF_WIDTH(multiply)(block, input + tile * block->pitch, weights, channels, ROWS / 2, products + tile * FILTERS);
    for (; tile < tiles; tile += 3)
        OF_WIDTH(multiply)(block, input + tile * block->pitch, weights, channels, 3, products + tile * FILTERS);
}

TARGET static void OF_WIDTH(compute_block)(const Convolution *task, const Block *block, int64_t first, int32_t tiles) {
    for (int32_t tile = 0; tile < tiles; tile++)
        OF_WIDTH(read_tile)(task, block, first + tile, block->input + tile * block->pitch);
    const float *weights = block->weights;
    for (int32_t filter = 0; filter < task->filters; filter += FILTERS) {
        for (int place = 0; place < PLACES; place++)
            for (int32_t f = 0; f < FILTERS; f += SPAN, weights += (int64_t)SPAN * task->channels)
                OF_WIDTH(multiply_block)(block, block->input + place * block->from, weights, task->channels, tiles,
                                         block->products + place * block->to + f);
        for (int32_t tile = 0; tile < tiles; tile++)
            for (int32_t f = 0; f < FILTERS; f += WIDTH)
                OF_WIDTH(write_tile)(task, block, first + tile, block->products + tile * FILTERS + f, filter + f);
    }
}

#undef VECTOR
#undef AT
#undef PUT
#undef STEP
#undef SPAN
