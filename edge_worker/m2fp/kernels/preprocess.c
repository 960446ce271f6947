/* Preprocessing of RGB images: resize, and normalisation to planes.

   The resize is Pillow's BILINEAR (Resample.c, 8 bits per channel), to the last bit: first the width, then the height;
   each pass sums pixels times integer weights and rounds to 8 bits. Shrinking averages (a triangle as wide as two output
   pixels), so that a pixel has several taps.

   Both passes are the same sum over LANES adjacent bytes. For the width, the rows of the image are turned into columns,
   ROWS at a time, so that adjacent bytes share their weights. */

#include <stdint.h>

#include "vector.h"
#include "source.h"

enum { ROWS = 16, CHANNELS = 3, LANES = ROWS * CHANNELS, FRACTION_BITS = 22 };

/* The operator along one axis. */
typedef struct {
    const int32_t *first, *count; /* (out): first tap and number of taps */
    const int32_t *weights;       /* (out, taps): fixed point, FRACTION_BITS; not negative, sums near one */
    int32_t in, out, taps;
} Axis;

INLINED int32_t least(int32_t one, int32_t other) { return one < other ? one : other; }

/* Sum LANES bytes of each tap; taps are *step* bytes apart. Sums stay below 256: the weights of a pixel exceed one by
   their rounding at most. */
INLINED void mix(const uint8_t *bytes, long step, const int32_t *weights, int32_t count, uint8_t *restrict out) {
    int32_t sums[LANES];
    for (int i = 0; i < LANES; i++) sums[i] = 1 << (FRACTION_BITS - 1);
    for (int32_t tap = 0; tap < count; tap++)
        for (int i = 0; i < LANES; i++) sums[i] += weights[tap] * bytes[tap * step + i];
    for (int i = 0; i < LANES; i++) out[i] = (uint8_t)(sums[i] >> FRACTION_BITS);
}

/* Put the first half at the even places and the second at the odd ones: the bits of each place rotate by one. */
INLINED void riffle(const uint8_t *restrict from, uint8_t *restrict to) {
    for (int i = 0; i < ROWS * ROWS / 2; i++) {
        to[2 * i] = from[i];
        to[2 * i + 1] = from[i + ROWS * ROWS / 2];
    }
}

/* Exchange rows and columns of a square of ROWS x ROWS bytes: four rotations exchange the halves of each place's bits. */
INLINED void turn(uint8_t *square) {
    uint8_t other[ROWS * ROWS];
    riffle(square, other);
    riffle(other, square);
    riffle(square, other);
    riffle(other, square);
}

/* Turn *count* rows (at most ROWS) of *width* bytes into columns: (width, rounded up to ROWS; ROWS). */
INLINED void to_columns(const uint8_t *rows, int32_t count, long width, uint8_t *columns) {
    for (long x = 0; x < width; x += ROWS, columns += ROWS * ROWS) {
        const long wide = width - x < ROWS ? width - x : ROWS;
        for (int32_t y = 0; y < ROWS; y++) {
            const uint8_t *row = rows + least(y, count - 1) * width + x;
            if (wide == ROWS)
                memcpy(columns + y * ROWS, row, ROWS);
            else
                memcpy(columns + y * ROWS, row, (size_t)wide);
        }
        turn(columns);
    }
}

/* Resize the width of ROWS rows, given as columns; rows of *out* are *stride* bytes apart. */
INLINED void resize_width(const Axis *axis, const uint8_t *columns, uint8_t *out, long stride) {
    for (int32_t left = 0; left < axis->out; left += ROWS, out += LANES) {
        uint8_t mixed[ROWS * LANES] = {0}; /* ROWS pixels of LANES bytes: CHANNELS squares */
        for (int32_t x = left; x < least(left + ROWS, axis->out); x++)
            mix(columns + (long)axis->first[x] * LANES, LANES, axis->weights + (long)x * axis->taps, axis->count[x],
                mixed + (x - left) * LANES);
        for (int square = 0; square < CHANNELS; square++) {
            turn(mixed + square * ROWS * ROWS);
            for (int y = 0; y < ROWS; y++)
                memcpy(out + y * stride + square * ROWS, mixed + (square * ROWS + y) * ROWS, ROWS);
        }
    }
}

/* Resize an image (rows->in, columns->in, 3) to the rows begin <= y < end of *resized* (rows->out, columns->out, 3).
   *turned* has room for (columns->in * 3, rounded up to ROWS) * ROWS bytes. *narrow* has room for the rows of the image
   that are needed, rounded up to ROWS, of (columns->out, rounded up to ROWS) * 3 bytes each. */
INLINED void resize_rows_steps(const Axis *columns, const Axis *rows, const uint8_t *image, uint8_t *turned,
                               uint8_t *narrow, uint8_t *resized, int32_t begin, int32_t end) {
    const long width = (long)columns->in * CHANNELS, out_width = (long)columns->out * CHANNELS;
    const long stride = (columns->out + ROWS - 1L) / ROWS * LANES;
    const int32_t top = rows->first[begin], bottom = rows->first[end - 1] + rows->count[end - 1];
    for (int32_t y = top; y < bottom; y += ROWS) {
        to_columns(image + y * width, least(ROWS, bottom - y), width, turned);
        resize_width(columns, turned, narrow + (y - top) * stride, stride);
    }
    for (int32_t y = begin; y < end; y++) {
        const uint8_t *first = narrow + (rows->first[y] - top) * stride;
        for (long x = 0; x < out_width; x += LANES) {
            uint8_t mixed[LANES];
            mix(first + x, stride, rows->weights + (long)y * rows->taps, rows->count[y], mixed);
            memcpy(resized + y * out_width + x, mixed, (size_t)(out_width - x < LANES ? out_width - x : LANES));
        }
    }
}

DISPATCHED(void, resize_rows,
           (const Axis *columns, const Axis *rows, const uint8_t *image, uint8_t *turned, uint8_t *narrow,
            uint8_t *resized, int32_t begin, int32_t end),
           (columns, rows, image, turned, narrow, resized, begin, end))

/* (x - mean) / deviation of an image (height, width, 3), to planes (3, padded height, padded width); zeros outside. */
INLINED void normalise_steps(const uint8_t *restrict image, int32_t height, int32_t width, const float *mean,
                             const float *deviation, float *restrict planes, int32_t padded_height,
                             int32_t padded_width) {
    const float m0 = mean[0], m1 = mean[1], m2 = mean[2], d0 = deviation[0], d1 = deviation[1], d2 = deviation[2];
    const long plane = (long)padded_height * padded_width;
    for (int32_t y = 0; y < padded_height; y++) {
        const int32_t filled = y < height ? width : 0;
        const uint8_t *pixels = image + (filled ? (long)y * width * CHANNELS : 0);
        float *restrict one = planes + (long)y * padded_width, *restrict two = one + plane, *restrict three = two + plane;
        for (long x = 0; x < filled; x++) {
            one[x] = (pixels[CHANNELS * x] - m0) / d0;
            two[x] = (pixels[CHANNELS * x + 1] - m1) / d1;
            three[x] = (pixels[CHANNELS * x + 2] - m2) / d2;
        }
        const size_t rest = (size_t)(padded_width - filled) * sizeof(float);
        memset(one + filled, 0, rest);
        memset(two + filled, 0, rest);
        memset(three + filled, 0, rest);
    }
}

DISPATCHED(void, normalise,
           (const uint8_t *restrict image, int32_t height, int32_t width, const float *mean, const float *deviation,
            float *restrict planes, int32_t padded_height, int32_t padded_width),
           (image, height, width, mean, deviation, planes, padded_height, padded_width))
