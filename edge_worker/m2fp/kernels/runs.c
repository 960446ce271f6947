/* Runs of pixels with the same label and owner in the rows of a frame. */

#include <stdint.h>

#include "vector.h"
#include "source.h"

enum { BLOCK = 32 };

/* Whether any of BLOCK pixels differs from the one before it. */
INLINED int changes(const uint8_t *one, const uint8_t *other) {
    uint8_t found = 0;
    for (int i = 0; i < BLOCK; i++) found |= (uint8_t)((one[i] ^ one[i - 1]) | (other[i] ^ other[i - 1]));
    return found != 0;
}

/* Write the place of each run's first pixel in the frame (height, width), and its owner and label; return how many. */
INLINED int32_t find_runs_steps(const uint8_t *owners, const uint8_t *labels, int32_t height, int32_t width,
                                int32_t *restrict starts, uint16_t *restrict keys) {
    int32_t count = 0;
    for (int32_t y = 0; y < height; y++) {
        const int32_t row = y * width, end = row + width;
        for (int32_t place = row, next; place < end; place = next) {
            next = place + BLOCK < end ? place + BLOCK : end;
            if (place > row && next - place == BLOCK && !changes(owners + place, labels + place)) continue;
            for (int32_t i = place; i < next; i++) {
                starts[count] = i;
                keys[count] = (uint16_t)(owners[i] << 8 | labels[i]);
                count += i == row || owners[i] != owners[i - 1] || labels[i] != labels[i - 1];
            }
        }
    }
    return count;
}

DISPATCHED(int32_t, find_runs,
           (const uint8_t *owners, const uint8_t *labels, int32_t height, int32_t width, int32_t *restrict starts,
            uint16_t *restrict keys),
           (owners, labels, height, width, starts, keys))
