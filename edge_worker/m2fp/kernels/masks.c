/* Upsample mask logits to the frame and evaluate them in one pass (resample.py describes the operator).

   The frame is processed in tiles that fit a core's cache: only masks and labels are written at frame size. A tile is
   skipped if none of its source logits exceeds the threshold, since no weighted mean of them does either. This is
   common: masks cover small parts of their boxes. */

#include <stdint.h>

#include "vector.h"
#include "source.h"

enum { TAPS = 3, BLOCK = 16, TILE_WIDTH = 64, TILE_HEIGHT = 32, BACKGROUND = 0 };

/* The operator along one axis. */
typedef struct {
    const int32_t *first, *last; /* (pixels): first and last source logit, at most TAPS; both non-decreasing */
    const float *weights;        /* (logits, stride): weight of each logit for each pixel; rows end with BLOCK zeros */
    int32_t pixels, low, stride; /* pixels of the frame; logits; pixels plus padding */
} Axis;

typedef struct {
    Axis rows, columns;
} Enlargement;

typedef struct {
    int32_t left, top, right, bottom; /* the last two exclusive */
} Box;

typedef struct {
    double sigmoids; /* sum of sigmoids over the mask */
    int64_t pixels;  /* pixels in the mask */
    Box box;         /* bounding box of the mask; undefined if empty */
} Reading;

typedef struct {
    const float *logits;
    Box box;                /* the vote is 0 outside */
    float score, threshold; /* score of the candidate; logit above which sigmoid * score > 0.5 */
    int32_t class_id;
} Vote;

INLINED int32_t least(int32_t one, int32_t other) { return one < other ? one : other; }
INLINED int32_t most(int32_t one, int32_t other) { return one > other ? one : other; }

INLINED Box common(Box one, Box other) {
    Box box = {most(one.left, other.left), most(one.top, other.top), least(one.right, other.right),
               least(one.bottom, other.bottom)};
    return box;
}

/* The tile with this upper left corner, clipped to a box. */
INLINED Box tile_at(int32_t left, int32_t top, Box within) {
    Box tile = {left, top, left + TILE_WIDTH, top + TILE_HEIGHT};
    return common(tile, within);
}

INLINED float sigmoid_of_positive(float x) { return 1.0f / (1.0f + exp_of_negative(-x)); }

/* Whether any source logit of the tile exceeds the threshold. */
INLINED int exceeds(const Enlargement *to, const float *logits, Box tile, float threshold) {
    const Axis *rows = &to->rows, *columns = &to->columns;
    int32_t first = columns->first[tile.left], last = columns->last[tile.right - 1];
    int32_t bottom = rows->last[tile.bottom - 1];
    for (int32_t y = rows->first[tile.top]; y <= bottom; y++) {
        const float *row = logits + (long)y * columns->low;
        int above = 0;
        for (int32_t x = first; x <= last; x++) above |= row[x] > threshold;
        if (above) return 1;
    }
    return 0;
}

/* Upsample one row of logits horizontally; zeros beyond the frame. */
INLINED void widen(const Axis *columns, const float *row, Box tile, float *restrict wide) {
    for (int32_t left = tile.left; left < tile.left + TILE_WIDTH; left += BLOCK) {
        float sums[BLOCK] = {0};
        int32_t right = least(left + BLOCK, columns->pixels), end = left < right ? columns->last[right - 1] + 1 : 0;
        for (int32_t i = end ? columns->first[left] : 0; i < end; i++) {
            const float *weights = columns->weights + (long)i * columns->stride + left;
            for (int x = 0; x < BLOCK; x++) sums[x] += weights[x] * row[i];
        }
        memcpy(wide + left - tile.left, sums, sizeof sums);
    }
}

/* Upsample one tile vertically. The source rows of a pixel are adjacent: each has its own slot in a ring of TAPS. */
INLINED void enlarge(const Enlargement *to, const float *logits, Box tile, float (*restrict values)[TILE_WIDTH]) {
    const Axis *rows = &to->rows;
    float ring[TAPS][TILE_WIDTH] = {{0}};
    int32_t held[TAPS] = {-1, -1, -1};
    for (int32_t y = tile.top; y < tile.bottom; y++) {
        const float *line[TAPS];
        float weight[TAPS];
        for (int32_t tap = 0; tap < TAPS; tap++) {
            int32_t wanted = rows->first[y] + tap, index = least(wanted, rows->last[y]), place = index % TAPS;
            if (held[place] != index) widen(&to->columns, logits + (long)index * to->columns.low, tile, ring[place]);
            held[place] = index;
            line[tap] = ring[place];
            weight[tap] = wanted == index ? rows->weights[(long)index * rows->stride + y] : 0.0f;
        }
        float *restrict out = values[y - tile.top];
        for (int x = 0; x < TILE_WIDTH; x++)
            out[x] = weight[0] * line[0][x] + weight[1] * line[1][x] + weight[2] * line[2][x];
    }
}

