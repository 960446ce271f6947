/* float32 GEMM and convolution by three bf16 products with fp32 accumulation, on AMX tiles.

   A float32 is split into two bf16, high + low, with a relative error of 2^-16; of the product of two such sums all
   terms but low * low are computed (bf16x3, PyTorch's float32 matmul precision "high"). AMX multiplies bf16 sixteen
   times as fast as AVX-512 multiplies float32.

   Maps are channels last. A matrix product is a 1x1 convolution of a map one column wide. The output is computed in
   bands of rows. The input of a band is split once, into padded rows of cells, from which tiles are loaded directly for
   every offset in the convolution's window.

   Weights: bf16 (filters / 32, steps, high and low, 2 tiles); see gemm.py. */

#include "convolution.h"
#include "source.h"

#if defined(__x86_64__) && defined(__linux__) && defined(__GNUC__) && (__GNUC__ >= 11 || defined(__clang__))

#include <cpuid.h>
#include <immintrin.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define TILED __attribute__((target("amx-tile,amx-bf16,avx512f,avx512bw,avx512vl,avx512bf16,fma")))
#define INLINED static inline __attribute__((always_inline)) TILED

enum {
    SIDE = 16,           /* rows of a tile, and its columns of float32 */
    DEPTH = 32,          /* bf16 in a row of a tile: channels of one step */
    TILE = SIDE * DEPTH, /* bf16 */
    FILTERS = 8 * TILE,  /* bytes of a step's weights: high and low of 32 filters */
    BLOCK = 2 * SIDE,    /* cells and filters of the four accumulator tiles */
    SUMS = BLOCK * BLOCK,
    MOST_STEPS = 5,  /* steps before the accumulators are stored: their operands fit the L1 cache */
    CELLS = 256,     /* approximate cells of a band, 1x1 convolution */
    WINDOW_CELLS = 512,
    LINE = 64, /* bytes of a cache line */
};

typedef struct {
    int32_t rows, width;  /* output rows of a band; cells of a padded input row */
    int32_t pitch;        /* bf16 from cell to cell; one extra cache line avoids set conflicts in a tile */
    int32_t steps, tiles; /* of 32 channels at one window offset; of 16 output cells, an even number */
    uint16_t *high, *low;
    uint16_t *weights; /* aligned copy for one block of filters and some steps */
    float *sums;
    int32_t *from;   /* first cell of each tile, in the padded rows */
    int32_t *target; /* output cell of each row of each tile; -1: none */
    int64_t *places; /* offset in bf16 of each step, from the first offset of the window */
} Band;

int product_is_usable(void) {
    const int request_permission = 0x1023, tile_data = 18;
    unsigned a, b, c, d;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || !(d & 1u << 22) || !(d & 1u << 24)) return 0;
    if (!__builtin_cpu_supports("avx512bf16") || !__builtin_cpu_supports("avx512bw")) return 0;
    if (!__builtin_cpu_supports("avx512vl")) return 0;
    return syscall(SYS_arch_prctl, request_permission, tile_data) == 0;
}

static int64_t round_up(int64_t number, int64_t unit) { return (number + unit - 1) / unit * unit; }

static char *take(char **memory, int64_t bytes) {
    char *taken = *memory;
    *memory += round_up(bytes, LINE);
    return taken;
}

static int32_t tiles_of(const Convolution *task, const Band *band, int32_t rows) {
    const int32_t cells = task->stride == 1 ? rows * band->width : rows * (int32_t)round_up(task->columns, SIDE);
    return (int32_t)round_up(cells, BLOCK) / SIDE;
}

/* Lay out a band in *memory*; returns its size in bytes. */
static int64_t lay_out(const Convolution *task, char *memory, Band *band) {
    char *end = memory;
    const int32_t usual = task->kernel == 1 ? CELLS : WINDOW_CELLS;
    band->width = task->width + task->kernel - 1;
    band->rows = usual / (task->stride == 1 ? band->width : task->columns);
    if (band->rows < 1) band->rows = 1;
    band->pitch = task->channels + LINE / 2;
    band->steps = task->kernel * task->kernel * task->channels / DEPTH;
    band->tiles = tiles_of(task, band, band->rows);
    const int64_t read = (int64_t)((band->rows - 1) * task->stride + task->kernel) * band->width;
    const int64_t beyond = (int64_t)BLOCK * task->stride + task->kernel; /* cells read by surplus tiles */
    band->high = (uint16_t *)take(&end, (read + beyond) * band->pitch * 2);
    band->low = (uint16_t *)take(&end, (read + beyond) * band->pitch * 2);
    band->weights = (uint16_t *)take(&end, (int64_t)MOST_STEPS * FILTERS);
    band->sums = (float *)take(&end, (int64_t)band->tiles * SIDE * task->filters * 4);
    band->from = (int32_t *)take(&end, band->tiles * 4);
    band->target = (int32_t *)take(&end, band->tiles * SIDE * 4);
    band->places = (int64_t *)take(&end, band->steps * 8);
    return end - memory;
}

