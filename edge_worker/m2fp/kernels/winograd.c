/* float32 3x3 convolution of stride 1 with a quarter of the multiplications: Winograd's F(4x4, 3x3).

   Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks" (arXiv 1509.09308): tiles of 4x4 output cells are
   computed from 6x6 input cells, which overlap by 2. Input tiles and weights are transformed to 36 places; at each
   place a matrix product over the channels remains, and its result is transformed back.

   The interpolation points are 0, a, -a, b, -b and infinity. a = 1/sqrt(2) and b = sqrt(2) instead of 1 and 2 keep the
   values in a narrower range, with less rounding error (on the choice of points: Alam et al., "Winograd
   Convolution for Deep Neural Networks: Efficient Point Selection", doi 10.1145/3524069). */

#include "convolution.h"
#include "source.h"

#if defined(__x86_64__) && defined(__GNUC__)

enum {
    OUTPUT = 4, /* output cells per side of a tile */
    INPUT = 6,
    PLACES = INPUT * INPUT,
    FILTERS = 32,      /* filters computed together */
    MARGIN = 16,       /* floats; avoids cache set conflicts of power-of-two rows */
    LINE = 64,         /* bytes of a cache line */
    TOGETHER = 12,     /* tiles multiplied together with the widest vectors */
    TILES = 48,        /* tiles of a block: they share a read of the weights, and their input stays in a near cache */
};

#define A 0.70710678118654752f
#define B 1.41421356237309505f
#define AA 0.5f
#define BB 2.0f

typedef struct {
    int64_t across;        /* tiles per row of the map */
    int64_t pitch;         /* floats from tile to tile of transformed input */
    int64_t from, to;      /* floats from place to place of transformed input, and of products */
    const float *weights;  /* transformed: (filters / 32, places, channels, 32), ordered by vector width */
    float *nothing;        /* zeros: channels of a cell outside the map */
    float *input;          /* (places, tiles, channels) */
    float *products;       /* (places, tiles, 32) */
} Block;

static int64_t round_up(int64_t number, int64_t unit) { return (number + unit - 1) / unit * unit; }

static float *take(char **memory, int64_t floats) {
    char *taken = *memory;
    *memory += round_up(floats * 4, LINE);
    return (float *)taken;
}

/* Lay out a block in *memory*; returns its size in bytes. */
static int64_t lay_out(const Convolution *task, char *memory, Block *block) {
    char *end = memory;
    block->across = (task->width + OUTPUT - 1) / OUTPUT;
    block->pitch = task->channels + MARGIN;
    block->from = TILES * block->pitch + MARGIN;
    block->to = TILES * FILTERS + MARGIN;
    block->nothing = take(&end, task->channels);
    block->input = take(&end, PLACES * block->from);
    block->products = take(&end, PLACES * block->to);
    return end - memory;
}

#define JOINED(name, width) name##_##width
#define NAMED(name, width) JOINED(name, width)
#define OF_WIDTH(name) NAMED(name, WIDTH)

#define TARGET __attribute__((target("avx512f,fma")))
#define WIDTH 16
#define ROWS TOGETHER
#include "winograd_steps.h"
#undef TARGET
#undef WIDTH
#undef ROWS

#define TARGET __attribute__((target("avx2,fma")))
#define WIDTH 8
#define ROWS (TOGETHER / 2)
#include "winograd_steps.h"

/* Vector width of this CPU in floats, 0 if not supported. *width* below is this or less. */
int winograd_width(void) {
    if (__builtin_cpu_supports("avx512f")) return 16;
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? 8 : 0;
}

int64_t winograd_tiles(const Convolution *task) {
    return (int64_t)((task->height + OUTPUT - 1) / OUTPUT) * ((task->width + OUTPUT - 1) / OUTPUT);
}

int64_t winograd_memory(const Convolution *task) {
    Block block;
    return lay_out(task, (char *)0, &block);
}

/* Transform the weights of channels begin <= channel < end; *transformed* has room for all channels. */
void winograd_weights(const Convolution *task, int width, int64_t begin, int64_t end, float *transformed) {
    if (begin < 0) begin = 0;
    if (end > task->channels) end = task->channels;
    (width == 16 ? transform_weights_16 : transform_weights_8)(task, begin, end, transformed);
}

/* Compute output tiles begin <= tile < end; *memory* has winograd_memory() bytes, aligned to a cache line. */
void winograd_compute(const Convolution *task, int width, int64_t begin, int64_t end, const float *transformed,
                      char *memory) {
    Block block;
    if (begin < 0) begin = 0;
    if (end > winograd_tiles(task)) end = winograd_tiles(task);
    if (begin >= end) return;
    lay_out(task, memory, &block);
    block.weights = transformed;
    for (int32_t c = 0; c < task->channels; c++) block.nothing[c] = 0.0f;
    const int64_t blocks = (end - begin + TILES - 1) / TILES;
    const int64_t tiles = round_up((end - begin + blocks - 1) / blocks, TOGETHER); /* blocks of similar size */
    for (int64_t first = begin; first < end; first += tiles) {
        const int64_t left = end - first;
        (width == 16 ? compute_block_16 : compute_block_8)(task, &block, first, (int32_t)(left < tiles ? left : tiles));
    }
}

#else

int winograd_width(void) { return 0; }

int64_t winograd_tiles(const Convolution *task) { return task->rows * 0; }

int64_t winograd_memory(const Convolution *task) { return task->rows * 0; }

void winograd_weights(const Convolution *task, int width, int64_t begin, int64_t end, float *transformed) {
    (void)task, (void)width, (void)begin, (void)end, (void)transformed;
}

void winograd_compute(const Convolution *task, int width, int64_t begin, int64_t end, const float *transformed,
                      char *memory) {
    (void)task, (void)width, (void)begin, (void)end, (void)transformed, (void)memory;
}

#endif