/* Extend a box by the non-empty rows and columns of a tile. */
INLINED void extend(Box *box, Box tile, const int32_t *restrict in_column, int32_t first_row, int32_t last_row) {
    int32_t first = 0, last = TILE_WIDTH - 1;
    while (!in_column[first]) first++;
    while (!in_column[last]) last--;
    box->left = least(box->left, tile.left + first);
    box->right = most(box->right, tile.left + last + 1);
    box->top = least(box->top, tile.top + first_row);
    box->bottom = most(box->bottom, tile.top + last_row + 1);
}

/* Add one tile to the result and write its part of the mask. Right of the box no value is positive. */
INLINED void read_tile(const float (*values)[TILE_WIDTH], Box tile, uint8_t *mask, long stride, Reading *reading) {
    const int32_t width = tile.right - tile.left;
    float sums[TILE_WIDTH] = {0};
    int32_t in_column[TILE_WIDTH] = {0}, first_row = -1, last_row = -1;
    for (int32_t y = 0; y < tile.bottom - tile.top; y++) {
        int32_t any = 0;
        for (int x = 0; x < TILE_WIDTH; x++) any |= values[y][x] > 0.0f;
        if (!any) continue;
        for (int x = 0; x < TILE_WIDTH; x++) {
            int32_t positive = values[y][x] > 0.0f;
            float sigmoid = sigmoid_of_positive(positive ? values[y][x] : 0.0f);
            sums[x] += positive ? sigmoid : 0.0f;
            in_column[x] += positive;
        }
        for (int32_t x = 0; x < width; x++) mask[y * stride + x] = values[y][x] > 0.0f;
        if (first_row < 0) first_row = y;
        last_row = y;
    }
    for (int x = 0; x < TILE_WIDTH; x++) {
        reading->sigmoids += sums[x];
        reading->pixels += in_column[x];
    }
    if (last_row >= 0) extend(&reading->box, tile, in_column, first_row, last_row);
}

/* Upsample logits within a box of the frame; mask is (box height, box width), initially zero. */
INLINED void read_mask_steps(const Enlargement *to, const float *logits, const Box *within, uint8_t *mask,
                             Reading *reading) {
    const long stride = within->right - within->left;
    float values[TILE_HEIGHT][TILE_WIDTH];
    Reading found = {0.0, 0, {within->right, within->bottom, within->left, within->top}};
    if (within->left < 0 || within->top < 0 || within->right > to->columns.pixels || within->bottom > to->rows.pixels) {
        *reading = found;
        return;
    }
    for (int32_t top = within->top; top < within->bottom; top += TILE_HEIGHT) {
        for (int32_t left = within->left; left < within->right; left += TILE_WIDTH) {
            Box tile = tile_at(left, top, *within);
            if (!exceeds(to, logits, tile, 0.0f)) continue;
            enlarge(to, logits, tile, values);
            uint8_t *corner = mask + (top - within->top) * stride + left - within->left;
            read_tile((const float (*)[TILE_WIDTH])values, tile, corner, stride, &found);
        }
    }
    *reading = found;
}

DISPATCHED(void, read_mask,
           (const Enlargement *to, const float *logits, const Box *within, uint8_t *mask, Reading *reading),
           (to, logits, within, mask, reading))

/* Working values of one tile during labelling. Sums and counts are those of one class. */
typedef struct {
    float values[TILE_HEIGHT][TILE_WIDTH], sums[TILE_HEIGHT][TILE_WIDTH], best[TILE_HEIGHT][TILE_WIDTH];
    float counts[TILE_HEIGHT][TILE_WIDTH];
    int32_t labels[TILE_HEIGHT][TILE_WIDTH];
} Tally;

/* sigmoid * score where it exceeds 0.5 */
INLINED float worth(float logit, float score) {
    float value = score * sigmoid_of_positive(logit > 0.0f ? logit : 0.0f);
    return value > 0.5f ? value : 0.0f;
}