int64_t product_memory(const Convolution *task) {
    Band band;
    return lay_out(task, (char *)0, &band);
}

static void find_places(const Convolution *task, const Band *band) {
    int64_t *place = band->places;
    for (int y = 0; y < task->kernel; y++)
        for (int x = 0; x < task->kernel; x++)
            for (int c = 0; c < task->channels; c += DEPTH) *place++ = (int64_t)(y * band->width + x) * band->pitch + c;
}

/* Split 32 floats into high and low bf16. */
INLINED void split(const float *from, uint16_t *high, uint16_t *low) {
    const __m512 first = _mm512_loadu_ps(from), second = _mm512_loadu_ps(from + SIDE);
    const __m512i rounded = (__m512i)_mm512_cvtne2ps_pbh(second, first);
    const __m512i first_high = _mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm512_castsi512_si256(rounded)), 16);
    const __m512i second_high = _mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm512_extracti64x4_epi64(rounded, 1)), 16);
    const __m512 first_low = _mm512_sub_ps(first, _mm512_castsi512_ps(first_high));
    const __m512 second_low = _mm512_sub_ps(second, _mm512_castsi512_ps(second_high));
    _mm512_store_si512(high, rounded);
    _mm512_store_si512(low, (__m512i)_mm512_cvtne2ps_pbh(second_low, first_low));
}

static void clear(uint16_t *high, uint16_t *low, int64_t count) {
    memset(high, 0, (size_t)count * 2);
    memset(low, 0, (size_t)count * 2);
}

/* Split and pad the input rows needed by *rows* of output starting at *row*. */
INLINED void split_band(const Convolution *task, const Band *band, int64_t row, int32_t rows) {
    const int32_t margin = task->kernel / 2;
    const int64_t a_row = (int64_t)band->width * band->pitch;
    for (int32_t r = 0; r < (rows - 1) * task->stride + task->kernel; r++) {
        const int64_t y = row * task->stride + r - margin;
        uint16_t *high = band->high + r * a_row, *low = band->low + r * a_row;
        if (y < 0 || y >= task->height) {
            clear(high, low, a_row);
            continue;
        }
        if (margin) {
            clear(high, low, band->pitch);
            clear(high + a_row - band->pitch, low + a_row - band->pitch, band->pitch);
        }
        for (int32_t x = 0; x < task->width; x++)
            for (int32_t c = 0; c < task->channels; c += DEPTH) {
                const int64_t at = (int64_t)(x + margin) * band->pitch + c;
                split(task->in + (y * task->width + x) * task->channels + c, high + at, low + at);
            }
    }
}

/* Map the tiles of a band to cells, for *rows* of output starting at *row*. A surplus tile reads arbitrary data. */
static void aim(const Convolution *task, const Band *band, int64_t row, int32_t rows, int32_t tiles) {
    const int32_t a_row = (task->columns + SIDE - 1) / SIDE;
    for (int32_t tile = 0; tile < tiles; tile++) {
        const int32_t y0 = tile / a_row < rows ? tile / a_row : 0;
        band->from[tile] = task->stride == 1 ? tile * SIDE : (y0 * band->width + tile % a_row * SIDE) * task->stride;
        for (int32_t r = 0; r < SIDE; r++) {
            const int32_t cell = tile * SIDE + r;
            const int32_t y = task->stride == 1 ? cell / band->width : tile / a_row;
            const int32_t x = task->stride == 1 ? cell % band->width : tile % a_row * SIDE + r;
            band->target[cell] = y < rows && x < task->columns ? (int32_t)((row + y) * task->columns + x) : -1;
        }
    }
}

/* Accumulate tiles 0 to 3 += cells in tiles 4 and 5 times filters in tiles 6 and 7. */
#define ADD_PRODUCTS \
    _tile_dpbf16ps(0, 4, 6); \
    _tile_dpbf16ps(1, 4, 7); \
    _tile_dpbf16ps(2, 5, 6); \
    _tile_dpbf16ps(3, 5, 7)

/* Accumulate tiles 0 to 3 over the steps begin <= step < end: high * low, high * high, low * high. */
INLINED void multiply(const Band *band, const int32_t *from, int64_t stride, int begin, int end) {
    const int64_t first = (int64_t)from[0] * band->pitch, second = (int64_t)from[1] * band->pitch;
    const uint16_t *filter = band->weights;
    for (int step = begin; step < end; step++, filter += 4 * TILE) {
        const uint16_t *high = band->high + band->places[step], *low = band->low + band->places[step];
        _tile_loadd(4, high + first, stride);
        _tile_loadd(5, high + second, stride);
        _tile_loadd(6, filter + 2 * TILE, LINE);
        _tile_loadd(7, filter + 3 * TILE, LINE);
        ADD_PRODUCTS;
        _tile_loadd(6, filter, LINE);
        _tile_loadd(7, filter + TILE, LINE);
        ADD_PRODUCTS;
        _tile_loadd(4, low + first, stride);
        _tile_loadd(5, low + second, stride);
        ADD_PRODUCTS;
    }
}