/* Begin the sums of a class with its first vote. */
INLINED void count_first(Tally *tally, int32_t height, float score) {
    for (int32_t y = 0; y < height; y++)
        for (int x = 0; x < TILE_WIDTH; x++) {
            tally->sums[y][x] = worth(tally->values[y][x], score);
            tally->counts[y][x] = tally->sums[y][x] > 0.0f ? 1.0f : 0.0f;
        }
}

/* Add another vote to the sums of a class. */
INLINED void count_other(Tally *tally, int32_t height, float score) {
    for (int32_t y = 0; y < height; y++) {
        float *restrict sums = tally->sums[y], *restrict counts = tally->counts[y];
        const float *restrict values = tally->values[y];
        for (int x = 0; x < TILE_WIDTH; x++) {
            float value = worth(values[x], score);
            sums[x] += value;
            counts[x] += value > 0.0f ? 1.0f : 0.0f;
        }
    }
}

/* Assign a class to the pixels where its mean exceeds the best so far; of one vote the sum is the mean. */
INLINED void take_better(Tally *tally, int32_t height, int32_t votes, int32_t class_id) {
    for (int32_t y = 0; y < height; y++) {
        float *restrict sums = tally->sums[y], *restrict counts = tally->counts[y], *restrict best = tally->best[y];
        int32_t *restrict labels = tally->labels[y];
        if (votes > 1)
            for (int x = 0; x < TILE_WIDTH; x++) sums[x] /= counts[x] > 1.0f ? counts[x] : 1.0f;
        for (int x = 0; x < TILE_WIDTH; x++) {
            labels[x] = sums[x] > best[x] ? class_id : labels[x];
            best[x] = sums[x] > best[x] ? sums[x] : best[x];
        }
    }
}

/* Whether a vote counts somewhere in a tile. */
INLINED int counts_in(const Enlargement *to, const Vote *vote, Box tile) {
    const Box part = common(tile, vote->box);
    return part.left < part.right && part.top < part.bottom && exceeds(to, vote->logits, part, vote->threshold);
}

/* Whether any class but the background has a vote in a tile; without one it stays background, however that is voted. */
INLINED int holds_something(const Enlargement *to, const Vote *votes, int32_t count, Box tile) {
    for (int32_t i = 0; i < count; i++)
        if (votes[i].class_id != BACKGROUND && counts_in(to, &votes[i], tile)) return 1;
    return 0;
}

INLINED void label_tile(const Enlargement *to, const Vote *votes, int32_t count, Box tile, Tally *tally) {
    const int32_t height = tile.bottom - tile.top;
    int32_t counted = 0; /* votes of this class */
    memset(tally->best, 0, sizeof tally->best);
    memset(tally->labels, 0, sizeof tally->labels);
    for (int32_t i = 0; i < count; i++) {
        if (counts_in(to, &votes[i], tile)) {
            enlarge(to, votes[i].logits, tile, tally->values);
            if (counted++)
                count_other(tally, height, votes[i].score);
            else
                count_first(tally, height, votes[i].score);
        }
        if (counted && (i + 1 == count || votes[i + 1].class_id != votes[i].class_id)) {
            take_better(tally, height, counted, votes[i].class_id);
            counted = 0;
        }
    }
}

/* Label the rows top <= y < bottom of the frame; votes are sorted by class, labels is (frame height, width), initially
   background. */
INLINED void label_rows_steps(const Enlargement *to, const Vote *votes, int32_t count, int32_t first, int32_t end,
                              uint8_t *labels) {
    const int32_t width = to->columns.pixels;
    if (first < 0) first = 0;
    if (end > to->rows.pixels) end = to->rows.pixels;
    const Box rows = {0, first, width, end};
    Tally tally;
    for (int32_t top = first; top < end; top += TILE_HEIGHT) {
        for (int32_t left = 0; left < width; left += TILE_WIDTH) {
            const Box tile = tile_at(left, top, rows);
            if (!holds_something(to, votes, count, tile)) continue;
            label_tile(to, votes, count, tile, &tally);
            for (int32_t y = tile.top; y < tile.bottom; y++)
                for (int32_t x = tile.left; x < tile.right; x++)
                    labels[(long)y * width + x] = (uint8_t)tally.labels[y - top][x - left];
        }
    }
}

DISPATCHED(void, label_rows,
           (const Enlargement *to, const Vote *votes, int32_t count, int32_t first, int32_t end, uint8_t *labels),
           (to, votes, count, first, end, labels))