INLINED void begin_sums(void) {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
}

INLINED void resume_sums(const float *sums) {
    _tile_loadd(0, sums, 2 * LINE);
    _tile_loadd(1, sums + SIDE, 2 * LINE);
    _tile_loadd(2, sums + SIDE * BLOCK, 2 * LINE);
    _tile_loadd(3, sums + SIDE * BLOCK + SIDE, 2 * LINE);
}

INLINED void keep_sums(float *sums) {
    _tile_stored(0, sums, 2 * LINE);
    _tile_stored(1, sums + SIDE, 2 * LINE);
    _tile_stored(2, sums + SIDE * BLOCK, 2 * LINE);
    _tile_stored(3, sums + SIDE * BLOCK + SIDE, 2 * LINE);
}

/* Write the sums of 32 cells for the filters from *filter* on, with bias and ReLU, to the output. */
INLINED void put_out(const Convolution *task, const float *sums, const int32_t *target, int filter) {
    for (int cell = 0; cell < BLOCK; cell++) {
        if (target[cell] < 0) continue;
        const int64_t at = (int64_t)target[cell] * task->filters + filter;
        for (int c = 0; c < BLOCK; c += SIDE) {
            const __m512 bias = _mm512_loadu_ps(task->bias + filter + c);
            __m512 value = _mm512_add_ps(_mm512_loadu_ps(sums + cell * BLOCK + c), bias);
            if (task->added) value = _mm512_add_ps(value, _mm512_loadu_ps(task->added + at + c));
            if (task->rectified) value = _mm512_max_ps(value, _mm512_setzero_ps());
            _mm512_storeu_ps(task->out + at + c, value);
        }
    }
}

/* Compute one block of filters of a band over one range of steps. */
INLINED void compute_block(const Convolution *task, const Band *band, int32_t tiles, int block, int part, int parts) {
    const int begin = band->steps * part / parts, end = band->steps * (part + 1) / parts;
    const int64_t stride = (int64_t)band->pitch * task->stride * 2;
    const int64_t weights = ((int64_t)block * band->steps + begin) * FILTERS;
    memcpy(band->weights, task->weights + weights, (size_t)(end - begin) * FILTERS);
    for (int32_t tile = 0; tile < tiles; tile += 2) {
        float *sums = band->sums + ((int64_t)block * tiles + tile) / 2 * SUMS;
        if (part == 0)
            begin_sums();
        else
            resume_sums(sums);
        multiply(band, band->from + tile, stride, begin, end);
        keep_sums(sums);
        if (part == parts - 1) put_out(task, sums, band->target + tile * SIDE, block * BLOCK);
    }
}

INLINED void compute_band(const Convolution *task, const Band *band, int32_t tiles) {
    const int parts = (band->steps + MOST_STEPS - 1) / MOST_STEPS;
    for (int part = 0; part < parts; part++)
        for (int block = 0; block < task->filters / BLOCK; block++)
            compute_block(task, band, tiles, block, part, parts);
}

TILED static void configure_tiles(void) {
    struct {
        uint8_t palette, start, reserved[14];
        uint16_t bytes[16];
        uint8_t rows[16];
    } layout;
    memset(&layout, 0, sizeof layout);
    layout.palette = 1;
    for (int tile = 0; tile < 8; tile++) layout.bytes[tile] = LINE, layout.rows[tile] = SIDE;
    _tile_loadconfig(&layout);
}

/* Compute output rows begin <= row < end; *memory* has product_memory() bytes, aligned to a cache line. */
TILED void product_rows(const Convolution *task, int64_t begin, int64_t end, char *memory) {
    Band band;
    if (begin < 0) begin = 0;
    if (end > task->rows) end = task->rows;
    lay_out(task, memory, &band);
    find_places(task, &band);
    configure_tiles();
    for (int64_t row = begin; row < end; row += band.rows) {
        const int32_t rows = end - row < band.rows ? (int32_t)(end - row) : band.rows;
        const int32_t tiles = tiles_of(task, &band, rows);
        split_band(task, &band, row, rows);
        aim(task, &band, row, rows, tiles);
        compute_band(task, &band, tiles);
    }
    _tile_release();
}

#else

int product_is_usable(void) { return 0; }

int64_t product_memory(const Convolution *task) { return task->rows * 0; }

void product_rows(const Convolution *task, int64_t begin, int64_t end, char *memory) {
    (void)task, (void)begin, (void)end, (void)memory;
}

#endif
